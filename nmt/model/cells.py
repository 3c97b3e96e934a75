"""Recurrent cells: one step of a recurrence, with one contract for all encoders and decoders.

A cell separates what depends on the past from what does not (Marian's applyInput and applyState):
`project` handles all time steps in one product, `step` adds the past. `step` accepts any sum of
projections, so a decoder can add the projection of its context. A cell's state is opaque.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from nmt import options
from nmt.model.activations import tanh
from nmt.model.contracts import Cell
from nmt.model.dropout import Dropout
from nmt.model.stacks import DeepTransition
from nmt.schema import Fraction, Settings
from nmt.state import State

KEEP = 2.0
"""What a cell without input adds to the initial bias of the gates that keep its state."""


class _Bias(nn.Module):
    """A linear layer without inputs, so only a bias: (..., 0) -> (..., G).

    A cell that has it deepens the transition of another, and begins by keeping most of its state:
    with gates half open, half would be lost in each (Srivastava et al. 2015; Zilly et al. 2017).
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(size))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.bias.expand(*inputs.shape[:-1], -1)


class _Cell(nn.Module):
    """The input projection of the gates, and all else that the cells have in common."""

    def __init__(self, input_size: int, hidden_size: int, gates: int, dropout: float) -> None:
        super().__init__()
        self.hidden_size, self.gates_size = hidden_size, gates * hidden_size
        self.input: nn.Linear = _linear(input_size, self.gates_size)
        self.dropout = Dropout(dropout)
        nn.init.zeros_(self.input.bias)

    def start(self, output: Tensor) -> State:
        return output

    def project(self, inputs: Tensor) -> Tensor:
        projected: Tensor = self.input(inputs)
        return projected

    def step(self, projected: Tensor, state: State) -> tuple[Tensor, State]:
        raise NotImplementedError

    def forward(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        return self.step(self.project(inputs), state)


class RNN(_Cell):
    """The vanilla recurrent network (Elman 1990): h' = tanh(U h + W x + b).

    Args:
        layer_norm: normalise both terms before they are added (Ba et al. 2016 have one norm of
            the sum).
        recurrent_dropout: fraction of h' dropped, anew at each step.
    """

    fusible = False

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        /,
        *,
        layer_norm: bool = False,
        recurrent_dropout: Fraction = 0.0,
    ) -> None:
        super().__init__(input_size, hidden_size, 1, recurrent_dropout)
        self.recurrent = nn.Linear(hidden_size, hidden_size, bias=False)
        self.norm_input = _norm(hidden_size, layer_norm and input_size > 0)
        self.norm_recurrent = _norm(hidden_size, layer_norm)

    def step(self, projected: Tensor, state: State) -> tuple[Tensor, State]:
        assert isinstance(state, Tensor)
        sums = self.norm_recurrent(self.recurrent(state)) + self.norm_input(projected)
        output = self.dropout(tanh(sums))
        return output, output


class GRU(_Cell):
    """Gated recurrent unit (Cho et al. 2014; z in the textbook form as in Chung et al. 2014).

    Textbook form (`reset_after: false`): z, r = sigmoid(W [h, x] + b);
    h~ = tanh(W_h [r * h, x] + b_h); h' = (1 - z) * h + z * h~.
    torch's and cuDNN's form (`reset_after: true`): h~ = tanh(W x + b + r * (U h + c)) and
    h' = (1 - z) * h~ + z * h: the reset gate is applied after the product, and z is the complement.

    Args:
        reset_after: torch's form, which needs a single product per step.
        layer_norm: normalise both terms of the gates' pre-activations, the candidate's with them
            (Ba et al. 2016 normalise it by itself).
        recurrent_dropout: fraction of h~ dropped, anew at each step: of what is written, never of
            what is kept (Semeniuta et al. 2016).
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        /,
        *,
        reset_after: bool = True,
        layer_norm: bool = False,
        recurrent_dropout: Fraction = 0.0,
    ) -> None:
        if layer_norm and not reset_after:
            raise ValueError("layer_norm: true needs reset_after: true, found false")
        # The order is torch's: r, z, h~.
        super().__init__(input_size, hidden_size, 3, recurrent_dropout)
        self.reset_after = reset_after
        gates = self.gates_size if reset_after else 2 * hidden_size
        self.recurrent = nn.Linear(hidden_size, gates, bias=reset_after)
        if not reset_after:  # r * h needs a product of its own
            self.candidate_recurrent = nn.Linear(hidden_size, hidden_size, bias=False)
        self.norm_input = _norm(self.gates_size, layer_norm and input_size > 0)
        self.norm_recurrent = _norm(self.gates_size, layer_norm)
        self.fusible = reset_after and not layer_norm and not recurrent_dropout
        if not input_size:
            bias = _gates_bias(self.norm_recurrent, self.input)
            nn.init.constant_(bias[hidden_size : 2 * hidden_size], KEEP if reset_after else -KEEP)
        if reset_after:
            nn.init.zeros_(self.recurrent.bias)

    def step(self, projected: Tensor, state: State) -> tuple[Tensor, State]:
        assert isinstance(state, Tensor)
        sizes = [2 * self.hidden_size, self.hidden_size]
        x_gates, x_candidate = torch.split(self.norm_input(projected), sizes, dim=1)
        if self.reset_after:
            past = self.norm_recurrent(self.recurrent(state))
            h_gates, h_candidate = torch.split(past, sizes, dim=1)
            r, z = torch.sigmoid(x_gates + h_gates).chunk(2, dim=1)
            candidate = self.dropout(tanh(x_candidate + r * h_candidate))
            output = candidate + z * (state - candidate)
        else:
            r, z = torch.sigmoid(x_gates + self.recurrent(state)).chunk(2, dim=1)
            candidate = self.dropout(tanh(x_candidate + self.candidate_recurrent(r * state)))
            output = state + z * (candidate - state)
        return output, output


class LSTM(_Cell):
    """Long short-term memory (Hochreiter and Schmidhuber 1997; Gers et al. 2000).

    i, f, o = sigmoid(W [h, x] + b); g = tanh(W_g [h, x] + b_g); c' = f * c + i * g;
    h' = o * tanh(c').

    Args:
        forget_bias: the forget gate's initial bias; at 1 the cell starts by remembering
            (Jozefowicz et al. 2015).
        layer_norm: normalise both terms of the gates' pre-activations, and c' before its tanh
            (Ba et al. 2016).
        recurrent_dropout: fraction of g dropped, anew at each step: of what is written, never of
            what is kept (Semeniuta et al. 2016).
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        /,
        *,
        forget_bias: float = 1.0,
        layer_norm: bool = False,
        recurrent_dropout: Fraction = 0.0,
    ) -> None:
        # Order i, f, o, g: the three sigmoids are one slice, so one call computes them.
        super().__init__(input_size, hidden_size, 4, recurrent_dropout)
        self.recurrent = nn.Linear(hidden_size, self.gates_size, bias=False)
        self.norm_input = _norm(self.gates_size, layer_norm and input_size > 0)
        self.norm_recurrent = _norm(self.gates_size, layer_norm)
        self.norm_memory = _norm(hidden_size, layer_norm)
        self.fusible = not layer_norm and not recurrent_dropout
        bias = _gates_bias(self.norm_recurrent, self.input)
        forget = forget_bias if input_size else forget_bias + KEEP
        nn.init.constant_(bias[hidden_size : 2 * hidden_size], forget)
        if not input_size:
            nn.init.constant_(bias[:hidden_size], -KEEP)

    def start(self, output: Tensor) -> State:
        return output, torch.zeros_like(output)

    def step(self, projected: Tensor, state: State) -> tuple[Tensor, State]:
        hidden, cell = state
        assert isinstance(hidden, Tensor) and isinstance(cell, Tensor)
        sums = self.norm_recurrent(self.recurrent(hidden)).add_(self.norm_input(projected))
        gates, candidate = torch.split(sums, [3 * self.hidden_size, self.hidden_size], dim=1)
        i, f, o = torch.sigmoid(gates).chunk(3, dim=1)
        cell = f * cell + i * self.dropout(tanh(candidate))
        hidden = o * tanh(self.norm_memory(cell))
        return hidden, (hidden, cell)


def _linear(inputs: int, outputs: int) -> Any:
    return nn.Linear(inputs, outputs) if inputs else _Bias(outputs)


def _gates_bias(norm: nn.Module, inputs: nn.Linear) -> Tensor:
    """What is added to the gates: after a normalisation, which would remove its mean."""
    return norm.bias if isinstance(norm, nn.LayerNorm) else inputs.bias


def _norm(size: int, wanted: bool) -> nn.Module:
    return nn.LayerNorm(size) if wanted else nn.Identity()


CELLS: dict[str, Callable[..., Cell]] = {"rnn": RNN, "gru": GRU, "lstm": LSTM}


def build_cell(settings: Settings | str, sizes: tuple[int, int], transitions: int) -> Any:
    """A cell or, with several transitions, a DeepTransition of as many cells.

    Args:
        settings: options of an entry of CELLS.
        sizes: input size and state size.
        transitions: cells within a time step.
    """
    inputs = [sizes[0], *[0] * (transitions - 1)]
    cells = [options.build(CELLS, settings, size, sizes[1], where="cell") for size in inputs]
    return cells[0] if transitions == 1 else DeepTransition(cells)
