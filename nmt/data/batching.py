"""Batches of similar length under a token budget, in an order fixed by seed and epoch."""

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


class BatchPlan:
    """Which sentences stand together in which batch, for every epoch.

    Sentences are sorted by target and then source length and cut where a batch would exceed the
    budget. The cuts depend on the lengths alone, so every epoch has the same number of batches;
    which of equally long sentences fall together, and the order of batches, is drawn anew each
    epoch from (seed, epoch): any position can be computed without replaying what came before.

    Args:
        source_lengths: (N,) tokens of each source sentence.
        target_lengths: (N,) tokens of each target sentence.
        batch_tokens: most padded positions of a batch on either side.
        seed: of the order.
    """

    def __init__(
        self, source_lengths: Indices, target_lengths: Indices, batch_tokens: int, seed: int
    ) -> None:
        self.source_lengths = source_lengths
        self.target_lengths = target_lengths
        self.seed = seed
        order = np.lexsort((source_lengths, target_lengths))
        longest = np.maximum(source_lengths, target_lengths)[order] + 1  # the end mark counts
        self.cuts = _cuts(longest, batch_tokens)

    def __len__(self) -> int:
        """Batches in an epoch."""
        return len(self.cuts)

    def epoch(self, epoch: int) -> list[Indices]:
        """The batches of one epoch, in order; each is an array of sentence indices."""
        random = np.random.default_rng((self.seed, epoch))
        order = random.permutation(len(self.source_lengths))
        ranks = np.lexsort((self.source_lengths[order], self.target_lengths[order]))
        batches = np.split(order[ranks], self.cuts[:-1])
        return [batches[i] for i in random.permutation(len(batches))]


def _cuts(longest: Indices, batch_tokens: int) -> list[int]:
    """Where each batch ends, so that sentences * longest sentence stays under the budget."""
    cuts, start, width = [], 0, 0
    for position, length in enumerate(longest.tolist()):
        width = max(width, length)
        if position > start and (position + 1 - start) * width > batch_tokens:
            cuts.append(position)
            start, width = position, length
    return [*cuts, len(longest)]
