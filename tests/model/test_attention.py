"""Each attention against its equations, written again as plain loops over a sentence's words."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nmt.errors import UserError
from nmt.model.attention import AdditiveAttention
from nmt.model.memory import ATTENTIONS
from nmt.options import build
from nmt.state import State
from tests.model.variants import assert_same, encoded, perturb

Array = NDArray[np.float64]
MEMORY, QUERY = 5, 3
LENGTHS = [6, 2]


def make(kind: str, **settings: Any) -> Any:
    torch.manual_seed(10)
    attention = build(ATTENTIONS, {"kind": kind, **settings}, MEMORY, QUERY)
    perturb(attention)
    return attention


def array(tensor: Tensor) -> Array:
    return np.asarray(tensor.detach().numpy(), dtype=np.float64)


def weight(attention: nn.Module, name: str) -> Array:
    return array(attention.get_parameter(name))


def softmax(energies: Array) -> Array:
    powers = np.exp(energies - energies.max())
    return np.asarray(powers / powers.sum())


class Reads:
    """Three reads of two sentences, one after the other."""

    def __init__(self, attention: Any, size: int = QUERY) -> None:
        source = encoded(LENGTHS, MEMORY)
        self.queries = torch.randn(3, len(LENGTHS), size, dtype=torch.double)
        prepared = attention.prepare(source.memory, source.mask)
        state: State = attention.start(prepared)
        self.found = []
        for query in self.queries:
            context, weights, state = attention(query, prepared, state)
            self.found.append((context, weights))
        self.sentences = [array(source.memory[row, :n]) for row, n in enumerate(LENGTHS)]

    def expect(self, row: int, step: int, weights: Array) -> None:
        """These weights, and their mean of the memory."""
        context, found = self.found[step]
        assert_same(found[row, : LENGTHS[row]], torch.tensor(weights))
        assert_same(context[row], torch.tensor(weights @ self.sentences[row]))


def test_no_attention_is_the_mean() -> None:
    reads = Reads(make("none"))
    for row, length in enumerate(LENGTHS):
        for step in range(3):
            reads.expect(row, step, np.full(length, 1 / length))


@pytest.mark.parametrize("coverage", [False, True])
def test_additive_attention_is_its_equations(coverage: bool) -> None:
    attention = make("additive", hidden_size=4, coverage=coverage)
    reads = Reads(attention)
    w, u, v, bias = (
        weight(attention, name) for name in ("query.weight", "key.weight", "energy", "key.bias")
    )
    covered = weight(attention, "covered") if coverage else np.zeros(4)
    for row, sentence in enumerate(reads.sentences):
        so_far = np.zeros(LENGTHS[row])
        for step, query in enumerate(array(reads.queries[:, row])):
            sums = [
                w @ query + u @ h + bias + covered * c
                for h, c in zip(sentence, so_far, strict=True)
            ]
            weights = softmax(np.array([v @ np.tanh(one) for one in sums]))
            reads.expect(row, step, weights)
            so_far += weights


@pytest.mark.parametrize(("kind", "scale"), [("dot", 1.0), ("scaled_dot", 0.5)])
def test_dot_products_are_their_equations(kind: str, scale: float) -> None:
    attention = make(kind, hidden_size=4)
    reads = Reads(attention)
    w, u = weight(attention, "query.weight"), weight(attention, "key.weight")
    for row, sentence in enumerate(reads.sentences):
        for step, query in enumerate(array(reads.queries[:, row])):
            reads.expect(
                row, step, softmax(np.array([w @ query @ (u @ h) for h in sentence]) * scale)
            )


def test_a_dot_product_of_the_vectors_themselves_needs_one_size() -> None:
    with pytest.raises(UserError, match=r"as wide as the encoder's memory \(5\), found 3; set a"):
        make("dot", hidden_size=None)
    attention = build(ATTENTIONS, {"kind": "scaled_dot", "hidden_size": None}, MEMORY, MEMORY)
    assert list(attention.parameters()) == []
    reads = Reads(attention, MEMORY)
    for row, sentence in enumerate(reads.sentences):
        reads.expect(row, 1, softmax(sentence @ array(reads.queries[1, row]) / MEMORY**0.5))


def test_general_attention_is_its_equation() -> None:
    attention = make("general")
    reads, w = Reads(attention), weight(attention, "key.weight")
    for row, sentence in enumerate(reads.sentences):
        for step, query in enumerate(array(reads.queries[:, row])):
            reads.expect(row, step, softmax(np.array([query @ w @ h for h in sentence])))


@pytest.mark.parametrize("position", ["monotonic", "predictive", "shifted"])
def test_local_attention_is_its_equations(position: str) -> None:
    attention = make("local", position=position, window=1, hidden_size=4)
    reads, w = Reads(attention), weight(attention, "key.weight")
    for row, sentence in enumerate(reads.sentences):
        for step, query in enumerate(array(reads.queries[:, row])):
            centre: float = min(step, len(sentence) - 1)
            if position != "monotonic":
                hidden = np.tanh(weight(attention, "place.0.weight") @ query)
                sums = weight(attention, "place.2.weight") @ hidden
                sums += weight(attention, "place.2.bias")
                if position == "shifted":
                    share = (centre + 0.5) / len(sentence)
                    sums += np.log(share / (1 - share))
                centre = (len(sentence) - 1) * float(1 / (1 + np.exp(-sums[0])))
            away = np.arange(len(sentence)) - centre
            energies = np.array([query @ w @ h for h in sentence])
            if position != "monotonic":
                energies -= away**2 / (2 * 0.5**2)
            reads.expect(row, step, softmax(np.where(abs(away) <= 1, energies, -np.inf)))


def test_a_window_past_the_end_reads_the_last_words() -> None:
    reads = Reads(make("local", position="monotonic", window=1))
    _, weights = reads.found[2]  # the second sentence has two words
    assert weights[1, :2].sum().item() == pytest.approx(1.0)


def test_several_heads_are_the_ones_of_torch() -> None:
    attention = make("multihead", heads=2, head_size=4)
    theirs = nn.MultiheadAttention(
        8, 2, bias=False, kdim=MEMORY, vdim=MEMORY, batch_first=True
    ).double()
    source = encoded(LENGTHS, MEMORY)
    query = torch.randn(2, QUERY, dtype=torch.double)
    with torch.no_grad():  # theirs has one size for queries and outputs: projected outside
        theirs.q_proj_weight.copy_(torch.eye(8))
        theirs.k_proj_weight.copy_(attention.key.weight)
        theirs.v_proj_weight.copy_(attention.value.weight)
        theirs.out_proj.weight.copy_(torch.eye(8))
    prepared = attention.prepare(source.memory, source.mask)
    context, weights, _ = attention(query, prepared, attention.start(prepared))
    expected, shares = theirs(
        attention.query(query).unsqueeze(1),
        source.memory,
        source.memory,
        key_padding_mask=~source.mask,
    )
    assert_same(context, attention.out(expected.squeeze(1)))
    assert_same(weights, shares.squeeze(1))


def test_a_single_word_gets_all_the_attention() -> None:
    attention = AdditiveAttention(5, 3, hidden_size=4).double()
    source = encoded([1], 5)
    prepared = attention.prepare(source.memory, source.mask)
    context, weights, _ = attention(torch.randn(1, 3, dtype=torch.double), prepared, ())
    assert weights.tolist() == [[1.0]]
    assert torch.equal(context[0], source.memory[0, 0])
