"""A lexical shortlist: the few target words that a source sentence may lead to.

The output layer is the largest matrix product of a step. With a shortlist it covers only the words
that the model's own attention linked to the sentence's source words in the training data, and the
most frequent words (Jean et al. 2015, section 3.3; L'Hostis et al. 2016).
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from nmt.errors import UserError
from nmt.files import write_atomically
from nmt.vocab import RESERVED


@dataclass(frozen=True)
class Candidates:
    """The target tokens that the sentences of a batch may use.

    Args:
        ids: (C,) the union over the batch, in increasing order, so the reserved ids come first.
        allowed: (B, C) True where the sentence's own shortlist has the token, so that its
            translation does not depend on the rest of the batch.
    """

    ids: Tensor
    allowed: Tensor


class Shortlist:
    """For each source token, the target tokens that it may lead to.

    Args:
        lists: (source vocabulary size, N) int32, padded with EOS.
        frequent: (F,) int32, the tokens that every sentence may use.
        vocabulary_size: size of the target vocabulary.
    """

    def __init__(self, lists: Tensor, frequent: Tensor, vocabulary_size: int) -> None:
        self.lists = lists
        self.frequent = frequent
        self.vocabulary_size = vocabulary_size

    def candidates(self, source: Tensor) -> Candidates:
        """(B, S) source tokens -> the target tokens that each sentence may use."""
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
    def read(cls, path: Path, sources: int, targets: int, device: str = "cpu") -> "Shortlist":
        """Reads a file written by `write`.

        Args:
            path: the file.
            sources: size of the source vocabulary.
            targets: size of the target vocabulary.
            device: cpu or cuda.

        Raises:
            UserError: the file is damaged, or of another model.
        """
        try:  # load_file would take "cuda" for the first GPU, not for the current one
            tensors = load_file(path)
        except SafetensorError:
            tensors = {}
        lists, frequent = (tensors.get(name, torch.empty(0)) for name in ("lists", "frequent"))
        fit = lists.dim() == 2 and len(lists) == sources and frequent.dim() == 1
        if not fit or not all(_are_tokens(ids, targets) for ids in (lists, frequent)):
            raise UserError(
                f"{path}: expected lists of {targets:,} target words for {sources:,} source words, "
                "found others; copy the folder again, or export the run again"
            )
        return cls(lists.to(device), frequent.to(device), targets)


def _are_tokens(ids: Tensor, size: int) -> bool:
    return ids.dtype == torch.int32 and bool(((ids >= 0) & (ids < size)).all())
