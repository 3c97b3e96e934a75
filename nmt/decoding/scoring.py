"""What the model thinks of given translations: their probability and their alignment."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from nmt.batch import Batch
from nmt.model.seq2seq import Ensemble, Seq2Seq

CHUNK = 1024
"""Tokens whose logits are in memory at once: a vocabulary is wide."""


@dataclass(frozen=True)
class Scored:
    """A given translation's log-probability (natural logarithm), and its tokens, EOS counted."""

    log_probability: float
    tokens: int


@torch.inference_mode()
def score(model: Seq2Seq | Ensemble, batch: Batch) -> list[Scored]:
    """The log-probability of each target of a batch, given its source (forced decoding)."""
    features, _ = model(batch.source, batch.source_lengths, batch.target_input)
    mask = batch.target_mask
    features, labels = features[mask], batch.labels[mask]
    losses = [
        functional.cross_entropy(
            model.output(features[i : i + CHUNK]).float(), labels[i : i + CHUNK], reduction="none"
        )
        for i in range(0, len(labels), CHUNK)
    ]
    table = torch.zeros(mask.shape, dtype=torch.float64, device=mask.device)
    table[mask] = -torch.cat(losses).double()
    pairs = zip(table.sum(1).tolist(), batch.target_lengths.tolist(), strict=True)
    return [Scored(total, tokens) for total, tokens in pairs]


@torch.inference_mode()
def align(model: Seq2Seq | Ensemble, batch: Batch) -> Tensor:
    """Attention weights (B, T, S) of given targets, by one teacher-forced pass.

    Row t is where the model looked before it said label t; rows and columns of padding are noise.
    """
    _, weights = model(batch.source, batch.source_lengths, batch.target_input)
    assert isinstance(weights, Tensor)
    return weights


def perplexity(scored: Sequence[Scored]) -> float:
    """exp of the mean negative log-probability of a token, over a whole corpus."""
    total = sum(one.log_probability for one in scored)
    return math.exp(-total / sum(one.tokens for one in scored))
