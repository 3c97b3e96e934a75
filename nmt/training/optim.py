"""The optimiser, its schedule, and the average of the weights."""

import math
from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.optim.lr_scheduler import LambdaLR

from nmt.config import Training

Tensors: TypeAlias = tuple[Tensor, ...] | list[Tensor]


def make_optimizer(model: nn.Module, training: Training) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter 2019); weight decay acts on matrices, not on vectors."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": training.weight_decay},
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
    ]
    # Beta 0.98, as in Vaswani et al. 2017, forgets the large early gradients sooner.
    return torch.optim.AdamW(groups, lr=training.learning_rate, betas=(0.9, 0.98), fused=True)


def clip_gradients(model: nn.Module, training: Training) -> None:
    """Clips by value, then by norm (Pascanu et al. 2013), in place; each if enabled."""
    if training.clip_value > 0:
        clip_grad_value_(model.parameters(), training.clip_value)
    if training.clip_norm > 0:
        clip_grad_norm_(model.parameters(), training.clip_norm)


def rate_factor(step: int, training: Training, steps: int) -> float:
    """The learning rate of the next update, as a fraction of the peak.

    Args:
        step: updates done so far.
        training: its `warmup_steps`, `schedule` and `final_rate`.
        steps: total number of updates.
    """
    warmup = training.warmup_steps
    if step < warmup:
        return (step + 1) / warmup
    progress = min(1.0, (step - warmup) / max(1, steps - warmup))
    floor = training.final_rate
    match training.schedule:
        case "linear":
            return 1.0 - (1.0 - floor) * progress
        case "cosine":
            return floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * progress))
        case "inverse_sqrt":
            return math.sqrt(max(1, warmup) / (step + 1))
        case "constant":
            return 1.0


def make_schedule(optimizer: torch.optim.Optimizer, training: Training, steps: int) -> LambdaLR:
    """Warm-up, then the decay that the settings name; advances once per update."""
    return LambdaLR(optimizer, lambda step: rate_factor(step, training, steps))


def apply_rates(
    optimizer: torch.optim.Optimizer, schedule: LambdaLR, training: Training, steps: int
) -> None:
    """Replaces the rates and decays of a loaded state by those of the settings."""
    rate = training.learning_rate
    schedule.base_lrs = [rate for _ in optimizer.param_groups]
    now = rate * rate_factor(schedule.last_epoch, training, steps)
    for group, decay in zip(optimizer.param_groups, (training.weight_decay, 0.0), strict=True):
        group.update(initial_lr=rate, lr=now, weight_decay=decay)


def moving_average(decay: float) -> Callable[[Tensors, Tensors, Tensor | int], None]:
    """Moves averages towards weights after an update (Polyak and Juditsky 1992), in place.

    After n updates, the decay is min(decay, (1 + n) / (10 + n)): if the memory spanned the whole
    training so far, weights that have learnt next to nothing would be validated, and perhaps kept.
    """

    @torch.no_grad()
    def average(averages: Tensors, weights: Tensors, updates: Tensor | int) -> None:
        done = int(updates)
        rate = 1 - min(decay, (1 + done) / (10 + done))
        # All tensors in one call; Lightning's own subclass takes them one by one.
        torch._foreach_lerp_(averages, weights, rate)

    return average
