"""What every recurrent cell promises to whoever steps it."""

from typing import Any

import torch
from torch import Tensor

from nmt import options
from nmt.model.cells import CELLS
from nmt.schema import Settings
from nmt.state import State, map_state, select
from tests.model.variants import (
    assert_gradients,
    assert_same,
    over,
    perturb,
    tensors,
)

BATCH, INPUT, HIDDEN = 3, 5, 4


def build(settings: Settings) -> Any:
    torch.manual_seed(1)
    cell = options.build(CELLS, settings, INPUT, HIDDEN)
    perturb(cell)
    return cell.eval()


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.double)


def busy(cell: Any) -> State:
    """A state with something in its memory."""
    state: State = cell.step(random(BATCH, cell.gates_size), cell.start(random(BATCH, HIDDEN)))[1]
    return state


def run(cell: Any, inputs: Tensor, start: Tensor) -> Tensor:
    """All outputs over (B, T, E) from a state whose last output is `start`."""
    outputs, state = [], cell.start(start)
    for t in range(inputs.shape[1]):
        output, state = cell(inputs[:, t], state)
        outputs.append(output)
    return torch.stack(outputs, dim=1)


@over(CELLS)
def test_gradients_agree_with_finite_differences(settings: Settings) -> None:
    cell, inputs, start = build(settings), random(2, 3, INPUT), random(2, HIDDEN)
    assert_gradients(lambda: run(cell, inputs, start), [inputs, start, *cell.parameters()])


@over(CELLS)
def test_sizes_are_as_announced(settings: Settings) -> None:
    cell = build(settings)
    assert cell.hidden_size == HIDDEN
    assert cell.project(random(BATCH, INPUT)).shape == (BATCH, cell.gates_size)
    output, state = cell.step(random(BATCH, cell.gates_size), cell.start(random(BATCH, HIDDEN)))
    assert output.shape == (BATCH, HIDDEN)
    assert {len(tensor) for tensor in tensors(state)} == {BATCH}


@over(CELLS)
def test_a_call_is_projection_and_step(settings: Settings) -> None:
    cell, inputs = build(settings), random(BATCH, INPUT)
    state = busy(cell)
    assert_same(cell(inputs, state), cell.step(cell.project(inputs), state))


@over(CELLS)
def test_all_time_steps_are_projected_at_once(settings: Settings) -> None:
    cell, inputs = build(settings), random(BATCH, 6, INPUT)
    one_by_one = torch.stack([cell.project(inputs[:, t]) for t in range(6)], dim=1)
    assert_same(cell.project(inputs), one_by_one)


@over(CELLS)
def test_the_past_counts(settings: Settings) -> None:
    cell = build(settings)
    projected = cell.project(random(BATCH, INPUT))
    output, _ = cell.step(projected, busy(cell))
    other, _ = cell.step(projected, busy(cell))
    assert not torch.allclose(output, other)


@over(CELLS)
def test_a_row_does_not_depend_on_its_neighbours(settings: Settings) -> None:
    cell = build(settings)
    projected, state = random(BATCH, cell.gates_size), busy(cell)
    together = cell.step(projected, state)
    for row in range(BATCH):
        only = torch.tensor([row])
        assert_same(cell.step(projected[only], select(state, only)), select(together, only))


@over(CELLS)
def test_selecting_rows_commutes_with_a_step(settings: Settings) -> None:
    cell, rows = build(settings), torch.tensor([2, 0, 2, 1])
    projected, state = random(BATCH, cell.gates_size), busy(cell)
    before = cell.step(projected[rows], select(state, rows))
    assert_same(before, select(cell.step(projected, state), rows))


@over(CELLS)
def test_nothing_is_remembered_between_calls_or_written_to_the_state(settings: Settings) -> None:
    cell = build(settings)
    projected, state = random(BATCH, cell.gates_size), busy(cell)
    kept = map_state(torch.clone, state)
    once = cell.step(projected, state)
    cell.step(random(BATCH, cell.gates_size), busy(cell))
    assert_same(state, kept, tolerance=0.0)
    assert_same(cell.step(projected, state), once, tolerance=0.0)
