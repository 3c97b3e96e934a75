"""Forced decoding and alignments."""

import pytest
import torch

from nmt.batch import Batch
from nmt.decoding import scoring
from nmt.model import forced
from nmt.vocab import EOS
from tests.decoding import tiny

PAIRS = [([5, 6, 7], [8, 9]), ([10], []), ([11, 12, 13, 14, 15], [16, 17, 18, 19])]


def batch_of(pairs: list[tuple[list[int], list[int]]]) -> Batch:
    return Batch.of([source for source, _ in pairs], [target for _, target in pairs])


def test_a_score_is_the_sum_of_the_labels_log_probabilities() -> None:
    _, target = PAIRS[0]
    batch = batch_of(PAIRS[:1])
    with torch.inference_mode():
        features, _ = tiny.model()(batch.source, batch.source_lengths, batch.target_input)
        table = tiny.model().output(features[0]).log_softmax(-1)
    expected = sum(float(table[i, label]) for i, label in enumerate([*target, EOS]))
    (scored,) = scoring.score(tiny.model(), batch)
    assert scored.tokens == len(target) + 1
    assert scored.log_probability == pytest.approx(expected, abs=1e-5)


def test_padding_and_chunks_change_no_score(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = [scoring.score(tiny.model(), batch_of([pair]))[0] for pair in PAIRS]
    monkeypatch.setattr(forced, "CHUNK", 3)
    together = scoring.score(tiny.model(), batch_of(PAIRS))
    assert [one.tokens for one in together] == [3, 1, 5]
    for one, other in zip(together, alone, strict=True):
        assert one.log_probability == pytest.approx(other.log_probability, abs=1e-4)


def test_alignments_are_distributions_over_the_real_source() -> None:
    batch = batch_of(PAIRS)
    weights = scoring.align(tiny.model(), batch)
    assert weights.shape == (3, 5, 6)
    for row, length in enumerate(batch.source_lengths.tolist()):
        assert weights[row, :, :length].sum(-1).allclose(torch.ones(5))
