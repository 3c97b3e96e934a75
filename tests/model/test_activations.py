"""The faster hyperbolic tangent against torch's."""

import pytest
import torch

from nmt.model.activations import tanh_


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 3e-7), (torch.float64, 1e-15), (torch.bfloat16, 0.0)]
)
def test_it_is_the_hyperbolic_tangent_in_place(dtype: torch.dtype, tolerance: float) -> None:
    sums = torch.cat([torch.linspace(-20, 20, 4001), torch.tensor([0.0, 1e-4, 100.0, -100.0])])
    sums = sums.to(dtype)
    expected = torch.tanh(sums)
    assert tanh_(sums) is sums
    assert (sums - expected).abs().max().item() <= tolerance


def test_autograd_sees_a_tangent() -> None:
    leaf = torch.linspace(-3, 3, 20, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: tanh_(x * 1.0), leaf)
