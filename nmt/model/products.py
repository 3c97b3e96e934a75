"""Products with one weight at many time steps: the weight is packed once for all of them."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

MANY = 16
"""Rows from which packing pays off."""


def compute_dtype(tensor: Tensor) -> torch.dtype:
    """The type in which products with a tensor are computed: autocast's, if that is on."""
    device = tensor.device.type
    if torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return tensor.dtype


def packed_product(
    weight: Tensor, rows: int, bias: Tensor | None = None
) -> Callable[[Tensor], Tensor]:
    """A function that multiplies by one weight many times, x (rows, inputs) -> x @ weight.T + bias.

    The weight is packed once; outside autograd. A plain product packs its weight anew in every
    call, which takes a third of the time for the few rows of one time step. MKL's layout is
    the faster one on processors with AVX-512, oneDNN's on the others (by 13 to 25 %).
    """
    fit = weight.device.type == "cpu" and weight.dtype == torch.float32 and rows >= MANY
    mkl = torch.backends.mkl.is_available()  # type: ignore[no-untyped-call]
    if fit and mkl and torch.backends.cpu.get_cpu_capability() == "AVX512":
        weight = weight.contiguous()
        mkl_weight = torch.ops.mkl._mkl_reorder_linear_weight(weight, rows)
        return lambda inputs: torch.ops.mkl._mkl_linear(inputs, mkl_weight, weight, bias, rows)
    if fit and torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        packed = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), rows)
        pointwise = torch.ops.mkldnn._linear_pointwise
        return lambda inputs: pointwise(inputs, packed, bias, "none", [], "")
    return lambda inputs: functional.linear(inputs, weight, bias)
