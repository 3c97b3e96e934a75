"""The device and the precision of training: measured, not guessed."""

import time
from typing import Literal

import torch


def device() -> str:
    """A GPU if torch can use one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def choose_precision(
    wanted: Literal["auto", "fp32", "bf16"], device: str
) -> Literal["fp32", "bf16"]:
    """Chooses fp32 or bf16.

    Processors differ: those with bf16 units are up to twice as fast in bf16, the others emulate it
    several times slower than fp32. Timing a product of a decoder step's shape tells which.

    Args:
        wanted: "fp32", "bf16" or "auto".
        device: "cpu" or "cuda".
    """
    if wanted != "auto":
        return wanted
    seconds = {
        name: _product_seconds(dtype, device)
        for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16))
    }
    # bf16 needs conversions around its products, which would cancel a small lead.
    return "bf16" if seconds["bf16"] < 0.7 * seconds["fp32"] else "fp32"


def _product_seconds(dtype: torch.dtype, device: str) -> float:
    # On a GPU, launching one product takes longer than computing it.
    products = 1 if device == "cpu" else 100
    left = torch.ones(128, 512, dtype=dtype, device=device)
    right = torch.ones(512, 2048, dtype=dtype, device=device)
    best = float("inf")
    for _ in range(10):
        started = time.perf_counter()
        for _ in range(products):
            product = left @ right
        product[0, 0].item()  # waits for an asynchronous device
        best = min(best, time.perf_counter() - started)
    return best
