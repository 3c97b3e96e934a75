"""Encoders against torch's recurrent layers and Transformer, and what a summary is."""

import math
from itertools import product

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import rnn

from nmt.model.encoders import ENCODERS, ORDERS, RecurrentEncoder, Sinusoids, fused
from nmt.model.multihead import PREFERENCE, Distances, SelfAttentionLayer
from nmt.options import build
from nmt.schema import Settings
from tests.model.variants import TORCH, assert_same, copy_weights, perturb

INPUT, HIDDEN, LENGTHS = 5, 4, [5, 2, 1]


def torchs(ours: RecurrentEncoder, cell: str, layers: int, bidirectional: bool) -> nn.RNNBase:
    """torch's own layers with the same weights."""
    made, order = TORCH[cell]
    theirs = made(INPUT, HIDDEN, layers, bidirectional=bidirectional, batch_first=True).double()
    for layer, directions in enumerate(ours.layers):
        assert isinstance(directions, nn.ModuleList)
        for part, suffix in zip(directions, ("", "_reverse"), strict=False):  # maybe one direction
            copy_weights(part, theirs, order, f"l{layer}{suffix}")
    return theirs


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", TORCH)
def test_the_memory_is_that_of_torchs_layers(cell: str, layers: int, bidirectional: bool) -> None:
    torch.manual_seed(11)
    sizes: Settings = {"hidden_size": HIDDEN, "layers": layers}
    encoder = RecurrentEncoder(
        INPUT, cell=cell, bidirectional=bidirectional, shortcut=False, **sizes
    )
    perturb(encoder.eval())
    words = torch.randn(3, 5, INPUT, dtype=torch.double)
    encoded = encoder(words, torch.tensor(LENGTHS))
    packed = rnn.pack_padded_sequence(words, torch.tensor(LENGTHS), batch_first=True)
    outputs, _ = torchs(encoder, cell, layers, bidirectional)(packed)
    expected, _ = rnn.pad_packed_sequence(outputs, batch_first=True)
    assert_same(encoded.memory, expected)
    means = [row[:length].mean(dim=0) for row, length in zip(expected, LENGTHS, strict=True)]
    assert_same(encoded.summary, torch.stack(means))


def test_the_shortcut_puts_each_word_beside_its_reading() -> None:
    torch.manual_seed(13)
    bare, encoder = (RecurrentEncoder(INPUT, hidden_size=HIDDEN, shortcut=s) for s in (False, True))
    encoder.load_state_dict(bare.state_dict())
    words, lengths = torch.randn(3, 5, INPUT), torch.tensor(LENGTHS)
    found, readings = encoder.eval()(words, lengths), bare.eval()(words, lengths)
    real = readings.mask.unsqueeze(2)
    assert_same(found.memory, torch.cat([readings.memory, words * real], dim=2))
    means = (words * real).sum(dim=1) / lengths.unsqueeze(1)
    assert_same(found.summary, torch.cat([readings.summary, means], dim=1), tolerance=1e-6)


def test_dropout_is_off_while_translating_and_on_while_training() -> None:
    torch.manual_seed(12)
    encoder = RecurrentEncoder(INPUT, hidden_size=HIDDEN, shortcut=False, dropout=0.5)
    words, lengths = torch.randn(2, 5, INPUT), torch.tensor([5, 5])
    training = encoder(words, lengths).memory
    assert 0 < (training == 0).float().mean() < 1
    assert not (encoder.eval()(words, lengths).memory == 0).any()


def test_a_layer_of_self_attention_is_torchs() -> None:
    torch.manual_seed(14)
    layer = SelfAttentionLayer(8, heads=2, head_size=4, feed_forward_size=6, reach=0, dropout=0.5)
    perturb(layer.eval())
    theirs = nn.TransformerEncoderLayer(8, 2, 6, batch_first=True, norm_first=True).double().eval()
    heads = layer.attention
    with torch.no_grad():
        weights = [part.weight for part in (heads.query, heads.key, heads.value)]
        theirs.self_attn.in_proj_weight.copy_(torch.cat(weights))
        theirs.self_attn.in_proj_bias.zero_()
        theirs.self_attn.out_proj.weight.copy_(heads.out.weight)
        theirs.self_attn.out_proj.bias.zero_()
        for ours, own in ((layer.hidden, theirs.linear1), (layer.out, theirs.linear2)):
            own.load_state_dict(ours.state_dict())
        for norm, own_norm in zip(layer.norms, (theirs.norm1, theirs.norm2), strict=True):
            own_norm.load_state_dict(norm.state_dict())
    states = torch.randn(3, 5, 8, dtype=torch.double)
    mask = torch.arange(5) < torch.tensor(LENGTHS).unsqueeze(1)
    expected = theirs(states, src_key_padding_mask=~mask)
    assert_same(layer(states, mask)[mask], expected[mask])


def test_each_distance_has_a_bias_of_its_own_up_to_a_reach() -> None:
    distances = Distances(heads=3, reach=2)
    bias = distances(6)
    for head, preferred in enumerate([0, -1, 1]):
        for i, j in product(range(6), repeat=2):
            assert bias[head, i, j] == (PREFERENCE if j - i == preferred else 0)
    with torch.no_grad():
        distances.bias.copy_(torch.arange(15.0))
    rows = [[2, 3, 4, 4, 4, 4], [1, 2, 3, 4, 4, 4], [0, 1, 2, 3, 4, 4], [0, 0, 1, 2, 3, 4]]
    assert distances(6)[0, :4].tolist() == rows
    assert torch.equal(distances(6)[2], distances(6)[0] + 10)


def test_biases_of_distances_are_added_to_the_energies() -> None:
    torch.manual_seed(14)
    layer = SelfAttentionLayer(8, heads=2, head_size=4, feed_forward_size=6, reach=1, dropout=0.0)
    states, mask = torch.randn(1, 5, 8), torch.ones(1, 5, dtype=torch.bool)
    heads = layer.attention
    read = layer.norms[0](states)
    q, k, v = (heads.split(part(read)) for part in (heads.query, heads.key, heads.value))
    assert layer.distances is not None
    energies = q @ k.mT / 2 + layer.distances(5)
    found = heads.out((energies.softmax(dim=3) @ v).transpose(1, 2).flatten(2))
    between = states + found
    expected = between + layer.out(torch.relu(layer.hidden(layer.norms[1](between))))
    assert_same(layer(states, mask), expected, tolerance=1e-5)


def test_sinusoids_tell_places() -> None:
    words = torch.randn(1, 4, 5, dtype=torch.double)
    memory = Sinusoids(5)(words, torch.tensor([4])).memory
    for j in range(4):
        for i in range(5):
            angle = j / 10000 ** (2 * (i // 2) / 5)
            place = math.cos(angle) if i % 2 else math.sin(angle)
            assert memory[0, j, i].item() == pytest.approx(words[0, j, i].item() + place / 5**0.5)


@pytest.mark.parametrize("order", ORDERS)
def test_self_attention_knows_the_order_from_what_is_below_it(order: str) -> None:
    torch.manual_seed(15)
    encoder = build(
        ENCODERS, {"kind": "self_attention", "order": order, "shortcut": False}, INPUT
    ).eval()
    assert fused(encoder)
    assert isinstance(encoder.order, ORDERS[order])  # type: ignore[arg-type]
    words, lengths = torch.randn(1, 4, INPUT), torch.tensor([4])
    there, back = (encoder(w, lengths).memory for w in (words, words.flip(1)))
    assert not torch.allclose(there, back.flip(1), atol=1e-3)


def test_what_self_attention_says_begins_no_longer_than_two_words() -> None:
    torch.manual_seed(4)
    encoder = build(ENCODERS, "self_attention", 64)
    words = functional.normalize(torch.randn(2, 5, 64), dim=2)
    memory = encoder(words, torch.tensor([5, 5])).memory
    readings = memory[:, :, : memory.shape[2] - encoder.words_size]
    assert 1 < readings.norm(dim=2).mean() < 2  # of a place too, and of what the layers add
