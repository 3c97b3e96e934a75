"""Attention: a memory that is read with a query, in a contract that every variant keeps.

`prepare` runs once a sentence; `start` gives the state that a variant carries from step to step;
`forward` reads. The query may have K rows for each row of the memory (the hypotheses of one
sentence): they share it, and it is never copied.
"""

import torch
from torch import Tensor, nn

from nmt.model.activations import tanh_
from nmt.options import PositiveInt
from nmt.state import State


class AdditiveAttention(nn.Module):
    """Additive attention (Bahdanau et al. 2015).

    e_ij = v^T tanh(W s_(i-1) + U h_j); a_i = softmax(e_i) over real positions only;
    c_i = sum_j a_ij h_j.

    Args:
        hidden_size: the size A of the energy's hidden layer.
    """

    def __init__(
        self, memory_size: int, query_size: int, /, *, hidden_size: PositiveInt = 256
    ) -> None:
        super().__init__()
        self.context_size = memory_size
        self.key = nn.Linear(memory_size, hidden_size)
        self.query = nn.Linear(query_size, hidden_size, bias=False)
        self.energy = nn.Parameter(torch.empty(hidden_size))
        nn.init.zeros_(self.key.bias)
        nn.init.uniform_(self.energy, -(hidden_size**-0.5), hidden_size**-0.5)

    def prepare(self, memory: Tensor, mask: Tensor) -> State:
        return self.key(memory), memory, mask

    def start(self, prepared: State) -> State:
        return ()

    def forward(self, query: Tensor, prepared: State, state: State) -> tuple[Tensor, Tensor, State]:
        keys, memory, mask = prepared
        assert isinstance(keys, Tensor) and isinstance(memory, Tensor) and isinstance(mask, Tensor)
        batch, length, hidden = keys.shape
        queries = self.query(query).view(batch, -1, 1, hidden)  # (B, K, 1, A)
        energies = tanh_(keys.unsqueeze(1) + queries) @ self.energy  # (B, K, S)
        energies = energies.masked_fill(~mask.unsqueeze(1), -torch.inf)
        weights = torch.softmax(energies, dim=-1)
        context = weights @ memory  # (B, K, M)
        return context.flatten(0, 1), weights.view(-1, length), state


ATTENTIONS = {"additive": AdditiveAttention}
