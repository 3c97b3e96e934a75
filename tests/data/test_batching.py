"""Batches of similar length: under the budget, complete, and in an order that can be repeated."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nmt.data.batching import BatchPlan, Indices, TooLong

lengths = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=120)


def plan(pairs: list[tuple[int, int]], batch_tokens: int, seed: int = 1) -> BatchPlan:
    source, target = np.array(pairs, dtype=np.int64).T
    return BatchPlan(source, target, batch_tokens, seed)


def realistic(sentences: int) -> tuple[Indices, Indices]:
    """Lengths as of short sentences and their translations: 15 tokens in the middle, long tail."""
    random = np.random.default_rng(1)
    source = np.clip(random.lognormal(np.log(12), 0.5, sentences), 1, 100)
    target = np.clip(source * random.lognormal(0.05, 0.2, sentences), 1, 100)
    return source.astype(np.int64), target.astype(np.int64)


def listed(batches: list[Indices]) -> list[list[int]]:
    return [batch.tolist() for batch in batches]


@settings(deadline=None, max_examples=100)
@given(lengths, st.integers(1, 300), st.integers(0, 5), st.integers(0, 5))
def test_every_sentence_comes_once_an_epoch_and_the_budget_holds(
    pairs: list[tuple[int, int]], batch_tokens: int, seed: int, epoch: int
) -> None:
    made = plan(pairs, batch_tokens, seed)
    batches = made.epoch(epoch)
    assert len(batches) == len(made)
    assert sorted(int(i) for batch in batches for i in batch) == list(range(len(pairs)))
    for batch in batches:
        longest = max(max(pairs[i]) for i in batch) + 1  # the end mark counts
        assert len(batch) == 1 or len(batch) * longest <= batch_tokens


def test_a_sentence_longer_than_the_budget_has_a_batch_of_its_own() -> None:
    pairs = [(3, 3), (90, 80), (3, 4), (4, 3), (80, 90)]
    batches = sorted(listed(plan(pairs, 20).epoch(0)), key=min)
    assert [sorted(batch) for batch in batches] == [[0, 2, 3], [1], [4]]


class Room:
    """So many bytes, of which a row takes the product of its lengths."""

    def __init__(self, size: float) -> None:
        self.size = self.most = size

    def row(self, source: int, target: int) -> float:
        return float(source * target)


@settings(deadline=None, max_examples=100)
@given(lengths, st.integers(1, 300), st.floats(1, 5000))
def test_no_batch_takes_more_memory_than_there_is(
    pairs: list[tuple[int, int]], batch_tokens: int, size: float
) -> None:
    source, target = np.array(pairs, dtype=np.int64).T
    needed = (source + 1) * (target + 1)
    assume(needed.max() <= size)
    made = BatchPlan(source, target, batch_tokens, 1, room=Room(size))
    batches = made.epoch(2)
    assert sorted(int(i) for batch in batches for i in batch) == list(range(len(pairs)))
    for batch in batches:
        assert len(batch) * (source[batch].max() + 1) * (target[batch].max() + 1) <= size
    free = BatchPlan(source, target, batch_tokens, 1)
    assert len(free) == made.wished <= len(made)


def test_batches_that_fit_are_left_as_they_are() -> None:
    source, target = realistic(500)
    free = BatchPlan(source, target, 400, 1)
    for size in (float("inf"), 1e9):
        assert BatchPlan(source, target, 400, 1, room=Room(size)).cuts == free.cuts


def test_a_pair_that_takes_too_much_is_named() -> None:
    source, target = np.array([[5, 5], [90, 5], [5, 80]], dtype=np.int64).T
    with pytest.raises(TooLong) as error:
        BatchPlan(source, target, 400, 1, room=Room(500))
    assert error.value.index in (1, 2)


def test_a_single_sentence_is_a_batch() -> None:
    assert listed(plan([(5, 5)], 100).epoch(3)) == [[0]]


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    source, target = realistic(2000)
    one, other = (BatchPlan(source, target, 400, seed=3) for _ in range(2))
    one.epoch(0)
    assert listed(one.epoch(5)) == listed(other.epoch(5))


@pytest.mark.parametrize(("seed", "epoch"), [(3, 6), (4, 5)])
def test_another_epoch_or_seed_is_another_order_of_other_batches(seed: int, epoch: int) -> None:
    source, target = realistic(2000)
    here = listed(BatchPlan(source, target, 400, seed=3).epoch(5))
    there = listed(BatchPlan(source, target, 400, seed=seed).epoch(epoch))
    assert len(here) == len(there)
    assert [len(batch) for batch in here] != [len(batch) for batch in there]
    # Where few sentences have the same two lengths they fall together again.
    together = [{frozenset(batch) for batch in batches} for batches in (here, there)]
    assert len(together[0] & together[1]) < len(here) / 2


def test_batches_are_not_in_order_of_length() -> None:
    source, target = realistic(2000)
    means = [target[batch].mean() for batch in BatchPlan(source, target, 400, seed=1).epoch(0)]
    assert abs(np.corrcoef(np.arange(len(means)), means)[0, 1]) < 0.3


@pytest.mark.parametrize("batch_tokens", [800, 1200])
def test_little_of_a_batch_is_padding(batch_tokens: int) -> None:
    sides = realistic(30_000)
    batches = BatchPlan(*sides, batch_tokens, seed=1).epoch(0)
    real = sum(int(side.sum()) + len(side) for side in sides)
    padded = sum(len(batch) * int(side[batch].max() + 1) for side in sides for batch in batches)
    assert 1 - real / padded < 0.05


def test_batches_are_filled() -> None:
    source, target = realistic(30_000)
    batches = BatchPlan(source, target, 800, seed=1).epoch(0)
    positions = [
        len(batch) * (max(int(source[batch].max()), int(target[batch].max())) + 1)
        for batch in batches
    ]
    assert np.mean(positions) > 0.9 * 800
