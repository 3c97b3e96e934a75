"""Several cells as one: deep transitions within a time step, and stacked layers."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from nmt.model.dropout import Dropout
from nmt.state import State


class _Cells(nn.Module):
    """A cell made of several cells, the first of which reads the input."""

    fusible = False

    def __init__(self, cells: Sequence[Any]) -> None:
        super().__init__()
        self.cells = nn.ModuleList(cells)
        self.hidden_size: int = cells[0].hidden_size
        self.gates_size: int = cells[0].gates_size

    def project(self, inputs: Tensor) -> Tensor:
        projected: Tensor = self._each()[0].project(inputs)
        return projected

    def step(self, projected: Tensor, state: State) -> tuple[Tensor, State]:
        raise NotImplementedError

    def forward(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        return self.step(self.project(inputs), state)

    def _each(self) -> list[Any]:
        return list(self.cells)


class DeepTransition(_Cells):
    """A recurrence of several cells within each time step (Pascanu et al. 2014).

    s_(t,1) = cell_1(x_t, s_(t-1,L)); s_(t,l) = cell_l(s_(t,l-1)): only the first cell has an
    input, and the state of the last begins the next step (Miceli Barone et al. 2017, eq. 6).

    Args:
        cells: cells of one kind and size; the first has an input, the others one of size 0.
    """

    def start(self, output: Tensor) -> State:
        state: State = self._each()[0].start(output)
        return state

    def step(self, projected: Tensor, state: State) -> tuple[Tensor, State]:
        first, *others = self._each()
        output, state = first.step(projected, state)
        for cell in others:
            output, state = cell(output[:, :0], state)
        return output, state


class Stack(_Cells):
    """A stack of layers, each reading the one below, as one cell: the decoder's depth.

    Args:
        cells: from the lowest, which reads the input, to the highest, which gives the output.
        residual: add each layer's input to its output, except in the first (He et al. 2016).
        layer_norm: normalise each layer's output (Ba et al. 2016).
        dropout: fraction of values dropped between layers (Zaremba et al. 2014).
    """

    def __init__(
        self, cells: Sequence[Any], *, residual: bool, layer_norm: bool, dropout: float
    ) -> None:
        super().__init__(cells)
        self.residual = residual
        self.norms = nn.ModuleList(layer_norms(layer_norm, self.hidden_size, len(cells)))
        self.dropout = Dropout(dropout)

    def start(self, output: Tensor) -> State:
        return tuple(cell.start(output) for cell in self._each())

    def step(self, projected: Tensor, state: State) -> tuple[Tensor, State]:
        first, *others = self._each()
        norm, *norms = self.norms
        output, lowest = first.step(projected, state[0])
        output, states = norm(output), [lowest]
        for cell, norm, before in zip(others, norms, state[1:], strict=True):
            new, after = cell(self.dropout(output), before)
            output = norm(new + output if self.residual else new)
            states.append(after)
        return output, tuple(states)


def expect_layers(layers: int, **wanted: object) -> None:
    """Refuses options that need several layers.

    Raises:
        ValueError: one of them is set, but there is only one layer.
    """
    for name, value in wanted.items():
        if value and layers == 1:
            raise ValueError(f"{name}: {str(value).lower()} needs layers: 2 or more, found 1")


def layer_norms(wanted: bool, size: int, count: int) -> list[nn.Module]:
    """One module per layer: a LayerNorm if wanted, else an Identity."""
    return [nn.LayerNorm(size) if wanted else nn.Identity() for _ in range(count)]
