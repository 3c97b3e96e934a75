"""The memory network and the Turing machine against their equations, written again as loops."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from nmt.model.memory import READERS, Heads, MemoryNetwork, TuringMachine
from nmt.options import build
from nmt.state import repeat
from tests.model.test_attention import MEMORY, QUERY, array, softmax, weight
from tests.model.variants import assert_same, encoded, perturb

Array = NDArray[np.float64]
SLOTS, WIDTH, LENGTHS = 6, 4, [4, 2]


def sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


def softplus(x: Array) -> Array:
    return np.asarray(np.log1p(np.exp(x)))


def test_a_memory_network_is_its_equations() -> None:
    torch.manual_seed(20)
    network = MemoryNetwork(MEMORY, QUERY, hops=2, hidden_size=4)
    perturb(network)
    source, query = encoded(LENGTHS, MEMORY), torch.randn(2, QUERY, dtype=torch.double)
    context, weights, _ = network(query, network.prepare(source.memory, source.mask), ())
    a_0, a_1, a_2 = np.split(weight(network, "memories.weight"), 3)
    for row, length in enumerate(LENGTHS):
        sentence = array(source.memory[row, :length])
        u = weight(network, "query.weight") @ array(query[row])
        for keys, values in ((a_0, a_1), (a_1, a_2)):
            shares = softmax(np.array([u @ (keys @ h) for h in sentence]))
            u = u + sum(p * (values @ h) for p, h in zip(shares, sentence, strict=True))
        assert_same(context[row], torch.tensor(u))
        assert_same(weights[row, :length], torch.tensor(shares))


def looked(heads: Heads, query: Array, memory: Array, before: Array) -> Array:
    """Where each head looks: (H, N)."""
    said = weight(heads, "interface.weight") @ query + weight(heads, "interface.bias")
    found = []
    for one, previous in zip(np.split(said, heads.heads), before, strict=True):
        key, strength, gate, sharpness = one[:WIDTH], *one[WIDTH : WIDTH + 3]
        shift = softmax(one[WIDTH + 3 :])
        alike = [key @ slot / np.linalg.norm(key) / np.linalg.norm(slot) for slot in memory]
        content = softmax(softplus(strength) * np.array(alike))
        gated = sigmoid(gate) * content + (1 - sigmoid(gate)) * previous
        moved = np.zeros(SLOTS)
        for place in range(SLOTS):
            for move, share in enumerate(shift, start=-heads.shifts):
                moved[(place + move) % SLOTS] += share * gated[place]
        sharp = moved ** (1 + softplus(sharpness))
        found.append(sharp / sharp.sum())
    return np.array(found)


def test_a_turing_machine_is_its_equations() -> None:
    torch.manual_seed(21)
    machine = TuringMachine(
        MEMORY, QUERY, source="none", slots=SLOTS, slot_size=WIDTH, read_heads=2, write_heads=2
    )
    perturb(machine)
    source, queries = encoded(LENGTHS, MEMORY), torch.randn(3, 2, QUERY, dtype=torch.double)
    prepared = machine.prepare(source.memory, source.mask)
    state = machine.start(prepared)
    memory, first = weight(machine, "slots"), np.eye(SLOTS)[0]
    reads, writes = np.stack([first] * 2), np.stack([first] * 2)
    for query in queries:
        context, _, state = machine(query, prepared, state)
        s = array(query[1])
        writes = looked(machine.write, s, memory, writes)
        said = weight(machine, "change.weight") @ s + weight(machine, "change.bias")
        changes = [np.split(one, 2) for one in np.split(said, 2)]
        kept = np.ones((SLOTS, WIDTH))
        for w, (erase, _) in zip(writes, changes, strict=True):
            kept *= 1 - np.outer(w, sigmoid(erase))
        memory = memory * kept
        for w, (_, add) in zip(writes, changes, strict=True):
            memory = memory + np.outer(w, np.tanh(add))
        reads = looked(machine.read, s, memory, reads)
        assert_same(context[1, : 2 * WIDTH], torch.tensor((reads @ memory).ravel()), 1e-9)
        assert_same(context[1, 2 * WIDTH :], source.memory[1, :2].mean(dim=0))


@pytest.mark.parametrize("reader", READERS)
def test_beside_its_slots_a_machine_reads_the_source_as_its_reader_does(reader: str) -> None:
    torch.manual_seed(22)
    machine = TuringMachine(MEMORY, QUERY, source=reader, slots=SLOTS, slot_size=WIDTH).double()
    alone: Any = build(READERS, reader, MEMORY, QUERY).double()
    alone.load_state_dict(machine.get_submodule("source").state_dict())
    source, query = encoded(LENGTHS, MEMORY), torch.randn(4, QUERY, dtype=torch.double)
    found = []
    for attention in (machine, alone):
        prepared = attention.prepare(source.memory, source.mask)
        start = attention.start(prepared)
        state = repeat(start, 2)
        found.append(attention(query, prepared, state)[:2])
    assert_same(found[0][0][:, WIDTH:], found[1][0])
    assert_same(found[0][1], found[1][1])
    assert machine.averages_memory is alone.averages_memory


def test_a_head_can_walk_from_slot_to_slot() -> None:
    heads = Heads(1, heads=1, width=WIDTH, shifts=1).double()
    with torch.no_grad():
        heads.interface.weight.zero_()
        gate, sharpness, ahead = WIDTH + 1, WIDTH + 2, WIDTH + 5
        heads.interface.bias[gate] = -50.0  # keep the place, whatever the content
        heads.interface.bias[sharpness] = 20.0
        heads.interface.bias[ahead] = 50.0
    weights = torch.eye(SLOTS, dtype=torch.double)[:1].unsqueeze(0)
    memory = torch.randn(1, SLOTS, WIDTH, dtype=torch.double)
    walked = []
    for _ in range(SLOTS + 1):
        weights = heads(torch.zeros(1, 1, dtype=torch.double), memory, weights)
        walked.append(int(weights.argmax()))
    assert walked == [1, 2, 3, 4, 5, 0, 1]


def test_however_sharp_a_head_looks_its_weights_sum_to_one() -> None:
    slots = 64
    heads = Heads(1, heads=1, width=WIDTH, shifts=1)
    with torch.no_grad():
        heads.interface.weight.zero_()
        heads.interface.bias[WIDTH + 2] = 100.0  # (1 / 64) ** 101 is 0 in fp32
    even = torch.full((1, 1, slots), 1 / slots)
    weights = heads(torch.zeros(1, 1), torch.randn(1, 1, WIDTH).expand(1, slots, WIDTH), even)
    assert_same(weights, even, 1e-6)
