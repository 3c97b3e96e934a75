"""Sentence pairs as padded ids."""

import pytest
import torch

from nmt.batch import Batch, pad
from nmt.vocab import BOS, EOS, PAD

BATCH = Batch.of([[5, 6, 7], [8]], [[9], [4, 5]])


def test_rows_are_padded_on_the_right() -> None:
    ids, lengths = pad([[5, 6], [], [7]])
    assert ids.tolist() == [[5, 6], [PAD, PAD], [7, PAD]]
    assert lengths.tolist() == [2, 0, 1]


@pytest.mark.parametrize("rows", [0, 2])
def test_nothing_to_pad_keeps_two_dimensions(rows: int) -> None:
    ids, lengths = pad([[]] * rows)
    assert ids.shape == (rows, 0)
    assert ids.dtype == lengths.dtype == torch.long
    assert lengths.tolist() == [0] * rows


def test_sentence_marks_are_put_on() -> None:
    assert BATCH.source.tolist() == [[5, 6, 7, EOS], [8, EOS, PAD, PAD]]
    assert BATCH.source_lengths.tolist() == [4, 2]
    assert BATCH.target.tolist() == [[BOS, 9, EOS, PAD], [BOS, 4, 5, EOS]]
    assert BATCH.target_lengths.tolist() == [2, 3]


def test_the_decoder_reads_one_word_and_says_the_next() -> None:
    assert BATCH.target_input.tolist() == [[BOS, 9, EOS], [BOS, 4, 5]]
    assert BATCH.labels.tolist() == [[9, EOS, PAD], [4, 5, EOS]]
    assert BATCH.target_mask.tolist() == [[True, True, False], [True, True, True]]
    assert BATCH.target_mask.sum(dim=1).tolist() == BATCH.target_lengths.tolist()


def test_empty_sentences_are_their_end_alone() -> None:
    batch = Batch.of([[]], [[]])
    assert batch.source.tolist() == batch.labels.tolist() == [[EOS]]
    assert batch.target_input.tolist() == [[BOS]]


def test_all_tensors_move_together() -> None:
    moved = BATCH.to(torch.device("meta"))
    assert [tensor.device.type for tensor in moved.tensors()] == ["meta"] * 4
    assert [t.shape for t in moved.tensors()] == [t.shape for t in BATCH.tensors()]
