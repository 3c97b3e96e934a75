"""Batches of sentences of similar length, cut into halves where a GPU's memory does not suffice."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch

Result = TypeVar("Result")


def batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Batches of indices, by similar length, longest first so that a lack of memory shows at once.

    Args:
        lengths: the length of each sentence.
        budget: maximum size of a batch in positions, padding included; a single longer sentence
            forms a batch of its own.
    """
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if batch and (len(batch) + 1) * lengths[batch[0]] > budget:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def in_parts_that_fit(
    work: Callable[[list[int]], list[Result]],
    batch: list[int],
    too_long: Callable[[int], Exception],
) -> list[Result]:
    """The results of `work` on a batch, or on its halves if the GPU's memory runs out.

    Args:
        work: gives a result for each index.
        batch: the indices.
        too_long: the error for an index that does not fit by itself.
    """
    try:
        return work(batch)
    except torch.OutOfMemoryError:
        if len(batch) == 1:
            raise too_long(batch[0]) from None
    # Only here is what the failed attempt held free again.
    half = len(batch) // 2
    parts = (batch[:half], batch[half:])
    return [result for part in parts for result in in_parts_that_fit(work, part, too_long)]
