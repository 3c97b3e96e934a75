"""Perplexity of a loss, however large: of a model that has learnt nothing, too."""

import math

MOST_NATS = 700
"""Whose exponential is still a number."""


def perplexity(loss: float) -> float:
    """Of a loss in nats a token; infinite where that overflows."""
    return math.exp(loss) if loss < MOST_NATS else math.inf
