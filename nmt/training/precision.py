"""Where training runs, and in which precision: measured, not guessed."""

import time
from typing import Literal

import torch


def device() -> str:
    """A GPU if torch can use one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def choose_precision(
    wanted: Literal["auto", "fp32", "bf16"], device: str
) -> Literal["fp32", "bf16"]:
    """fp32 or bf16.

    Processors differ: those with bf16 units are up to twice as fast with it, the others emulate
    it several times slower than fp32. A product of a decoder step's shape tells in milliseconds.

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
    # Around the products bf16 costs conversions: a small lead would be lost to them.
    return "bf16" if seconds["bf16"] < 0.7 * seconds["fp32"] else "fp32"


def _product_seconds(dtype: torch.dtype, device: str) -> float:
    # A GPU takes longer to be asked for one product than to make it.
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
