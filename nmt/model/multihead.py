"""Multi-head attention: to the source, to a decoder's own past, and within a sentence."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from nmt.model.activations import attend
from nmt.model.dropout import Dropout
from nmt.schema import PositiveInt
from nmt.state import State


class MultiHeadAttention(nn.Module):
    """Several scaled dot products side by side (Vaswani et al. 2017, section 3.2.2).

    For head n: a_ij = softmax_j((W_n s)^T (U_n h_j) / sqrt(A)); c_i = W_o [sum_j a_ij V_n h_j]_n.
    The weights returned are the mean over the heads.

    Args:
        heads: number of heads.
        head_size: the size A of each head's vectors.
    """

    averages_memory = False
    reads_source = True

    def __init__(
        self,
        memory_size: int,
        query_size: int,
        /,
        *,
        heads: PositiveInt = 4,
        head_size: PositiveInt = 64,
    ) -> None:
        super().__init__()
        self.context_size = memory_size
        self.heads = heads
        self.query = nn.Linear(query_size, heads * head_size, bias=False)
        self.key = nn.Linear(memory_size, heads * head_size, bias=False)
        self.value = nn.Linear(memory_size, heads * head_size, bias=False)
        self.out = nn.Linear(heads * head_size, memory_size, bias=False)

    def split(self, vectors: Tensor) -> Tensor:
        """(B, L, P * A) -> (B, P, L, A)."""
        return vectors.view(*vectors.shape[:2], self.heads, -1).transpose(1, 2)

    def prepare(self, memory: Tensor, mask: Tensor) -> State:
        return self.split(self.key(memory)), self.split(self.value(memory)), mask

    def start(self, prepared: State) -> State:
        return ()

    def forward(
        self, query: Tensor, prepared: State, state: State, bias: Tensor | None = None
    ) -> tuple[Tensor, Tensor, State]:
        """As every attention; a bias (P, K, S) is added to the energies."""
        keys, values, mask = prepared
        assert isinstance(keys, Tensor) and isinstance(values, Tensor) and isinstance(mask, Tensor)
        queries = self.split(self.query(query.view(len(mask), -1, query.shape[1])))  # (B, P, K, A)
        energies = queries @ keys.transpose(2, 3) * keys.shape[3] ** -0.5  # (B, P, K, S)
        energies = energies if bias is None else energies + bias
        found, weights = attend(values, energies, mask[:, None])
        context: Tensor = self.out(found.transpose(1, 2).flatten(2))  # (B, K, M)
        return context.flatten(0, 1), weights.mean(dim=1).flatten(0, 1), state


def unit_norm(width: int) -> nn.LayerNorm:
    """Layer normalisation to vectors that begin with length 1, as word vectors do.

    With gains of 1 they would be sqrt(width) times as long, and what is added to the words in a
    residual stream would drown them.
    """
    norm = nn.LayerNorm(width)
    nn.init.constant_(norm.weight, width**-0.5)
    return norm


PREFERENCE = 3.0
"""Initial bias of the distance that a head begins with: e^3 is 20 times the weight of another."""


class Distances(nn.Module):
    """A bias b_n(j - i) of head n for the distance between two words (Raffel et al. 2020).

    Each head begins with a place that it prefers: the word itself, the one before, the one after,
    the second before and so on. With biases of zero at first, little is gained (LOG.md).

    Args:
        heads: number of heads.
        reach: the largest distance, in either direction; those beyond it share its bias.
    """

    def __init__(self, heads: int, reach: int) -> None:
        super().__init__()
        self.heads, self.reach = heads, reach
        nearest = sorted(range(-reach, reach + 1), key=lambda distance: (abs(distance), distance))
        table = torch.zeros(heads, len(nearest))
        for head in range(heads):
            table[head, reach + nearest[head % len(nearest)]] = PREFERENCE
        self.bias = nn.Parameter(table.flatten())  # a vector, as it is no matrix of a linear layer

    def forward(self, length: int) -> Tensor:
        """The biases (P, length, length) of words i, in rows, that look at words j."""
        places = torch.arange(length, device=self.bias.device)
        distances = (places - places.unsqueeze(1)).clamp(-self.reach, self.reach)
        return self.bias.view(self.heads, -1)[:, distances + self.reach]


class SelfAttentionLayer(nn.Module):
    """A pre-norm Transformer layer: self-attention, then a feed-forward network for each word.

    x' = x + heads(norm(x)); x'' = x' + W_2 relu(W_1 norm(x') + b_1) + b_2.

    Args:
        width: the size of x.
        heads: number of heads.
        head_size: the size of each head's vectors.
        feed_forward_size: the size of the hidden layer.
        reach: the largest distance between two words with a bias of its own; 0 for no biases.
        dropout: fraction of values dropped from the output of each sublayer.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        head_size: int,
        feed_forward_size: int,
        reach: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(width, width, heads=heads, head_size=head_size)
        self.distances = Distances(heads, reach) if reach else None
        self.norms = nn.ModuleList([unit_norm(width), unit_norm(width)])
        self.hidden = nn.Linear(width, feed_forward_size)
        self.out = nn.Linear(feed_forward_size, width)
        self.dropout = Dropout(dropout)
        nn.init.zeros_(self.hidden.bias)
        nn.init.zeros_(self.out.bias)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """(B, S, heads * head_size), (B, S) True at real words -> the same shape."""
        first, second = self.norms
        queries = first(states)
        prepared = self.attention.prepare(queries, mask)
        bias = self.distances(states.shape[1]) if self.distances else None
        found, _, _ = self.attention(queries.flatten(0, 1), prepared, (), bias)
        states = states + self.dropout(found.view_as(states))
        added = self.out(torch.relu(self.hidden(second(states))))
        result: Tensor = states + self.dropout(added)
        return result


class NoPast(nn.Module):
    """No self-attention: the decoder knows its past through its state alone."""

    def __init__(self, size: int, /) -> None:
        super().__init__()

    def start(self, output: Tensor) -> State:
        return ()

    def forward(self, output: Tensor, state: State) -> tuple[Tensor, State]:
        return output, state


class PastAttention(nn.Module):
    """A decoder's attention to its own past states: o_i = s_i + heads(s_i; s_0 ... s_(i-1)).

    After Cheng et al. 2016 and Vaswani et al. 2017. The state grows by one position per step.

    Args:
        heads: number of heads.
        head_size: the size of each head's vectors.
    """

    def __init__(
        self, size: int, /, *, heads: PositiveInt = 4, head_size: PositiveInt = 64
    ) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(size, size, heads=heads, head_size=head_size)

    def start(self, output: Tensor) -> State:
        return self._key_and_value(output)

    def forward(self, output: Tensor, state: State) -> tuple[Tensor, State]:
        keys, values = state
        assert isinstance(keys, Tensor) and isinstance(values, Tensor)  # (R, P, i, A)
        mask = torch.ones(len(keys), keys.shape[2], dtype=torch.bool, device=keys.device)
        found, _, _ = self.attention(output, (keys, values, mask), ())
        key, value = self._key_and_value(output)
        return output + found, (torch.cat([keys, key], dim=2), torch.cat([values, value], dim=2))

    def _key_and_value(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """The key and the value of a state (R, H), each (R, P, 1, A)."""
        memory = output.unsqueeze(1)
        split = self.attention.split
        return split(self.attention.key(memory)), split(self.attention.value(memory))


PASTS: dict[str, Callable[..., nn.Module]] = {"none": NoPast, "multihead": PastAttention}
