"""Attention: a memory read with a query; all variants implement the same contract.

`prepare` runs once per sentence, `start` gives the state that a variant carries from step to step,
and `forward` reads. The query may have K rows for each row of the memory (the hypotheses of one
sentence); they share that row, which is never copied.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from nmt.model.activations import attend, tanh_
from nmt.schema import PositiveInt
from nmt.state import State


class WeightedMean(nn.Module):
    """The mean of the memory, weighted by a softmax over energies, which each variant defines."""

    averages_memory = True
    reads_source = True
    key: nn.Module
    """Computes the keys of the memory, once per sentence: (B, S, M) -> (B, S, A)."""

    def __init__(self, memory_size: int) -> None:
        super().__init__()
        self.context_size = memory_size

    def energies(self, query: Tensor, keys: Tensor, mask: Tensor, state: State) -> Tensor:
        """Query (B, K, Q), keys (B, S, A), mask (B, S) and the state -> energies (B, K, S)."""
        raise NotImplementedError

    def follow(self, state: State, weights: Tensor) -> State:
        """The state after a read with these weights (R, S)."""
        return state

    def prepare(self, memory: Tensor, mask: Tensor) -> State:
        return self.key(memory), memory, mask

    def with_projection(self, prepared: State, function: Callable[[Tensor], Tensor]) -> State:
        """The same with f(m_j) beside each vector m_j; for a linear f, contexts are [c, f(c)]."""
        keys, memory, mask = prepared
        assert isinstance(memory, Tensor)
        return keys, torch.cat([memory, function(memory)], dim=2), mask

    def start(self, prepared: State) -> State:
        return ()

    def forward(self, query: Tensor, prepared: State, state: State) -> tuple[Tensor, Tensor, State]:
        keys, memory, mask = prepared
        assert isinstance(keys, Tensor) and isinstance(memory, Tensor) and isinstance(mask, Tensor)
        energies = self.energies(query.view(len(memory), -1, query.shape[1]), keys, mask, state)
        context, weights = attend(memory, energies, mask)
        weights = weights.flatten(0, 1)
        return context.flatten(0, 1), weights, self.follow(state, weights)


class NoAttention(WeightedMean):
    """No attention: a fixed vector, c_i = mean_j h_j (Cho et al. 2014 take the last state)."""

    reads_source = False

    def __init__(self, memory_size: int, query_size: int, /) -> None:
        super().__init__(memory_size)
        self.key = nn.Identity()

    def energies(self, query: Tensor, keys: Tensor, mask: Tensor, state: State) -> Tensor:
        return keys.new_zeros(*query.shape[:2], keys.shape[1])


class AdditiveAttention(WeightedMean):
    """Additive attention (Bahdanau et al. 2015): e_ij = v^T tanh(W s + U h_j).

    With coverage, e_ij = v^T tanh(W s + U h_j + w C_ij), where C_ij = sum_(k < i) a_kj is how much
    of word j has been read so far (Tu et al. 2016; See et al. 2017, eq. 11).

    Args:
        hidden_size: the size A of the energy's hidden layer.
        coverage: feed back how much of each word has been read so far.
    """

    def __init__(
        self,
        memory_size: int,
        query_size: int,
        /,
        *,
        hidden_size: PositiveInt = 256,
        coverage: bool = False,
    ) -> None:
        super().__init__(memory_size)
        self.key = nn.Linear(memory_size, hidden_size)
        self.query = nn.Linear(query_size, hidden_size, bias=False)
        self.energy = nn.Parameter(torch.empty(hidden_size))
        nn.init.zeros_(self.key.bias)
        nn.init.uniform_(self.energy, -(hidden_size**-0.5), hidden_size**-0.5)
        self.covered = nn.Parameter(self.energy.detach().clone()) if coverage else None

    def start(self, prepared: State) -> State:
        if self.covered is None:
            return ()
        mask = prepared[2]
        assert isinstance(mask, Tensor)
        return torch.zeros_like(mask, dtype=self.covered.dtype)  # C (R, S)

    def energies(self, query: Tensor, keys: Tensor, mask: Tensor, state: State) -> Tensor:
        sums = keys.unsqueeze(1) + self.query(query).unsqueeze(2)  # (B, K, S, A)
        if self.covered is not None:
            assert isinstance(state, Tensor)
            sums = sums + state.view(*sums.shape[:3], 1) * self.covered
        return tanh_(sums) @ self.energy

    def follow(self, state: State, weights: Tensor) -> State:
        return state + weights if isinstance(state, Tensor) else state


class DotAttention(WeightedMean):
    """Multiplicative attention (Luong et al. 2015, `dot`): e_ij = (W s)^T (U h_j).

    Args:
        hidden_size: the size A of both projections; null multiplies s and h_j themselves, as Luong
            et al. do, which requires that they have the same size.
    """

    scaled = False

    def __init__(
        self, memory_size: int, query_size: int, /, *, hidden_size: PositiveInt | None = 256
    ) -> None:
        super().__init__(memory_size)
        if hidden_size is None and memory_size != query_size:
            raise ValueError(
                "hidden_size: null needs a decoder.hidden_size as wide as the encoder's memory "
                f"({memory_size}), found {query_size}; set a hidden_size, or use general"
            )
        bare = hidden_size is None
        size = hidden_size or query_size
        self.scale = size**-0.5 if self.scaled else 1.0
        self.key = nn.Identity() if bare else nn.Linear(memory_size, size, bias=False)
        self.query = nn.Identity() if bare else nn.Linear(query_size, size, bias=False)

    def energies(self, query: Tensor, keys: Tensor, mask: Tensor, state: State) -> Tensor:
        energies: Tensor = self.query(query) * self.scale @ keys.transpose(1, 2)
        return energies


class ScaledDotAttention(DotAttention):
    """Scaled dot product (Vaswani et al. 2017, eq. 1): e_ij = (W s)^T (U h_j) / sqrt(A).

    Args:
        hidden_size: the size A of both projections; null multiplies s and h_j themselves, which
            requires that they have the same size.
    """

    scaled = True


class GeneralAttention(WeightedMean):
    """Bilinear attention (Luong et al. 2015, `general`): e_ij = s^T W h_j."""

    def __init__(self, memory_size: int, query_size: int, /) -> None:
        super().__init__(memory_size)
        self.key = nn.Linear(memory_size, query_size, bias=False)

    def energies(self, query: Tensor, keys: Tensor, mask: Tensor, state: State) -> Tensor:
        return query @ keys.transpose(1, 2)


class LocalAttention(GeneralAttention):
    """Attention to a window of the source (Luong et al. 2015, section 3.2).

    e_ij = s^T W h_j for j in [p_i - D, p_i + D], else -inf. Monotonic: p_i = m_i = min(i, S - 1).
    Predictive: p_i = (S - 1) sigmoid(v^T tanh(W_p s) + b); in training its sigmoid may saturate,
    with p_i at an end of every sentence. Shifted, not in the paper, predicts how far to go from
    m_i: p_i = (S - 1) sigmoid(logit((m_i + 1/2) / S) + v^T tanh(W_p s) + b). These two add
    log exp(-(j - p_i)^2 / (2 sigma^2)), sigma = D / 2, to the energies, so that, unlike in the
    paper, the weights still sum to 1. The centre p_i always lies within the sentence.

    Args:
        position: monotonic, predictive or shifted.
        window: D, in tokens on either side.
        hidden_size: size of the hidden layer that predicts the position; monotonic attention has
            none.
    """

    def __init__(
        self,
        memory_size: int,
        query_size: int,
        /,
        *,
        position: Literal["monotonic", "predictive", "shifted"] = "shifted",
        window: PositiveInt = 5,
        hidden_size: PositiveInt = 128,
    ) -> None:
        super().__init__(memory_size, query_size)
        self.window = window
        self.shifted = position == "shifted"
        self.place = None
        if position != "monotonic":
            layers = nn.Linear(query_size, hidden_size, bias=False), nn.Linear(hidden_size, 1)
            nn.init.zeros_(layers[1].bias)
            self.place = nn.Sequential(layers[0], nn.Tanh(), layers[1])

    def start(self, prepared: State) -> State:
        keys = prepared[0]
        assert isinstance(keys, Tensor)
        # bf16 has no number between 256 and 258.
        exact = torch.promote_types(keys.dtype, torch.float32)
        return keys.new_zeros(len(keys), 1, dtype=exact)  # i (R, 1)

    def energies(self, query: Tensor, keys: Tensor, mask: Tensor, state: State) -> Tensor:
        assert isinstance(state, Tensor)
        energies = super().energies(query, keys, mask, state)
        last = mask.sum(dim=1).sub(1).to(state.dtype).view(-1, 1, 1)  # (B, 1, 1)
        step = state.view(*query.shape[:2], 1)
        centre = torch.minimum(step, last)  # (B, K, 1)
        if self.place is not None:
            start = torch.logit((centre + 0.5) / (last + 1)) if self.shifted else 0.0
            centre = last * torch.sigmoid(start + self.place(query))
        away = torch.arange(mask.shape[1], device=mask.device) - centre  # (B, K, S)
        if self.place is not None:
            energies = energies - away.square() * (2 / self.window**2)
        return energies.masked_fill(away.abs() > self.window, -torch.inf)

    def follow(self, state: State, weights: Tensor) -> State:
        assert isinstance(state, Tensor)
        return state + 1


SINGLE: dict[str, Callable[..., WeightedMean]] = {
    "none": NoAttention,
    "additive": AdditiveAttention,
    "dot": DotAttention,
    "scaled_dot": ScaledDotAttention,
    "general": GeneralAttention,
    "local": LocalAttention,
}
"""Attention in one read, with one set of weights."""
