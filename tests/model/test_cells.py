"""The cells against their equations, written again as plain loops, and against torch's own."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nmt.errors import UserError
from nmt.model import cells
from nmt.model.encoders import unroll
from nmt.model.seq2seq import Seq2Seq
from nmt.options import build
from tests.model.variants import TORCH, assert_same, copy_weights, perturb

Array = NDArray[np.float64]
BATCH, LENGTH, INPUT, HIDDEN = 3, 6, 5, 4


def inputs(seed: int = 1) -> Tensor:
    torch.manual_seed(seed)
    return torch.randn(BATCH, LENGTH, INPUT, dtype=torch.double)


def gru(**settings: bool) -> cells.GRU:
    cell = cells.GRU(INPUT, HIDDEN, **settings)
    perturb(cell)
    return cell


def rnn(layer_norm: bool = False) -> cells.RNN:
    cell = cells.RNN(INPUT, HIDDEN, layer_norm=layer_norm)
    perturb(cell)
    return cell


def lstm(layer_norm: bool = False) -> cells.LSTM:
    cell = cells.LSTM(INPUT, HIDDEN, layer_norm=layer_norm)
    perturb(cell)
    return cell


def array(tensor: Tensor) -> Array:
    return np.asarray(tensor.detach().numpy(), dtype=np.float64)


def sigmoid(x: Array) -> Array:
    return np.asarray(1.0 / (1.0 + np.exp(-x)))


def gates(cell: nn.Module, name: str, count: int) -> list[Array]:
    return np.split(array(cell.get_parameter(name)), count)


def normalised(x: Array, norm: nn.Module) -> Array:
    spread = np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
    gain, bias = (array(norm.get_parameter(name)) for name in ("weight", "bias"))
    return np.asarray((x - x.mean(axis=1, keepdims=True)) / spread * gain + bias)


@pytest.mark.parametrize("layer_norm", [False, True])
def test_the_vanilla_rnn_is_its_equation(layer_norm: bool) -> None:
    xs, cell = inputs(), rnn(layer_norm)
    w_hh, w_xh = array(cell.recurrent.weight), array(cell.input.weight)
    h, expected = np.zeros((BATCH, HIDDEN)), []
    for x in array(xs).swapaxes(0, 1):
        past, now = h @ w_hh.T, x @ w_xh.T + array(cell.input.bias)
        if layer_norm:
            past = normalised(past, cell.norm_recurrent)
            now = normalised(now, cell.norm_input)
        h = np.tanh(past + now)
        expected.append(h)
    assert_same(unroll(cell, xs), torch.tensor(np.stack(expected, axis=1)))


def test_the_textbook_gru_is_its_equations() -> None:
    xs, cell = inputs(), gru(reset_after=False)
    w_r, w_z, w_n = gates(cell, "input.weight", 3)
    b_r, b_z, b_n = gates(cell, "input.bias", 3)
    u_r, u_z = gates(cell, "recurrent.weight", 2)
    (u_n,) = gates(cell, "candidate_recurrent.weight", 1)
    h, expected = np.zeros((BATCH, HIDDEN)), []
    for x in array(xs).swapaxes(0, 1):
        r = sigmoid(np.hstack([h, x]) @ np.hstack([u_r, w_r]).T + b_r)
        z = sigmoid(np.hstack([h, x]) @ np.hstack([u_z, w_z]).T + b_z)
        candidate = np.tanh(np.hstack([r * h, x]) @ np.hstack([u_n, w_n]).T + b_n)
        h = (1 - z) * h + z * candidate
        expected.append(h)
    assert_same(unroll(cell, xs), torch.tensor(np.stack(expected, axis=1)))


@pytest.mark.parametrize("layer_norm", [False, True])
def test_the_gru_that_resets_after_the_product_is_its_equations(layer_norm: bool) -> None:
    xs, cell = inputs(), gru(layer_norm=layer_norm)
    h, expected = np.zeros((BATCH, HIDDEN)), []
    for x in array(xs).swapaxes(0, 1):
        now = x @ array(cell.input.weight).T + array(cell.input.bias)
        past = h @ array(cell.recurrent.weight).T + array(cell.recurrent.bias)
        if layer_norm:
            now = normalised(now, cell.norm_input)
            past = normalised(past, cell.norm_recurrent)
        (x_r, x_z, x_n), (h_r, h_z, h_n) = (np.split(sums, 3, axis=1) for sums in (now, past))
        z = sigmoid(x_z + h_z)
        h = (1 - z) * np.tanh(x_n + sigmoid(x_r + h_r) * h_n) + z * h
        expected.append(h)
    assert_same(unroll(cell, xs), torch.tensor(np.stack(expected, axis=1)))


@pytest.mark.parametrize("layer_norm", [False, True])
def test_the_lstm_is_its_equations(layer_norm: bool) -> None:
    xs, cell = inputs(), lstm(layer_norm=layer_norm)
    h, c, expected = np.zeros((BATCH, HIDDEN)), np.zeros((BATCH, HIDDEN)), []
    for x in array(xs).swapaxes(0, 1):
        now = x @ array(cell.input.weight).T + array(cell.input.bias)
        past = h @ array(cell.recurrent.weight).T
        if layer_norm:
            now = normalised(now, cell.norm_input)
            past = normalised(past, cell.norm_recurrent)
        i, f, o, g = np.split(now + past, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        memory = normalised(c, cell.norm_memory) if layer_norm else c
        h = sigmoid(o) * np.tanh(memory)
        expected.append(h)
    assert_same(unroll(cell, xs), torch.tensor(np.stack(expected, axis=1)))


MADE: dict[str, Callable[[], Any]] = {"rnn": rnn, "gru": gru, "lstm": lstm}


@pytest.mark.parametrize("kind", TORCH)
def test_a_cell_is_the_one_of_torch_gradients_included(kind: str) -> None:
    xs, ours = inputs().requires_grad_(), MADE[kind]()
    made, order = TORCH[kind]
    theirs = made(INPUT, HIDDEN, batch_first=True).double()
    copy_weights(ours, theirs, order)
    expected, _ = theirs(xs)
    found = unroll(ours, xs)
    assert_same(found, expected)
    gradients = [torch.autograd.grad(y.square().sum(), xs)[0] for y in (found, expected)]
    assert_same(gradients[0], gradients[1])


@pytest.mark.parametrize("kind", cells.CELLS)
def test_recurrent_dropout_drops_what_is_written_and_only_in_training(kind: str) -> None:
    torch.manual_seed(3)
    cell = build(cells.CELLS, {"kind": kind, "recurrent_dropout": 0.5}, 2, 20)
    before, projected = torch.full((200, 20), 0.3), torch.ones(200, cell.gates_size)

    def stepped() -> Tensor:
        """What the cell keeps: an LSTM's memory, the others' output."""
        state = cell.step(projected, (before, before) if kind == "lstm" else before)[1]
        kept = state[1] if isinstance(state, tuple) else state
        assert isinstance(kept, Tensor)
        return kept

    dropped = stepped()
    cell.eval()
    whole = stepped()
    factors = []
    for factor in (0.0, 1.0, 2.0):  # of what is written
        setattr(cell.dropout, "forward", partial(torch.mul, factor))  # noqa: B010
        factors.append(stepped())
    nothing, once, twice = factors
    gone = dropped == nothing
    assert 0.45 < gone.float().mean() < 0.55
    torch.testing.assert_close(dropped[~gone], twice[~gone])
    torch.testing.assert_close(whole, once)
    assert (nothing == 0).all() if kind == "rnn" else (nothing != 0).all()


@pytest.mark.parametrize("layer_norm", [False, True])
def test_an_lstm_starts_by_remembering(layer_norm: bool) -> None:
    cell = cells.LSTM(INPUT, HIDDEN, forget_bias=1.5, layer_norm=layer_norm)
    # With normalisation it must stand after it, which would take its mean out again.
    last = cell.norm_recurrent.bias if layer_norm else cell.input.bias
    assert isinstance(last, Tensor)
    assert last.chunk(4)[1].tolist() == [1.5] * HIDDEN
    assert all((gate == 0).all() for place, gate in enumerate(last.chunk(4)) if place != 1)


def test_a_textbook_gru_with_layer_norm_is_refused() -> None:
    with pytest.raises(UserError, match="layer_norm: true needs reset_after: true, found false"):
        build(
            cells.CELLS,
            {"kind": "gru", "reset_after": False, "layer_norm": True},
            INPUT,
            HIDDEN,
            where="model.encoder.cell",
        )


def test_a_mistake_in_a_part_of_a_part_is_named_by_its_whole_key() -> None:
    cell = {"kind": "gru", "reset_after": False, "layer_norm": True}
    encoder = {"kind": "self_attention", "order": {"kind": "recurrent", "cell": cell}}
    with pytest.raises(UserError, match=r"^model\.encoder\.order\.cell: layer_norm: true needs"):
        build(Seq2Seq, {"encoder": encoder}, 8, 8, where="model")
