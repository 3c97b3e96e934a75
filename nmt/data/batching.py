"""Batches of similar length under a token budget, in an order fixed by seed and epoch."""

from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


class Room(Protocol):
    """Memory for a batch."""

    @property
    def size(self) -> float:
        """Bytes for all rows of a batch."""

    @property
    def most(self) -> float:
        """Bytes for a batch of one row, which cannot be cut."""

    def row(self, source: int, target: int) -> float:
        """Bytes per row of a batch with so many tokens, end marks included."""


class Unlimited:
    """Unlimited memory; a row counts as many bytes as it has padded positions."""

    size = most = float("inf")

    def row(self, source: int, target: int) -> float:
        """The padded positions of a row."""
        return float(max(source, target))


class TooLong(Exception):
    """A sentence pair that takes more memory than there is: its index and the bytes needed."""

    def __init__(self, index: int, needed: float) -> None:
        super().__init__(index, needed)
        self.index = index
        self.needed = needed


class BatchPlan:
    """Which sentences make up which batch, for every epoch.

    Sentences are sorted by target length, then by source length, and cut where a batch would exceed
    the budget. The cuts depend on the lengths alone, so every epoch has the same number of batches.
    Which of the equally long sentences share a batch, and the order of the batches, is drawn from
    (seed, epoch): any position can be computed without replaying what came before.

    Args:
        source_lengths: (N,) tokens of each source sentence.
        target_lengths: (N,) tokens of each target sentence.
        batch_tokens: maximum tokens of a batch on either side, padding included.
        seed: random seed of the order.
        room: memory for a batch; one that takes more is cut into equal parts.

    Raises:
        TooLong: a single pair takes more than the room's `most`.
    """

    def __init__(
        self,
        source_lengths: Indices,
        target_lengths: Indices,
        batch_tokens: int,
        seed: int,
        *,
        room: Room | None = None,
    ) -> None:
        self.source_lengths = source_lengths
        self.target_lengths = target_lengths
        self.seed = seed
        order = np.lexsort((source_lengths, target_lengths))
        longest = np.maximum(source_lengths, target_lengths)[order] + 1  # the end mark counts
        self.cuts = _cuts(longest, batch_tokens)
        self.wished = len(self.cuts)
        """Batches in an epoch if memory were no limit."""
        self.room = room or Unlimited()
        parts = [part for rows in np.split(order, self.cuts[:-1]) for part in self._fit(rows)]
        self.cuts = np.cumsum([len(part) for part in parts]).tolist()

    def _fit(self, rows: Indices) -> list[Indices]:
        """A batch, or the equal parts of it that fit."""
        taken, size = self.bytes_of(rows), self.room.size
        if taken <= size:
            return [rows]
        if len(rows) == 1:
            if taken > self.room.most:
                raise TooLong(int(rows[0]), taken)
            return [rows]
        most = max(1, int(size * len(rows) // taken))
        return [
            part for some in np.array_split(rows, -(-len(rows) // most)) for part in self._fit(some)
        ]

    def __len__(self) -> int:
        """Batches in an epoch."""
        return len(self.cuts)

    def bytes_of(self, rows: Indices) -> float:
        """Bytes that the batch of these sentences takes."""
        longest = self.source_lengths[rows].max() + 1, self.target_lengths[rows].max() + 1
        return len(rows) * self.room.row(*map(int, longest))

    @cached_property
    def widest(self) -> Indices:
        """The batch that takes the most memory."""
        return max(self.epoch(0), key=self.bytes_of)

    def epoch(self, epoch: int) -> list[Indices]:
        """The batches of one epoch, in order; each is an array of sentence indices."""
        random = np.random.default_rng((self.seed, epoch))
        order = random.permutation(len(self.source_lengths))
        ranks = np.lexsort((self.source_lengths[order], self.target_lengths[order]))
        batches = np.split(order[ranks], self.cuts[:-1])
        return [batches[i] for i in random.permutation(len(batches))]


def _cuts(longest: Indices, batch_tokens: int) -> list[int]:
    """Where each batch ends, so that sentences * longest sentence stays within the budget."""
    cuts, start, width = [], 0, 0
    for position, length in enumerate(longest.tolist()):
        width = max(width, length)
        if position > start and (position + 1 - start) * width > batch_tokens:
            cuts.append(position)
            start, width = position, length
    return [*cuts, len(longest)]
