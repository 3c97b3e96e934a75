"""Dropout with one mask for all time steps, and dropout of whole words."""

import torch
from torch import Tensor, nn


class VariationalDropout(nn.Module):
    """Drops the same features at every time step (Gal and Ghahramani 2016)."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, inputs: Tensor) -> Tensor:
        """(B, L, F) -> (B, L, F), scaled so that the expectation stays."""
        if not self.training or self.rate == 0.0:
            return inputs
        keep = 1.0 - self.rate
        mask = torch.empty_like(inputs[:, :1]).bernoulli_(keep).div_(keep)  # (B, 1, F)
        return inputs * mask


class WordDropout(nn.Module):
    """Drops whole words by zeroing their embedding (Sennrich and Zhang 2019)."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, inputs: Tensor) -> Tensor:
        """(B, L, E) -> (B, L, E); kept words are not scaled: a word is there or it is not."""
        if not self.training or self.rate == 0.0:
            return inputs
        return inputs * torch.empty_like(inputs[..., :1]).bernoulli_(1.0 - self.rate)
