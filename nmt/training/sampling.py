"""Scheduled sampling: a decoder that reads its own words, more of them as training goes on.

With teacher forcing alone a decoder never meets its own mistakes before it translates (Bengio et
al. 2015). Here a first pass, teacher-forced and without gradients, says what the model itself would
have said at each place; in the second, which trains, a share of the input is replaced by that (in
parallel; Duckworth et al. 2019), so every variant of the model keeps its fastest path.
"""

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from nmt.batch import Batch
from nmt.training.objectives import Likelihood

if TYPE_CHECKING:
    from nmt.model.seq2seq import Seq2Seq

STEEPNESS = 10.0
"""Of the inverse sigmoid over the whole training: from 0.7 % to 99.3 % of the way."""

CHUNK = 1024
"""Tokens whose logits are in memory at once."""


def own_share(objective: Likelihood, progress: float) -> float:
    """The share of words that the decoder reads from itself, after a share of all updates.

    With p the progress, s the final share: linear s p; exponential 1 - (1 - s)^p; inverse sigmoid
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


@torch.no_grad()
def own_words(model: "Seq2Seq", batch: Batch) -> Tensor:
    """What the model says at each place when it has read the true words before it: (B, T)."""
    features, _ = model(batch.source, batch.source_lengths, batch.target_input)
    said = [model.output(part).argmax(dim=1) for part in features.flatten(0, 1).split(CHUNK)]
    return torch.cat(said).view(features.shape[:2])


def mixed_input(model: "Seq2Seq", batch: Batch, share: float) -> Tensor:
    """The decoder's input (B, T) with about this share of its words replaced by its own.

    BOS stays, and so does the padding; a word is replaced by what the model says in its place.
    """
    given = batch.target_input
    own = own_words(model, batch)[:, :-1]  # of the places 1 to T - 1 of the input
    chosen = torch.rand(own.shape, device=own.device) < share
    chosen &= batch.target_mask[:, 1:]
    return torch.cat([given[:, :1], torch.where(chosen, own, given[:, 1:])], dim=1)
