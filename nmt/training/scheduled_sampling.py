"""Scheduled sampling: the decoder reads its own predictions, more of them as training proceeds.

With teacher forcing alone, a decoder never meets its own mistakes before it translates (Bengio et
al. 2015). Here a first pass, teacher-forced and without gradients, predicts the word at each
position; in the second, which trains, a fraction of the input is replaced by these predictions (in
parallel; Duckworth et al. 2019), so every variant of the model keeps its fastest path.
"""

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from nmt.batch import Batch
from nmt.model.dropout import without_dropout
from nmt.model.forced import CHUNK
from nmt.training.objectives import Likelihood
from nmt.vocab import RESERVED

if TYPE_CHECKING:
    from nmt.model.seq2seq import Seq2Seq

STEEPNESS = 10.0
"""Slope of the inverse sigmoid, which spans 0.7 % to 99.3 % over the whole training."""


def sampling_rate(objective: Likelihood, progress: float) -> float:
    """The fraction of words that the decoder reads from itself, after a fraction of all updates.

    With progress p and final fraction s: linear s p; exponential 1 - (1 - s)^p; inverse sigmoid
    s (S(p) - S(0)) / (S(1) - S(0)), S(p) = 1 / (1 + exp(-10 (p - 1/2))). All grow from 0 to s.
    """
    final, progress = objective.sampling, min(1.0, max(0.0, progress))
    match objective.sampling_schedule:
        case "linear":
            return final * progress
        case "exponential":
            return 1.0 - math.pow(1.0 - final, progress)
        case "inverse_sigmoid":
            start, now, end = (
                1.0 / (1.0 + math.exp(-STEEPNESS * (at - 0.5))) for at in (0.0, progress, 1.0)
            )
            return final * (now - start) / (end - start)


def mixed_input(model: "Seq2Seq", batch: Batch, rate: float) -> Tensor:
    """The decoder's input (B, T) with about this fraction of words replaced by its predictions.

    BOS and padding stay; a word is replaced by the likeliest one at its position, given the
    reference words before it.
    """
    mixed = batch.target_input.clone()
    chosen = torch.rand(mixed.shape, device=mixed.device) < rate
    chosen &= batch.target_mask
    chosen[:, 0] = False  # BOS
    with without_dropout(model):
        features, _ = model(batch.source, batch.source_lengths, batch.target_input)
        before = features[:, :-1][chosen[:, 1:]]  # (N, F): input t is predicted at t - 1
        mixed[chosen] = torch.cat([_likeliest(model, part) for part in before.split(CHUNK)])
    return mixed


def _likeliest(model: "Seq2Seq", features: Tensor) -> Tensor:
    """The likeliest words that are not reserved: (N, F) -> (N,)."""
    words: Tensor = model.output(features)[:, len(RESERVED) :].argmax(dim=1)
    return words + len(RESERVED)
