"""Perplexity from a loss, however large, even that of a model that has learnt nothing."""

import math

MOST_NATS = 700
"""A loss whose exponential is still finite."""


def perplexity(loss: float) -> float:
    """The perplexity for a loss in nats per token; infinite from `MOST_NATS` on."""
    return math.exp(loss) if loss < MOST_NATS else math.inf
