"""Forced decoding: the log-probabilities of given translations."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from nmt.batch import Batch

if TYPE_CHECKING:
    from nmt.model.seq2seq import Ensemble, Seq2Seq

CHUNK = 1024
"""Tokens whose logits are in memory at once, without gradients, since vocabularies are large."""


def log_probabilities(model: "Seq2Seq | Ensemble", batch: Batch) -> Tensor:
    """log P of each target, EOS included, given its source, with its gradient: (B,) in fp64."""
    features, _ = model(batch.source, batch.source_lengths, batch.target_input)
    mask = batch.target_mask
    features, labels = features[mask], batch.labels[mask]
    losses = [
        functional.cross_entropy(model.output(part).float(), label, reduction="none")
        for part, label in zip(
            torch.split(features, CHUNK), torch.split(labels, CHUNK), strict=True
        )
    ]
    found = torch.zeros(len(mask), dtype=torch.float64, device=mask.device)
    return found.index_add(0, mask.nonzero()[:, 0], -torch.cat(losses).double())
