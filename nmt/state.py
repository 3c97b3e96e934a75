"""State: nested tuples of batch-first tensors, opaque to everyone but the part that made it.

Search and batching only ever map, select and repeat it, so no model variant needs a change there.
The first dimension of every tensor is the batch (or the batch times the beam).
"""

from collections.abc import Callable

from torch import Tensor

State = Tensor | tuple["State", ...]


def map_state(function: Callable[[Tensor], Tensor], state: State) -> State:
    """Applies a function to every tensor."""
    if isinstance(state, Tensor):
        return function(state)
    return tuple(map_state(function, part) for part in state)


def select(state: State, rows: Tensor) -> State:
    """The given rows, in the given order.

    Args:
        state: tensors of shape (B, ...).
        rows: (R,) integer indices into B; a row may occur more than once.

    Returns:
        Tensors of shape (R, ...).
    """
    return map_state(lambda tensor: tensor.index_select(0, rows), state)


def repeat(state: State, times: int) -> State:
    """Repeats every row `times` times, copies adjacent: (B, ...) -> (B * times, ...)."""
    return map_state(lambda tensor: tensor.repeat_interleave(times, dim=0), state)
