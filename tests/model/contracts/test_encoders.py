"""What every encoder promises to the decoder."""

from typing import Any

import torch
from torch import Tensor

from nmt import options
from nmt.model.contracts import Encoded
from nmt.model.encoders import ENCODERS
from nmt.schema import Settings
from tests.model.variants import assert_gradients, assert_same, over, perturb

EMBEDDING = 5
LENGTHS = [4, 1, 3]
READING = {kind: made for kind, made in ENCODERS.items() if kind != "none"}


def build(settings: Settings) -> Any:
    torch.manual_seed(3)
    encoder = options.build(ENCODERS, settings, EMBEDDING)
    perturb(encoder)
    return encoder.eval()


def embedded(lengths: list[int], width: int = 0) -> Tensor:
    """Random words; padding holds large numbers."""
    words = torch.full((len(lengths), max(*lengths, width), EMBEDDING), 1e3, dtype=torch.double)
    for row, length in zip(words, lengths, strict=True):
        row[:length] = torch.randn(length, EMBEDDING)
    return words


def parts(encoded: Encoded) -> tuple[Tensor, Tensor, Tensor]:
    return encoded.memory, encoded.mask, encoded.summary


@over(READING)
def test_gradients_agree_with_finite_differences(settings: Settings) -> None:
    encoder, lengths = build(settings), torch.tensor([3, 2])
    words = torch.randn(2, 3, EMBEDDING, dtype=torch.double)

    def run() -> Tensor:
        encoded = encoder(words, lengths)
        return torch.cat([encoded.memory.flatten(1), encoded.summary], dim=1)

    assert_gradients(run, [words, *encoder.parameters()])


@over(READING)
def test_sizes_and_mask_are_as_announced(settings: Settings) -> None:
    encoder = build(settings)
    encoded = encoder(embedded(LENGTHS), torch.tensor(LENGTHS))
    assert encoded.memory.shape == (3, 4, encoder.memory_size)
    assert encoded.summary.shape == (3, encoder.memory_size)
    assert encoded.mask.dtype == torch.bool
    assert encoded.mask.sum(dim=1).tolist() == LENGTHS
    assert encoded.mask[:, 0].all()
    assert (encoded.memory[~encoded.mask] == 0).all()


@over(READING)
def test_a_sentence_depends_neither_on_its_neighbours_nor_on_padding(settings: Settings) -> None:
    encoder, words = build(settings), embedded(LENGTHS, width=6)
    memory, mask, summary = parts(encoder(words, torch.tensor(LENGTHS)))
    for row, length in enumerate(LENGTHS):
        only = slice(row, row + 1)
        alone = encoder(words[only, :length], torch.tensor([length]))
        assert_same(parts(alone), (memory[only, :length], mask[only, :length], summary[only]))


@over(READING)
def test_the_order_of_words_counts(settings: Settings) -> None:
    encoder, words = build(settings), torch.randn(1, 4, EMBEDDING, dtype=torch.double)
    there, back = (encoder(w, torch.tensor([4])) for w in (words, words.flip(1)))
    assert not torch.allclose(there.summary, back.summary)


@over(READING)
def test_nothing_is_remembered_between_calls(settings: Settings) -> None:
    encoder, words, lengths = build(settings), embedded(LENGTHS), torch.tensor(LENGTHS)
    once = encoder(words, lengths)
    encoder(embedded([2, 2]), torch.tensor([2, 2]))
    assert_same(parts(encoder(words, lengths)), parts(once), tolerance=0.0)
