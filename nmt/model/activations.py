"""A fast tanh, gradients for the hand-written backward passes, and what all attention computes."""

import torch
from torch import Tensor

sigmoid_backward = torch.ops.aten.sigmoid_backward
"""(grad, y) -> grad * y * (1 - y) in one pass."""
tanh_backward = torch.ops.aten.tanh_backward
"""(grad, y) -> grad * (1 - y * y)."""


def tanh_(sums: Tensor) -> Tensor:
    """tanh x = 2 sigmoid(2 x) - 1, in place.

    tanh is the most expensive elementwise function: on a CPU without AVX-512 it takes three and a
    half times as long as a sigmoid. torch's own tanh is used where autograd records the operation,
    and in bf16, where the subtraction would lose digits; in fp32 the two differ by 2e-7.
    """
    return sums.tanh_() if _torchs(sums) else _from_twice(sums.mul_(2))


def tanh(inputs: Tensor) -> Tensor:
    """`tanh_` of a copy."""
    return inputs.tanh() if _torchs(inputs) else _from_twice(torch.mul(inputs, 2))


def _torchs(inputs: Tensor) -> bool:
    return inputs.requires_grad or inputs.dtype == torch.bfloat16


def _from_twice(doubled: Tensor) -> Tensor:
    return doubled.sigmoid_().mul_(2).sub_(1)


def attend(memory: Tensor, energies: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """c = sum_j a_j h_j with a = softmax(e) over real positions only.

    Args:
        memory: (B, ..., S, M).
        energies: (B, ..., K, S).
        mask: (B, ..., S) True at real positions.

    Returns:
        Contexts (B, ..., K, M) and weights (B, ..., K, S).
    """
    weights = torch.softmax(energies.masked_fill(~mask.unsqueeze(-2), -torch.inf), dim=-1)
    return weights @ memory, weights
