"""What this machine's own products reach, by each route that torch offers."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.arithmetic import Product
from benchmarks.measure import durations
from nmt.model.products import packed_product

Route = Callable[[Product], Callable[[], Tensor]]
"""Makes the operands of a product; what it gives back multiplies them once."""


@dataclass(frozen=True)
class Rate:
    """The fastest route of one product: its name and the seconds of one multiplication."""

    route: str
    seconds: float

    def gflops(self, product: Product) -> float:
        return product.operations / product.times / self.seconds / 1e9


def _plain(dtype: torch.dtype) -> Route:
    def route(product: Product) -> Callable[[], Tensor]:
        left = torch.randn(product.rows, product.inner).to(dtype)
        right = torch.randn(product.inner, product.columns).to(dtype)
        return lambda: torch.mm(left, right)

    return route


def _transposed(dtype: torch.dtype) -> Route:
    """With the right-hand side stored as `nn.Linear` stores its weight."""

    def route(product: Product) -> Callable[[], Tensor]:
        left = torch.randn(product.rows, product.inner).to(dtype)
        right = torch.randn(product.columns, product.inner).to(dtype)
        return lambda: torch.mm(left, right.T)

    return route


def _packed(dtype: torch.dtype) -> Route:
    """With the weight laid out by oneDNN beforehand, as compiled graphs have it."""

    def route(product: Product) -> Callable[[], Tensor]:
        left = torch.randn(product.rows, product.inner).to(dtype)
        weight = torch.randn(product.columns, product.inner).to(dtype)
        packed = torch.ops.mkldnn._reorder_linear_weight(weight, product.rows)

        def multiply() -> Tensor:
            result: Tensor = torch.ops.mkldnn._linear_pointwise(left, packed, None, "none", [], "")
            return result

        return multiply

    return route


def _repeated(product: Product) -> Callable[[], Tensor]:
    """With the weight laid out beforehand as our own training does it."""
    left = torch.randn(product.rows, product.inner)
    multiply = packed_product(torch.randn(product.columns, product.inner), product.rows)
    return lambda: multiply(left)


def _int8_dynamic(product: Product) -> Callable[[], Tensor]:
    """fp32 in and out, the scaling of the activations included."""
    left = torch.randn(product.rows, product.inner)
    weight = torch.randn(product.columns, product.inner)
    scales = weight.abs().amax(dim=1).double() / 127
    zeros = torch.zeros(product.columns, dtype=torch.long)
    with warnings.catch_warnings():
        # The quantised tensor is deprecated, the product that takes it packed is not.
        warnings.simplefilter("ignore", UserWarning)
        quantized = torch.quantize_per_channel(weight, scales, zeros, 0, torch.qint8)
        packed = torch.ops.quantized.linear_prepack(quantized, None)

    def multiply() -> Tensor:
        result: Tensor = torch.ops.quantized.linear_dynamic(left, packed, False)
        return result

    return multiply


def _int8_packed(product: Product) -> Callable[[], Tensor]:
    """int8 in, fp32 out, with the weight laid out by oneDNN; the activations are scaled already."""
    left = torch.randint(0, 256, (product.rows, product.inner), dtype=torch.uint8)
    weight = torch.randint(-127, 128, (product.columns, product.inner), dtype=torch.int8)
    packed = torch.ops.onednn.qlinear_prepack(weight, None)
    scales, zeros = torch.ones(product.columns), torch.zeros(product.columns, dtype=torch.long)
    right = (packed, scales, zeros, None)

    def multiply() -> Tensor:
        result: Tensor = torch.ops.onednn.qlinear_pointwise(
            left, 1.0, 128, *right, 1.0, 0, torch.float32, "none", [], ""
        )
        return result

    return multiply


def _int8_plain(product: Product) -> Callable[[], Tensor]:
    """int8 in, int32 out: the bare product."""
    left = torch.randint(-127, 128, (product.rows, product.inner), dtype=torch.int8)
    right = torch.randint(-127, 128, (product.inner, product.columns), dtype=torch.int8)
    return lambda: torch._int_mm(left, right)


ROUTES: dict[str, dict[str, Route]] = {
    "fp32": {
        "plain": _plain(torch.float32),
        "transposed": _transposed(torch.float32),
        "packed": _packed(torch.float32),
        "repeated": _repeated,
    },
    "bf16": {
        "plain": _plain(torch.bfloat16),
        "transposed": _transposed(torch.bfloat16),
        "packed": _packed(torch.bfloat16),
    },
    "int8": {"dynamic": _int8_dynamic, "packed": _int8_packed, "plain": _int8_plain},
}
NEED_A_WEIGHT = {"packed", "repeated", "dynamic"}
"""Routes that pay only where the right-hand side stays the same for many products."""


def offered() -> tuple[dict[str, dict[str, Route]], list[str]]:
    """The routes that this build of torch offers, and why it does not offer the others."""
    trial = Product("trial", 16, 32, 64)
    found: dict[str, dict[str, Route]] = {}
    missing = []
    for kind, routes in ROUTES.items():
        for name, route in routes.items():
            try:
                route(trial)()
            except (RuntimeError, AttributeError) as error:
                reason = str(error).strip().splitlines()[0]
                missing.append(f"{kind} {name} ({reason})")
            else:
                found.setdefault(kind, {})[name] = route
    return found, missing


def best(product: Product, routes: dict[str, Route], budget: float) -> Rate:
    """The fastest call of the fastest route, each tried for so many seconds.

    Not the median: what other programs take away is no limit of the machine.
    """
    fitting = {n: r for n, r in routes.items() if product.weight or n not in NEED_A_WEIGHT}
    return min(
        (
            Rate(name, min(durations(route(product), budget, least=2, warm_up=1)))
            for name, route in fitting.items()
        ),
        key=lambda rate: rate.seconds,
    )
