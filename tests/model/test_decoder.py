"""The decoder and the output layer, against their equations written again."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nmt.model.contracts import Encoded
from nmt.model.decoder import Decoder, Output
from nmt.schema import Settings
from tests.model.variants import assert_same

WORD, MEMORY, STATE = 3, 5, 4


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.double)


def decoder_of(**settings: Any) -> tuple[Decoder, Encoded]:
    torch.manual_seed(5)
    attention: Settings = {"kind": "additive", "hidden_size": 6}
    decoder = Decoder(
        WORD, MEMORY, **{"hidden_size": STATE, "attention": attention, **settings}
    ).double()
    mask = torch.tensor([[True, True, True], [True, True, False]])
    memory = random(2, 3, MEMORY) * mask.unsqueeze(2)
    return decoder.eval(), Encoded(memory, mask, random(2, MEMORY))


@pytest.mark.parametrize("attend", ["after", "before"])
def test_the_decoder_is_its_equations(attend: str) -> None:
    decoder, encoded = decoder_of(attend=attend)
    words = random(2, 4, WORD)
    source = decoder.prepare(encoded)

    def attention(query: Tensor) -> Tensor:
        return decoder.attention(query, source[0], decoder.attention.start(source[0]))[0]

    output = torch.tanh(encoded.summary @ decoder.bridge.weight.T + decoder.bridge.bias)
    state = decoder.cell.start(output)
    context = attention(output)
    expected = []
    for word in words.unbind(1):
        if attend == "before":
            context = attention(output)
        gates = decoder.cell.project(word) + context @ decoder.context.weight.T
        output, state = decoder.cell.step(gates, state)
        if attend == "after":
            context = attention(output)
        expected.append(torch.cat([output, context, word], dim=1))
    assert_same(decoder(words, source)[0], torch.stack(expected, dim=1))


@pytest.mark.parametrize(
    "attention",
    [
        {"kind": "additive", "coverage": True},
        {"kind": "local", "position": "monotonic"},
        {"kind": "turing_machine", "slots": 3, "slot_size": 2},
    ],
    ids=lambda attention: str(attention["kind"]),
)
@pytest.mark.parametrize("attend", ["after", "before"])
def test_the_first_context_leaves_no_trace_in_attentions_state(
    attend: str, attention: Settings
) -> None:
    """The first word's window is at the first word, and nothing has been read or written yet."""
    decoder, encoded = decoder_of(attend=attend, attention=attention)
    source = decoder.prepare(encoded)
    assert_same(decoder.start(source)[2], decoder.attention.start(source[0]))


@pytest.mark.parametrize("shortcut", [0, 2])
def test_the_output_layer_is_its_equations(shortcut: int) -> None:
    torch.manual_seed(6)
    output = Output((STATE, MEMORY, WORD), 6, 9, shortcut=shortcut, dropout=0.0).double()
    for parameter in output.parameters():
        nn.init.normal_(parameter)
    state, context, word = random(7, STATE), random(7, MEMORY), random(7, WORD)
    features = torch.cat([state, context, word], dim=1)
    readout = torch.tanh(features @ output.hidden.weight.T + output.hidden.bias)
    if shortcut:
        assert output.straight is not None
        readout = readout + context[:, -shortcut:] @ output.straight.weight.T
    expected = readout @ output.projection.weight.T + output.projection.bias
    assert_same(output(features), expected)


def test_the_readout_is_dropped_from_in_training_only() -> None:
    output = Output((STATE, MEMORY, WORD), 6, 9, shortcut=0, dropout=0.5)
    features = torch.randn(7, STATE + MEMORY + WORD)
    assert not torch.equal(output.readout(features), output.readout(features))
    output.eval()
    assert torch.equal(output.readout(features), output.readout(features))
