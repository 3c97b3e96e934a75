"""Initial weights: each rule does what its name says, and each matrix gets the rule of its role."""

import math
from typing import get_args

import pytest
import torch
from torch import Tensor, nn

from nmt.model.initialization import INITIALIZERS, RecurrentRule, Rule, initialize
from nmt.model.seq2seq import Seq2Seq


def network(**settings: str) -> Seq2Seq:
    torch.manual_seed(6)
    return Seq2Seq(
        500,
        600,
        embedding_size=64,
        encoder={"kind": "recurrent", "hidden_size": 24},
        decoder={"hidden_size": 40},
        **settings,  # type: ignore[arg-type]
    )


def recurrent_blocks(model: nn.Module) -> list[Tensor]:
    """The square blocks of all recurrent matrices, one for each gate."""
    return [
        block
        for name, parameter in model.named_parameters()
        if name.endswith("recurrent.weight")
        for block in torch.split(parameter.detach(), parameter.shape[1])
    ]


def test_every_rule_can_be_chosen() -> None:
    assert set(get_args(RecurrentRule)) == set(INITIALIZERS)


def test_recurrent_weights_are_orthogonal_gate_by_gate() -> None:
    blocks = recurrent_blocks(network())
    assert len(blocks) == 3 + 3 + 4  # a GRU for each direction, and an LSTM
    for block in blocks:
        torch.testing.assert_close(block @ block.T, torch.eye(len(block)), atol=1e-5, rtol=0)


def test_recurrent_weights_can_be_the_identity() -> None:
    for block in recurrent_blocks(network(recurrent_initialization="identity")):
        assert torch.equal(block, torch.eye(len(block)))


def test_the_gates_of_a_cell_differ() -> None:
    first, second, *_ = recurrent_blocks(network())
    assert not torch.allclose(first, second)


@pytest.mark.parametrize(
    ("rule", "spread"),
    [
        ("uniform", 0.1 / math.sqrt(3)),
        ("xavier_uniform", math.sqrt(2 / (300 + 200))),
        ("xavier_normal", math.sqrt(2 / (300 + 200))),
        ("kaiming", math.sqrt(2 / 200)),
        ("orthogonal", math.sqrt(1 / 300)),
    ],
)
def test_rules_have_the_spread_of_their_papers(rule: Rule, spread: float) -> None:
    torch.manual_seed(7)
    layer = nn.Linear(200, 300)
    before = layer.bias.detach().clone()
    initialize(layer, rule, "orthogonal")
    assert layer.weight.std().item() == pytest.approx(spread, rel=0.03)
    assert torch.equal(layer.bias, before)


@pytest.mark.parametrize("tie", ["none", "target"])
def test_embeddings_and_the_projection_have_rows_of_unit_length(tie: str) -> None:
    model = network(tie_embeddings=tie)
    for layer in (model.source_embedding, model.target_embedding, model.output.projection):
        assert layer.weight.norm(dim=1).mean().item() == pytest.approx(1, rel=0.02)


def test_vectors_keep_the_values_of_their_modules() -> None:
    model = network()
    assert (model.output.projection.bias == 0).all()
    forget = model.decoder.get_parameter("cell.input.bias").chunk(4)[1]
    assert (forget == 1).all()
