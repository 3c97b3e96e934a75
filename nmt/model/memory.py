"""Memories: a memory network, which reads in several hops, and a neural Turing machine.

Both implement the attention contract. A memory network reads the encoded source repeatedly; a
Turing machine has slots of its own, which it reads and writes while decoding: they are its state.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional

from nmt import options
from nmt.model.activations import attend
from nmt.model.attention import SINGLE
from nmt.model.contracts import Attention
from nmt.model.multihead import MultiHeadAttention
from nmt.schema import Count, Part, PositiveInt, Settings
from nmt.state import State


class MemoryNetwork(nn.Module):
    """Reading in several hops (Sukhbaatar et al. 2015).

    u_0 = B s; a_j = softmax_j(u_k^T A_k h_j); u_(k+1) = u_k + sum_j a_j C_k h_j, where A_(k+1) is
    C_k (the paper's adjacent weights); c = u_hops. The weights returned are those of the last hop.

    Args:
        hops: number of reads.
        hidden_size: the size of u.
    """

    averages_memory = False
    reads_source = True

    def __init__(
        self,
        memory_size: int,
        query_size: int,
        /,
        *,
        hops: PositiveInt = 3,
        hidden_size: PositiveInt = 256,
    ) -> None:
        super().__init__()
        self.hops = hops
        self.context_size = hidden_size
        self.query = nn.Linear(query_size, hidden_size, bias=False)
        self.memories = nn.Linear(memory_size, (hops + 1) * hidden_size, bias=False)

    def prepare(self, memory: Tensor, mask: Tensor) -> State:
        return *self.memories(memory).chunk(self.hops + 1, dim=2), mask

    def start(self, prepared: State) -> State:
        return ()

    def forward(self, query: Tensor, prepared: State, state: State) -> tuple[Tensor, Tensor, State]:
        *memories, mask = prepared
        assert isinstance(mask, Tensor)
        read: Tensor = self.query(query.view(len(mask), -1, query.shape[1]))  # (B, K, A)
        for keys, values in pairwise(memories):
            assert isinstance(keys, Tensor) and isinstance(values, Tensor)
            found, weights = attend(values, read @ keys.transpose(1, 2), mask)
            read = read + found
        return read.flatten(0, 1), weights.flatten(0, 1), state


STRENGTH = 4.0
"""Initial bias of a head's strength b, before the softplus."""


class Heads(nn.Module):
    """The addressing of a Turing machine's heads (Graves et al. 2014, section 3.3).

    By content (eq. 5, 6): w_c = softmax_j(b cos(k, M_j)); interpolated with the last weights
    (eq. 7): w_g = g w_c + (1 - g) w_(t-1); shifted around the circle of slots (eq. 8): w_s(j) =
    sum_d s_d w_g(j - d); sharpened (eq. 9): w_j = w_s(j)^y / sum_i w_s(i)^y. The controller emits
    k, b = softplus, g = sigmoid, s = softmax and y = 1 + softplus.

    Args:
        query_size: the size of the controller's output.
        heads: number of heads.
        width: the size W of a slot.
        shifts: the largest shift, in either direction.
    """

    def __init__(self, query_size: int, heads: int, width: int, shifts: int) -> None:
        super().__init__()
        self.heads, self.shifts = heads, shifts
        self.sizes = [width, 1, 1, 1, 2 * shifts + 1]
        self.interface = nn.Linear(query_size, heads * sum(self.sizes))
        nn.init.zeros_(self.interface.bias)
        # Cosines are at most 1: with b near 0 all slots look alike, and the keys learn nothing.
        nn.init.constant_(self.interface.bias.view(heads, -1)[:, width], STRENGTH)

    def forward(self, query: Tensor, memory: Tensor, before: Tensor) -> Tensor:
        """(R, Q), slots (R, N, W) and the last weights (R, P, N) -> the weights (R, P, N)."""
        emitted = self.interface(query).to(memory.dtype).view(len(query), self.heads, -1)
        key, strength, gate, sharpness, shift = torch.split(emitted, self.sizes, dim=2)
        cosine = functional.normalize(key, dim=2) @ functional.normalize(memory, dim=2).mT
        content = torch.softmax(functional.softplus(strength) * cosine, dim=2)
        weights = torch.lerp(before, content, torch.sigmoid(gate))
        shift = torch.softmax(shift, dim=2)  # (R, P, 2D + 1), of -D to D
        moves = range(-self.shifts, self.shifts + 1)
        rolled = torch.stack([weights.roll(move, dims=2) for move in moves], dim=3)
        # Not a matrix product, which autocast rounds: a sharp weight would lose its neighbours.
        shifted = (rolled * shift.unsqueeze(2)).sum(dim=3)
        # As a softmax of logarithms, since the powers of small weights would all be 0 in fp32. No
        # weight may be 0 itself.
        logs = shifted.clamp_min(1e-12).log()
        return torch.softmax((1 + functional.softplus(sharpness)) * logs, dim=2)


class TuringMachine(nn.Module):
    """A neural Turing machine: slots that are read and written at each step (Graves et al. 2014).

    It is the decoder's memory, beside attention to the source (MemDec; Wang et al. 2016). First
    the write heads erase and add, M_j = M_j prod_h (1 - w_hj e_h) + sum_h w_hj a_h (eq. 3, 4), with
    e = sigmoid and a = tanh of projections of the controller's output s; then the read heads read,
    r_h = sum_j w_hj M_j (eq. 2). The context is [r, c], where c is the source's; so are the weights
    returned. All heads begin at the first slot; the slots' initial values are learnt.

    Args:
        source: how the source itself is read; none leaves the decoder with its slots and a fixed
            vector.
        slots: number of slots.
        slot_size: the size W of a slot.
        read_heads: number of heads that read.
        write_heads: number of heads that write.
        shifts: the largest shift of a head in one step, in either direction.
    """

    def __init__(
        self,
        memory_size: int,
        query_size: int,
        /,
        *,
        source: Annotated[Settings | str, Part("nmt.model.memory:READERS")] = "additive",
        slots: PositiveInt = 64,
        slot_size: PositiveInt = 64,
        read_heads: PositiveInt = 1,
        write_heads: PositiveInt = 1,
        shifts: Count = 1,
    ) -> None:
        super().__init__()
        self.source: Attention = options.build(
            READERS, source, memory_size, query_size, where="source"
        )
        self.averages_memory = self.source.averages_memory
        self.reads_source = self.source.reads_source
        self.context_size = read_heads * slot_size + self.source.context_size
        self.slots = nn.Parameter(torch.empty(slots, slot_size))
        self.read = Heads(query_size, read_heads, slot_size, shifts)
        self.write = Heads(query_size, write_heads, slot_size, shifts)
        self.change = nn.Linear(query_size, write_heads * 2 * slot_size)  # e, a
        nn.init.xavier_uniform_(self.slots)  # a network's `initialization` overrides this
        nn.init.zeros_(self.change.bias)

    def prepare(self, memory: Tensor, mask: Tensor) -> State:
        return self.source.prepare(memory, mask), mask

    def start(self, prepared: State) -> State:
        source, mask = prepared
        assert isinstance(mask, Tensor)
        slots = self.slots.expand(len(mask), -1, -1)  # (B, N, W)
        first = functional.pad(slots.new_ones(len(mask), 1, 1), (0, len(self.slots) - 1))
        reads, writes = (first.expand(-1, part.heads, -1) for part in (self.read, self.write))
        return slots, reads, writes, self.source.start(source)

    def forward(self, query: Tensor, prepared: State, state: State) -> tuple[Tensor, Tensor, State]:
        slots, reads, writes, source_state = state
        assert isinstance(slots, Tensor) and isinstance(writes, Tensor)
        assert isinstance(reads, Tensor)
        context, weights, source_state = self.source(query, prepared[0], source_state)
        writes = self.write(query, slots, writes)
        erase, add = self.change(query).view(*writes.shape[:2], -1).chunk(2, dim=2)  # (R, P, W)
        kept = 1 - writes.unsqueeze(3) * torch.sigmoid(erase).unsqueeze(2)  # (R, P, N, W)
        slots = slots * kept.prod(dim=1) + writes.mT @ torch.tanh(add)
        reads = self.read(query, slots, reads)
        found = (reads @ slots).flatten(1)  # (R, P * W)
        return torch.cat([found, context], dim=1), weights, (slots, reads, writes, source_state)


READERS: dict[str, Callable[..., Attention]] = {
    **SINGLE,
    "multihead": MultiHeadAttention,
    "memory_network": MemoryNetwork,
}
"""Attention that reads the source and writes nothing."""

ATTENTIONS: dict[str, Callable[..., Attention]] = {
    **READERS,
    "turing_machine": TuringMachine,
}
