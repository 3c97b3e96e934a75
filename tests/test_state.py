"""States are mapped, selected and repeated whole, however deep they are nested."""

import pytest
import torch
from torch import Tensor

from nmt.state import State, map_state, repeat, select

A, B, C = torch.arange(3), torch.arange(6.0).view(3, 2), torch.arange(12).view(3, 2, 2)
NESTED = (A, ((), (B, (C,))))


def shape(state: State) -> object:
    """The nesting, with each tensor as a list."""
    return state.tolist() if isinstance(state, Tensor) else tuple(map(shape, state))


@pytest.mark.parametrize("state", [A, (), (A,), NESTED])
def test_selecting_all_rows_changes_nothing(state: State) -> None:
    assert shape(select(state, torch.arange(3))) == shape(state)


def test_rows_are_given_in_the_order_asked_for_and_as_often() -> None:
    found = select(NESTED, torch.tensor([2, 0, 2, 2]))
    assert shape(found) == shape((A[[2, 0, 2, 2]], ((), (B[[2, 0, 2, 2]], (C[[2, 0, 2, 2]],)))))


def test_no_rows_can_be_selected() -> None:
    assert shape(select((A, B), torch.empty(0, dtype=torch.long))) == ([], [])


def test_repeated_rows_stand_side_by_side() -> None:
    found = repeat((A, (B,)), 2)
    assert shape(found) == ([0, 0, 1, 1, 2, 2], (B[[0, 0, 1, 1, 2, 2]].tolist(),))


def test_a_function_reaches_every_tensor_and_keeps_the_nesting() -> None:
    found = map_state(lambda tensor: tensor + 1, NESTED)
    assert shape(found) == shape((A + 1, ((), (B + 1, (C + 1,)))))
