"""Several cells as one, against the same cells called one by one."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nmt.errors import UserError
from nmt.model.cells import CELLS, build_cell
from nmt.model.decoder import Decoder
from nmt.model.dropout import VariationalDropout
from nmt.model.encoders import RecurrentEncoder
from nmt.model.stacks import DeepTransition, Stack
from nmt.options import build
from nmt.schema import Settings
from nmt.state import State
from tests.model.variants import assert_same, perturb

SIZE, BATCH = 4, 3
kinds = pytest.mark.parametrize("kind", CELLS)


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.double)


@kinds
def test_within_a_step_each_cell_goes_on_from_the_one_before(kind: str) -> None:
    torch.manual_seed(5)
    deep = build_cell(kind, (5, SIZE), 3)
    perturb(deep)
    assert isinstance(deep, DeepTransition)
    cells: list[Any] = list(deep.cells)
    first, second, third = cells
    state: State = first.start(random(BATCH, SIZE))
    found = state
    for x in random(2, BATCH, 5):
        output, state = first.step(first.project(x), state)
        for cell in (second, third):  # neither has an input; their biases are all that is added
            output, state = cell.step(cell.input.bias.expand(BATCH, -1), state)
        said, found = deep(x, found)
        assert_same((said, found), (output, state))


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_a_transition_without_input_begins_by_keeping_its_state(kind: str, norm: bool) -> None:
    torch.manual_seed(8)
    _, second = build_cell({"kind": kind, "layer_norm": norm}, (5, 64), 2).cells
    second.double()
    state = 0.3 * torch.randn(BATCH, 64, dtype=torch.double)
    before = (state, state) if kind == "lstm" else state
    output, after = second(state[:, :0], before)
    kept = after[1] if kind == "lstm" else output  # the LSTM's memory
    assert (kept * state).sum() > 0.8 * state.square().sum()


def test_a_textbook_gru_without_input_begins_by_keeping_its_state() -> None:
    torch.manual_seed(8)
    _, second = build_cell({"kind": "gru", "reset_after": False}, (5, 64), 2).cells
    state = 0.3 * torch.randn(BATCH, 64)
    output, _ = second(state[:, :0], state)
    assert (output * state).sum() > 0.8 * state.square().sum()


@kinds
def test_a_transition_without_input_normalises_its_state_alone(kind: str) -> None:
    torch.manual_seed(7)
    _, second = build_cell({"kind": kind, "layer_norm": True}, (5, SIZE), 2).cells
    perturb(second)
    nothing, state = random(BATCH, 0), second.start(random(BATCH, SIZE))
    before, _ = second(nothing, state)
    with torch.no_grad():
        second.input.bias *= 2  # a normalised bias would be the same as before
    after, _ = second(nothing, state)
    assert (after - before).abs().max() > 1e-3


@kinds
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("norm", [False, True])
def test_each_layer_reads_the_one_below(kind: str, residual: bool, norm: bool) -> None:
    torch.manual_seed(6)
    cells = [build(CELLS, kind, size, SIZE) for size in (5, SIZE, SIZE)]
    stack = Stack(cells, residual=residual, layer_norm=norm, dropout=0.5)
    perturb(stack)
    stack.eval()
    norms = stack.norms if norm else [nn.Identity()] * 3
    start = random(BATCH, SIZE)
    states, found = [cell.start(start) for cell in cells], stack.start(start)
    for x in random(2, BATCH, 5):
        read = x
        for layer, cell in enumerate(cells):
            output, states[layer] = cell(read, states[layer])
            read = norms[layer](output + read if residual and layer else output)
        said, found = stack(x, found)
        assert_same((said, found), (read, tuple(states)))


def test_layers_drop_what_they_read_in_training_only() -> None:
    cells = [build(CELLS, "rnn", SIZE, SIZE) for _ in range(2)]
    stack = Stack(cells, residual=False, layer_norm=False, dropout=0.5)
    x, state = torch.randn(BATCH, SIZE), stack.start(torch.zeros(BATCH, SIZE))
    assert not torch.equal(stack(x, state)[0], stack(x, state)[0])
    stack.eval()
    assert torch.equal(stack(x, state)[0], stack(x, state)[0])


def test_a_residual_connection_passes_dropout_by() -> None:
    cells = [build(CELLS, "rnn", SIZE, SIZE) for _ in range(2)]
    stack = Stack(cells, residual=True, layer_norm=False, dropout=0.9).double()
    for parameter in cells[1].parameters():
        nn.init.zeros_(parameter)  # the second layer says nothing: what is left is the first's
    x, state = random(BATCH, SIZE), stack.start(torch.zeros(BATCH, SIZE, dtype=torch.double))
    assert_same(stack(x, state)[0], cells[0](x, state[0])[0])
    encoder = RecurrentEncoder(5, hidden_size=SIZE, layers=2, residual=True, shortcut=False)
    encoder.double()
    for parameter in encoder.layers[1].parameters():
        nn.init.zeros_(parameter)
    dropped = encoder.dropout
    encoder.dropout = VariationalDropout(0.0)
    words, lengths = random(1, 3, 5), torch.tensor([3])
    expected = encoder(words, lengths).memory
    encoder.dropout = dropped
    found = encoder(words, lengths).memory
    kept = found != 0  # the memory itself is dropped from once, as with one layer
    assert_same(found[kept] * (1 - dropped.rate), expected[kept])


def test_an_encoders_residual_layers_add_what_they_read() -> None:
    torch.manual_seed(7)
    encoder = RecurrentEncoder(5, hidden_size=SIZE, layers=2, residual=True, shortcut=False)
    encoder.double().eval()
    words, lengths = random(1, 3, 5), torch.tensor([3])
    whole = encoder(words, lengths).memory
    encoder.residual = False
    second = encoder(words, lengths).memory
    below = RecurrentEncoder(5, hidden_size=SIZE, layers=1, shortcut=False).double().eval()
    below.layers = encoder.layers[:1]
    assert_same(whole, second + below(words, lengths).memory)


def test_an_encoders_layers_are_normalised_after_the_residual_sum() -> None:
    torch.manual_seed(7)
    options: Settings = {"hidden_size": SIZE, "layers": 2, "layer_norm": True, "shortcut": False}
    encoder = RecurrentEncoder(5, residual=True, **options).double().eval()
    for norm in encoder.norms:
        nn.init.normal_(norm.get_parameter("weight"))
    words, lengths = random(1, 3, 5), torch.tensor([3])
    whole, last = encoder(words, lengths).memory, encoder.norms[1]
    encoder.residual, encoder.norms[1] = False, nn.Identity()
    second = encoder(words, lengths).memory
    below = RecurrentEncoder(5, hidden_size=SIZE, shortcut=False).double().eval()
    below.layers, below.norms = encoder.layers[:1], encoder.norms[:1]
    assert_same(whole, last(second + below(words, lengths).memory))


@pytest.mark.parametrize("option", [{"residual": True}, {"dropout": 0.25}], ids=str)
def test_what_only_several_layers_have_is_refused_with_one(option: Settings) -> None:
    [(name, value)] = option.items()
    with pytest.raises(UserError, match=rf"^here: {name}: {str(value).lower()} needs layers: 2"):
        build(Decoder, option, 5, SIZE, where="here")
