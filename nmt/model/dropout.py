"""Dropout: of single values, with one mask for all time steps, and of whole words."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

LEVELS = 1 << 16
"""Rates are rounded to multiples of 1 / LEVELS."""


def kept(inputs: Tensor, rate: float) -> Tensor:
    """A mask of the inputs' shape and type: 0 where a value is dropped, else 1.

    `bernoulli_` draws a 64-bit number for each value, one after another; 16 bits are enough and
    take a quarter of the time.
    """
    count = inputs.numel()
    draws = torch.empty((count + 3) // 4, dtype=torch.int64, device=inputs.device)
    sixteen = draws.random_(-(2**63), None).view(torch.int16)[:count].view(inputs.shape)
    return (sixteen >= round(rate * LEVELS) - LEVELS // 2).to(inputs.dtype)


@contextmanager
def without_dropout(model: nn.Module) -> Iterator[None]:
    """Evaluation for a while, without gradients, in the middle of a training step."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)
        torch.clear_autocast_cache()  # older torch would train with casts made without gradients


class _Rate(nn.Module):
    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def extra_repr(self) -> str:
        return str(self.rate)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.drop(inputs) if self.training and self.rate > 0.0 else inputs

    def drop(self, inputs: Tensor) -> Tensor:
        raise NotImplementedError


class Dropout(_Rate):
    """Drops single values (Srivastava et al. 2014): (...) -> (...); preserves the expectation."""

    def drop(self, inputs: Tensor) -> Tensor:
        return inputs * kept(inputs, self.rate).div_(1.0 - self.rate)


class VariationalDropout(_Rate):
    """Drops the same features at every time step (Gal and Ghahramani 2016).

    (B, L, F) -> (B, L, F), scaled to preserve the expectation.
    """

    def drop(self, inputs: Tensor) -> Tensor:
        return inputs * kept(inputs[:, :1], self.rate).div_(1.0 - self.rate)  # (B, 1, F)


class WordDropout(_Rate):
    """Drops whole words by zeroing their embedding (Sennrich and Zhang 2019).

    (B, L, E) -> (B, L, E); kept words are not scaled: a word is there or it is not.
    """

    def drop(self, inputs: Tensor) -> Tensor:
        return inputs * kept(inputs[..., :1], self.rate)
