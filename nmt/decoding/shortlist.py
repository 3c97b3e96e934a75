"""A lexical shortlist: the few target words that a source sentence can lead to.

The output layer is the widest product of a step. With a shortlist it gives only the words that the
model's own attention linked to the sentence's source words in the training data, and the most
frequent ones (Jean et al. 2015, section 3.3; L'Hostis et al. 2016).
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from nmt.files import write_atomically
from nmt.vocab import RESERVED


@dataclass(frozen=True)
class Candidates:
    """What a batch may say.

    Args:
        ids: (C,) the union over the batch, in increasing order, the reserved ids first.
        allowed: (B, C) True where a sentence may itself say it, whoever stands beside it.
    """

    ids: Tensor
    allowed: Tensor


class Shortlist:
    """For each source token the target tokens that may follow from it.

    Args:
        lists: (source vocabulary, N) int32, filled up with EOS.
        frequent: (F,) int32, what every sentence may use.
        vocabulary_size: of the target language.
    """

    def __init__(self, lists: Tensor, frequent: Tensor, vocabulary_size: int) -> None:
        self.lists = lists
        self.frequent = frequent
        self.vocabulary_size = vocabulary_size

    def candidates(self, source: Tensor) -> Candidates:
        """(B, S) source tokens -> what each sentence may say."""
        allowed = torch.zeros(
            len(source), self.vocabulary_size, dtype=torch.bool, device=source.device
        )
        allowed.scatter_(1, self.lists[source].long().flatten(1), True)
        allowed[:, self.frequent.long()] = True
        allowed[:, : len(RESERVED)] = True
        ids = allowed.any(dim=0).nonzero().flatten()
        return Candidates(ids, allowed[:, ids])

    def write(self, path: Path) -> None:
        """Writes a safetensors file."""
        content = save({"lists": self.lists, "frequent": self.frequent})
        write_atomically(path, lambda file: file.write_bytes(content))

    @classmethod
    def read(cls, path: Path, vocabulary_size: int, device: str = "cpu") -> "Shortlist":
        """Reads what `write` wrote."""
        tensors = load_file(path, device)
        return cls(tensors["lists"], tensors["frequent"], vocabulary_size)
