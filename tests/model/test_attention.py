"""Additive attention against its equations."""

import numpy as np
import torch

from nmt.model.attention import AdditiveAttention
from tests.model.variants import assert_same, encoded, perturb


def test_additive_attention_is_its_equations() -> None:
    torch.manual_seed(10)
    attention = AdditiveAttention(5, 3, hidden_size=4)
    perturb(attention)
    lengths, source = [4, 2], encoded([4, 2], 5)
    query = torch.randn(2, 3, dtype=torch.double)
    prepared = attention.prepare(source.memory, source.mask)
    context, weights, _ = attention(query, prepared, attention.start(prepared))

    w, u, v = (
        parameter.detach().numpy()
        for parameter in (attention.query.weight, attention.key.weight, attention.energy)
    )
    bias = attention.key.bias.detach().numpy()
    for row, length in enumerate(lengths):
        s, h = query[row].numpy(), source.memory[row, :length].numpy()
        energies = np.array([v @ np.tanh(w @ s + u @ h_j + bias) for h_j in h])
        expected = np.exp(energies) / np.exp(energies).sum()
        assert_same(weights[row, :length], torch.tensor(expected))
        assert_same(context[row], torch.tensor(expected @ h))


def test_a_single_word_gets_all_the_attention() -> None:
    attention = AdditiveAttention(5, 3, hidden_size=4).double()
    source = encoded([1], 5)
    prepared = attention.prepare(source.memory, source.mask)
    context, weights, _ = attention(torch.randn(1, 3, dtype=torch.double), prepared, ())
    assert weights.tolist() == [[1.0]]
    assert torch.equal(context[0], source.memory[0, 0])
