"""What the decoder promises to training and to search, whatever its cell and attention."""

import torch
from torch import Tensor

from nmt import options
from nmt.model.contracts import Encoded
from nmt.model.decoder import Decoder
from nmt.schema import Settings
from nmt.state import State, map_state, repeat, select
from tests.model.variants import (
    assert_gradients,
    assert_same,
    each,
    encoded,
    perturb,
    rows_of,
    variants,
)

EMBEDDING, MEMORY = 5, 3
LENGTHS = [4, 1, 3]

VARIANTS = variants(Decoder)
BEFORE = {
    f"{name}-before": settings | {"attend": "before"}
    for name, settings in VARIANTS.items()
    if name.startswith("attention=")
}
decoders = each(VARIANTS | BEFORE)
"""Every variant, and every attention before the cell as well."""


def build(settings: Settings) -> Decoder:
    torch.manual_seed(4)
    decoder: Decoder = options.build(Decoder, settings, EMBEDDING, MEMORY)
    perturb(decoder)
    return decoder.eval()


def words(rows: int, length: int = 5) -> Tensor:
    return torch.randn(rows, length, EMBEDDING, dtype=torch.double)


def by_steps(decoder: Decoder, embedded: Tensor, source: State) -> tuple[Tensor, Tensor]:
    """What `forward` gives, as search would compute it; R = B * K rows of words."""
    features, weights = [], []
    start = decoder.start(source)
    state = repeat(start, len(embedded) // rows_in(start))
    for t in range(embedded.shape[1]):
        feature, state, weight = decoder.step(embedded[:, t], source, state)
        features.append(feature)
        weights.append(weight)
    return torch.stack(features, dim=1), torch.stack(weights, dim=1)


def rows_in(state: State) -> int:
    return len(state if isinstance(state, Tensor) else state[0])


@decoders
def test_gradients_agree_with_finite_differences(settings: Settings) -> None:
    decoder, source, embedded = build(settings), encoded([3, 2], MEMORY), words(2, 3)
    source.memory[1, 2] = 0.5  # a large number in the padding would drown the differences
    assert_gradients(
        lambda: decoder(embedded, decoder.prepare(source))[0],
        [embedded, source.memory, source.summary, *decoder.parameters()],
    )


@decoders
def test_a_whole_target_is_the_same_as_step_by_step(settings: Settings) -> None:
    """So that a word does not depend on those after it, which a step has not seen."""
    decoder, embedded = build(settings), words(3)
    source = decoder.prepare(encoded(LENGTHS, MEMORY))
    whole = decoder(embedded, source)
    assert whole[0].shape == (3, 5, decoder.features_size)
    assert whole[1].shape == (3, 5, 4)
    assert_same(whole, decoder.forward_stepped(embedded, source))
    assert_same(whole, by_steps(decoder, embedded, source))


@decoders
def test_the_hypotheses_of_a_sentence_share_its_source(settings: Settings) -> None:
    decoder, embedded, encodings = build(settings), words(6), encoded(LENGTHS, MEMORY)
    shared = by_steps(decoder, embedded, decoder.prepare(encodings))
    twice = (encodings.memory, encodings.mask, encodings.summary)
    copied = Encoded(*(tensor.repeat_interleave(2, 0) for tensor in twice))
    assert_same(shared, decoder(embedded, decoder.prepare(copied)))


@decoders
def test_a_row_depends_neither_on_its_neighbours_nor_on_padding(settings: Settings) -> None:
    decoder, embedded, source = build(settings), words(3), encoded(LENGTHS, MEMORY)
    features, weights = decoder(embedded, decoder.prepare(source))
    for row, length in enumerate(LENGTHS):
        only = slice(row, row + 1)
        alone = decoder(embedded[only], decoder.prepare(rows_of(source, only, length)))
        assert_same(alone, (features[only], weights[only, :, :length]))


@decoders
def test_selecting_rows_commutes_with_a_step(settings: Settings) -> None:
    decoder, rows = build(settings), torch.tensor([2, 0, 2])
    source = decoder.prepare(encoded(LENGTHS, MEMORY))
    first, second = words(3, 2).unbind(dim=1)
    _, state, _ = decoder.step(first, source, decoder.start(source))
    before = decoder.step(second[rows], select(source, rows), select(state, rows))
    assert_same(before, select(decoder.step(second, source, state), rows))


@decoders
def test_nothing_is_remembered_between_calls_or_written_to_the_state(settings: Settings) -> None:
    decoder, embedded = build(settings), words(3, 1)[:, 0]
    source = decoder.prepare(encoded(LENGTHS, MEMORY))
    state = decoder.start(source)
    kept = map_state(torch.clone, (source, state))
    once = decoder.step(embedded, source, state)
    decoder(words(2), decoder.prepare(encoded([2, 1], MEMORY)))
    assert_same(decoder.step(embedded, source, state), once, tolerance=0.0)
    assert_same((source, state), kept, tolerance=0.0)
