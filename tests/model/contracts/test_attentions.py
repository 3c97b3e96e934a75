"""What every attention promises to the decoder."""

from typing import Any

import torch
from torch import Tensor

from nmt import options
from nmt.model.contracts import Encoded
from nmt.model.memory import ATTENTIONS
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

MEMORY, QUERY = 5, 3
LENGTHS = [4, 1, 3]
# Without a hidden layer the query is as long as what it is compared with.
BARE: dict[str, Settings] = {
    f"{kind}-hidden_size=None": {"kind": kind, "hidden_size": None}
    for kind in ("dot", "scaled_dot")
}
ALL = variants(ATTENTIONS) | BARE


def build(settings: Settings) -> Any:
    torch.manual_seed(2)
    attention = options.build(ATTENTIONS, settings, MEMORY, query_size(settings))
    perturb(attention)
    return attention


def query_size(settings: Settings) -> int:
    return MEMORY if settings in BARE.values() else QUERY


def queries(rows: int, settings: Settings) -> Tensor:
    return torch.randn(rows, query_size(settings), dtype=torch.double)


def read(attention: Any, source: Encoded, query: Tensor) -> tuple[Tensor, Tensor, State]:
    """Reads twice, so that a state that is carried from read to read counts; it is opaque."""
    prepared = attention.prepare(source.memory, source.mask)
    state = repeat(attention.start(prepared), len(query) // len(source.memory))
    _, _, state = attention(query.flip(1), prepared, state)
    result: tuple[Tensor, Tensor, State] = attention(query, prepared, state)
    return result


@each(ALL)
def test_a_mean_of_the_memory_is_what_the_alignment_says(settings: Settings) -> None:
    attention, source, query = build(settings), encoded(LENGTHS, MEMORY), queries(3, settings)
    context, weights, _ = read(attention, source, query)
    mean = torch.einsum("bs,bsm->bm", weights, source.memory)
    assert context.shape[1] == attention.context_size
    found = context[:, attention.context_size - MEMORY :]
    same = found.shape == mean.shape and torch.allclose(found, mean)
    assert same is attention.averages_memory


@each(ALL)
def test_gradients_agree_with_finite_differences(settings: Settings) -> None:
    attention, source, query = build(settings), encoded([3, 2], MEMORY), queries(2, settings)
    source.memory[1, 2] = 0.5  # a large number in the padding would drown the differences
    assert_gradients(
        lambda: torch.cat(read(attention, source, query)[:2], dim=1),
        [source.memory, query, *attention.parameters()],
    )


@each(ALL)
def test_sizes_are_as_announced(settings: Settings) -> None:
    attention = build(settings)
    context, weights, _ = read(attention, encoded(LENGTHS, MEMORY), queries(6, settings))
    assert context.shape == (6, attention.context_size)
    assert weights.shape == (6, 4)


@each(ALL)
def test_weights_are_shares_of_real_positions(settings: Settings) -> None:
    source = encoded(LENGTHS, MEMORY)
    _, weights, _ = read(build(settings), source, queries(3, settings))
    assert (weights >= 0).all()
    assert (weights[~source.mask] == 0).all()
    assert_same(weights.sum(dim=1), torch.ones(3, dtype=torch.double))


@each(ALL)
def test_padding_changes_nothing(settings: Settings) -> None:
    attention, source, query = build(settings), encoded(LENGTHS, MEMORY), queries(3, settings)
    context, weights, _ = read(attention, source, query)
    for row, length in enumerate(LENGTHS):
        only = slice(row, row + 1)
        alone = read(attention, rows_of(source, only, length), query[only])
        assert_same(alone[:2], (context[only], weights[only, :length]))


@each(ALL)
def test_several_queries_of_a_sentence_share_its_memory(settings: Settings) -> None:
    attention, source, query = build(settings), encoded(LENGTHS, MEMORY), queries(6, settings)
    copied = Encoded(
        source.memory.repeat_interleave(2, 0), source.mask.repeat_interleave(2, 0), source.summary
    )
    assert_same(read(attention, source, query), read(attention, copied, query))


@each(ALL)
def test_selecting_rows_commutes_with_a_step(settings: Settings) -> None:
    attention, source, query = build(settings), encoded(LENGTHS, MEMORY), queries(3, settings)
    rows = torch.tensor([2, 0, 2])
    chosen = Encoded(source.memory[rows], source.mask[rows], source.summary[rows])
    before = read(attention, chosen, query[rows])
    assert_same(before, select(read(attention, source, query), rows))


@each(ALL)
def test_nothing_is_remembered_between_calls_or_written_to_the_source(settings: Settings) -> None:
    attention, source, query = build(settings), encoded(LENGTHS, MEMORY), queries(3, settings)
    prepared = attention.prepare(source.memory, source.mask)
    kept = map_state(torch.clone, prepared)
    once = attention(query, prepared, attention.start(prepared))
    read(attention, encoded([2, 2], MEMORY), queries(4, settings))
    assert_same(attention(query, prepared, attention.start(prepared)), once, tolerance=0.0)
    assert_same(prepared, kept, tolerance=0.0)
