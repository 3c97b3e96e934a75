"""Products by one weight at many time steps: its layout is prepared once for all of them."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

MANY = 16
"""Rows from which a prepared layout is repaid."""


def repeated(weight: Tensor, rows: int, bias: Tensor | None = None) -> Callable[[Tensor], Tensor]:
    """What gives x @ weight.T + bias for many x (rows, inputs); outside autograd.

    A plain product brings its weight into the layout of the processor's units in every call; of
    the few rows of one time step that is a third of the time.
    """
    fit = weight.device.type == "cpu" and weight.dtype == torch.float32 and rows >= MANY
    if not (fit and torch.backends.mkl.is_available()):  # type: ignore[no-untyped-call]
        return lambda inputs: functional.linear(inputs, weight, bias)
    weight = weight.contiguous()
    prepared = torch.ops.mkl._mkl_reorder_linear_weight(weight, rows)

    def product(inputs: Tensor) -> Tensor:
        result: Tensor = torch.ops.mkl._mkl_linear(inputs, prepared, weight, bias, rows)
        return result

    return product
