"""Products whose weight is laid out once: the numbers of a plain product, at every size."""

import pytest
import torch
from torch.nn import functional

from nmt.model.products import MANY, packed_product


@pytest.mark.parametrize("rows", [1, MANY - 1, MANY, 62])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("biased", [False, True])
def test_it_is_a_linear_layer(rows: int, dtype: torch.dtype, biased: bool) -> None:
    torch.manual_seed(5)
    weight, bias = torch.randn(37, 24, dtype=dtype), torch.randn(37, dtype=dtype)
    product = packed_product(weight, rows, bias if biased else None)
    for _ in range(2):
        inputs = torch.randn(rows, 24, dtype=dtype)
        expected = functional.linear(inputs, weight, bias if biased else None)
        torch.testing.assert_close(product(inputs), expected, rtol=1e-5, atol=1e-5)


def test_views_are_taken_as_they_are() -> None:
    """A transposed weight, and rows that lie apart in memory."""
    torch.manual_seed(5)
    weight, inputs = torch.randn(24, 37), torch.randn(MANY, 3, 24)[:, 1]
    torch.testing.assert_close(packed_product(weight.T, MANY)(inputs), inputs @ weight)
