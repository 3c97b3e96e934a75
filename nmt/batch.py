"""Batch: all that passes from data to training."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nmt.vocab import BOS, EOS, PAD


def pad(sequences: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Lists of ids as a (B, L) tensor padded on the right, and lengths (B,)."""
    lengths = [len(sequence) for sequence in sequences]
    width = max(lengths, default=0)
    rows = [[*sequence, *[PAD] * (width - len(sequence))] for sequence in sequences]
    ids = torch.tensor(rows, dtype=torch.long).reshape(len(rows), width)
    return ids, torch.tensor(lengths, dtype=torch.long)


@dataclass(frozen=True)
class Batch:
    """Sentence pairs as padded ids.

    Args:
        source: (B, S) ids, each row ends with EOS, padded with PAD.
        source_lengths: (B,) real tokens of each row, EOS included.
        target: (B, T + 1) ids, each row starts with BOS and ends with EOS.
        target_lengths: (B,) tokens to predict in each row: the words and EOS, without BOS.
    """

    source: Tensor
    source_lengths: Tensor
    target: Tensor
    target_lengths: Tensor

    @classmethod
    def of(cls, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]) -> "Batch":
        """A batch from bare ids; sentence marks are added here and nowhere else."""
        source, source_lengths = pad([[*ids, EOS] for ids in sources])
        target, target_lengths = pad([[BOS, *ids, EOS] for ids in targets])
        return cls(source, source_lengths, target, target_lengths - 1)

    @property
    def target_input(self) -> Tensor:
        """(B, T) what the decoder reads: BOS and the words."""
        return self.target[:, :-1]

    @property
    def labels(self) -> Tensor:
        """(B, T) what the decoder must predict: the words and EOS."""
        return self.target[:, 1:]

    @property
    def target_mask(self) -> Tensor:
        """(B, T) True at real labels."""
        return self.labels != PAD

    def silent(self) -> "Batch":
        """The same sources with nothing to predict: no target tokens, so no loss."""
        target = torch.full((len(self.target), 2), PAD)
        target[:, 0] = BOS
        none = torch.zeros_like(self.target_lengths)
        return Batch(self.source, self.source_lengths, target, none)

    def longest(self) -> "Batch":
        """The same sources with targets as long as sampled ones may be: 2 T tokens."""
        words = self.target[:, 1:].masked_fill(~self.target_mask, EOS)
        target = torch.cat([self.target[:, :1], words, words], dim=1)
        return Batch(
            self.source,
            self.source_lengths,
            target,
            torch.full_like(self.target_lengths, target.shape[1] - 1),
        )

    def repeated(self, count: int) -> "Batch":
        """The batch with each row `count` times."""
        return Batch(*(tensor.repeat_interleave(count, dim=0) for tensor in self.tensors()))

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device."""
        return Batch(*(tensor.to(device) for tensor in self.tensors()))

    def tensors(self) -> tuple[Tensor, ...]:
        return self.source, self.source_lengths, self.target, self.target_lengths
