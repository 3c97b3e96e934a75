"""The learning rate at points worked out by hand, and what weight decay touches."""

import math
from typing import Literal

import pytest
import torch
from torch import nn

from nmt.config import Training
from nmt.training.optim import clip_gradients, make_optimizer, make_schedule, rate_factor

Schedule = Literal["linear", "cosine", "inverse_sqrt", "constant"]


def training(
    schedule: Schedule = "linear", warmup: int = 10, final: float = 0.2, decay: float = 0.0
) -> Training:
    return Training(
        folder="unused",
        learning_rate=0.5,
        warmup_steps=warmup,
        schedule=schedule,
        final_rate=final,
        weight_decay=decay,
    )


@pytest.mark.parametrize("schedule", ["linear", "cosine", "inverse_sqrt", "constant"])
def test_the_rate_rises_linearly_to_its_peak(schedule: Schedule) -> None:
    settings = training(schedule)
    rates = [rate_factor(step, settings, 110) for step in range(10)]
    assert rates == pytest.approx([0.1 * (step + 1) for step in range(10)])


@pytest.mark.parametrize(
    ("schedule", "step", "expected"),
    [
        ("linear", 10, 1.0),
        ("linear", 60, 0.6),
        ("linear", 85, 0.4),
        ("linear", 110, 0.2),
        ("linear", 500, 0.2),
        ("cosine", 10, 1.0),
        ("cosine", 35, 0.2 + 0.8 * (2 + math.sqrt(2)) / 4),
        ("cosine", 60, 0.6),
        ("cosine", 110, 0.2),
        ("cosine", 500, 0.2),
        ("inverse_sqrt", 39, 0.5),
        ("inverse_sqrt", 89, 1 / 3),
        ("inverse_sqrt", 999, 0.1),
        ("constant", 10, 1.0),
        ("constant", 500, 1.0),
    ],
)
def test_the_rate_after_the_warm_up(schedule: Schedule, step: int, expected: float) -> None:
    assert rate_factor(step, training(schedule), 110) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("linear", [1.0, 0.8, 0.6, 0.4, 0.2]),
        ("inverse_sqrt", [1.0, 0.5**0.5, 3**-0.5, 0.5, 0.2**0.5]),
        ("constant", [1.0] * 5),
    ],
)
def test_without_warm_up_the_first_rate_is_the_peak(
    schedule: Schedule, expected: list[float]
) -> None:
    settings = training(schedule, warmup=0)
    assert [rate_factor(step, settings, 4) for step in range(5)] == pytest.approx(expected)


@pytest.mark.parametrize("schedule", ["linear", "cosine", "inverse_sqrt"])
def test_after_the_warm_up_the_rate_only_falls(schedule: Schedule) -> None:
    rates = [rate_factor(step, training(schedule), 110) for step in range(9, 120)]
    assert rates == sorted(rates, reverse=True)
    assert min(rates) > 0


def test_a_run_shorter_than_its_warm_up_only_warms_up() -> None:
    rates = [rate_factor(step, training(), 5) for step in range(5)]
    assert rates == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])


def test_the_schedule_advances_once_an_update() -> None:
    settings, model = training(), nn.Linear(2, 3)
    optimizer = make_optimizer(model, settings)
    schedule = make_schedule(optimizer, settings, 110)
    rates = []
    for _ in range(12):
        rates.append(optimizer.param_groups[0]["lr"])
        model(torch.ones(1, 2)).sum().backward()
        optimizer.step()
        schedule.step()
    expected = [0.5 * rate_factor(step, settings, 110) for step in range(12)]
    assert rates == pytest.approx(expected)
    assert optimizer.param_groups[0]["lr"] == optimizer.param_groups[1]["lr"]


def test_weight_decay_acts_on_matrices_only() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3))
    optimizer = make_optimizer(model, training(decay=0.1))
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    after = dict(model.named_parameters())
    torch.testing.assert_close(after["0.weight"].detach(), before["0.weight"] * (1 - 0.5 * 0.1))
    for vector in ("0.bias", "1.weight", "1.bias"):
        assert torch.equal(after[vector], before[vector])


def test_every_parameter_that_learns_is_optimised_once() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2))
    model[0].requires_grad_(False)
    tied = model[1]
    model.append(tied)
    optimizer = make_optimizer(model, training())
    found = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(found) == sorted(map(id, tied.parameters()))


@pytest.mark.parametrize(
    ("value", "norm", "expected"),
    [
        (0.0, 0.0, [3.0, -4.0, 0.0]),
        (0.0, 1.0, [0.6, -0.8, 0.0]),
        (3.5, 0.0, [3.0, -3.5, 0.0]),
        (3.0, 1.0, [0.5**0.5, -(0.5**0.5), 0.0]),
    ],
)
def test_gradients_are_clipped_by_value_and_then_by_norm(
    value: float, norm: float, expected: list[float]
) -> None:
    layer = nn.Linear(3, 1, bias=False)
    layer.weight.grad = torch.tensor([[3.0, -4.0, 0.0]])
    clip_gradients(layer, Training(folder="unused", clip_value=value, clip_norm=norm))
    assert layer.weight.grad is not None
    torch.testing.assert_close(layer.weight.grad, torch.tensor([expected]))
