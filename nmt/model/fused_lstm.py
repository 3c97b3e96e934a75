"""The attentional LSTM over a whole target, with a hand-written backward pass (see `fused_gru`)."""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from nmt.model.activations import sigmoid_backward, tanh_, tanh_backward
from nmt.model.products import compute_dtype, packed_product
from nmt.state import State

if TYPE_CHECKING:
    from nmt.model.attention import AdditiveAttention
    from nmt.model.cells import LSTM


def attentional_lstm(
    cell: "LSTM",
    attention: "AdditiveAttention",
    context: nn.Linear,
    embedded: Tensor,
    source: State,
    *,
    after: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """A Decoder with an LSTM cell and additive attention over a whole target.

    Args:
        cell: the decoder's cell.
        attention: the decoder's attention.
        context: projects a context to the cell's gates.
        embedded: (B, T, E) the target input.
        source: from the decoder's `prepare`.
        after: attend after the cell's step instead of before it.

    Returns:
        Outputs (B, T, H), contexts (B, T, M) and weights (B, T, S); the weights carry a gradient
        only with coverage.
    """
    prepared, start = source
    keys, memory, mask = prepared
    assert isinstance(start, Tensor) and isinstance(keys, Tensor)
    assert isinstance(memory, Tensor) and isinstance(mask, Tensor)
    dtype, covered = compute_dtype(embedded), attention.covered
    tensors = (
        cell.input(embedded.transpose(0, 1)),
        keys,
        memory,
        start,
        torch.cat([cell.recurrent.weight, attention.query.weight]),
        context.weight,
        attention.energy,
    )
    outputs, contexts, weights = _AttentionalLstmSequence.apply(  # type: ignore[no-untyped-call]
        mask,
        *(tensor.to(dtype) for tensor in tensors),
        None if covered is None else covered.to(dtype),
        int(after),
    )
    outputs, contexts = outputs.transpose(0, 1), contexts.transpose(0, 1)
    weights = weights.transpose(0, 1)
    if not after:
        return outputs, contexts, weights
    # Here c_i is read with s_i and fed to step i + 1: the read with s_0, which belongs to no word,
    # does not count as coverage, and the last read is still to come.
    weights = weights[:, 1:]
    state = attention.follow(attention.start(prepared), weights.sum(dim=1))
    found, last, _ = attention(outputs[:, -1], prepared, state)
    last = last if weights.requires_grad else last.detach()
    contexts = torch.cat([contexts[:, 1:], found.unsqueeze(1)], dim=1)
    return outputs, contexts, torch.cat([weights, last.unsqueeze(1)], dim=1)


class _AttentionalLstmSequence(torch.autograd.Function):
    """The recurrence of an LSTM that attends with its previous output.

    q = W_q h; e_j = v^T tanh(k_j + q + w C_j); a = softmax(e); c = sum_j a_j m_j; C' = C + a;
    i, f, o, g = x + U h + W_c c; the rest is the LSTM's. `stacked` is U on top of W_q, so that
    one product gives both. Shapes: projected (T, B, 4H), keys (B, S, A), memory (B, S, M), start
    (B, H), stacked (4H + A, H), reader (4H, M), energy v (A,), covered w (A,), or None without
    coverage; C sums the weights from step `first` on. The results are time-first
    as well, so that the rows of a time step are contiguous.
    """

    @staticmethod
    def forward(
        ctx: Any,
        mask: Tensor,
        projected: Tensor,
        keys: Tensor,
        memory: Tensor,
        start: Tensor,
        stacked: Tensor,
        reader: Tensor,
        energy: Tensor,
        covered: Tensor | None,
        first: int,
    ) -> tuple[Tensor, Tensor, Tensor]:
        steps, batch, gates = projected.shape
        length, hidden, size = keys.shape[1], keys.shape[2], gates // 4
        new = projected.new_empty
        states, cells = new(steps + 1, batch, size), new(steps + 1, batch, size)
        states[0], cells[0] = start, 0.0
        contexts, weights = new(steps, batch, memory.shape[2]), new(steps, batch, length)
        activations, squashed = new(steps, batch, gates), new(steps, batch, size)
        queries, tanh = new(steps, batch, hidden), torch.empty_like(keys)
        # In bf16, a sum over many steps would stop growing.
        wide = torch.promote_types(projected.dtype, torch.float32)
        coverage = None if covered is None else keys.new_zeros(steps, batch, length, dtype=wide)
        blocked = torch.zeros_like(mask, dtype=keys.dtype).masked_fill_(~mask, -torch.inf)
        recur, read = packed_product(stacked, batch), packed_product(reader, batch)
        for t in range(steps):
            past = recur(states[t])  # (B, 4H + A)
            queries[t] = past[:, gates:]
            torch.add(keys, queries[t].unsqueeze(1), out=tanh)
            if covered is not None and coverage is not None:
                if t > first:
                    torch.add(coverage[t - 1], weights[t - 1], out=coverage[t])
                tanh.addcmul_(coverage[t].to(tanh.dtype).unsqueeze(2), covered)
            tanh_(tanh)
            scores = torch.mv(tanh.flatten(0, 1), energy).view_as(mask).add_(blocked)
            torch.softmax(scores, dim=1, out=weights[t])
            torch.bmm(weights[t].unsqueeze(1), memory, out=contexts[t].unsqueeze(1))
            sums = torch.add(projected[t], past[:, :gates], out=activations[t])
            i, f, o, g = _activate(sums.add_(read(contexts[t])))
            torch.addcmul(f * cells[t], i, g, out=cells[t + 1])
            torch.mul(o, torch.tanh(cells[t + 1], out=squashed[t]), out=states[t + 1])
        saved = (states, cells, contexts, weights, activations, squashed, queries, keys, memory)
        ctx.save_for_backward(*saved, stacked, reader, energy, covered, coverage)
        ctx.first = first
        if covered is None:
            ctx.mark_non_differentiable(weights)
        return states[1:], contexts, weights

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_states: Tensor, grad_contexts: Tensor, grad_weights: Tensor
    ) -> tuple[Tensor | None, ...]:
        states, cells, contexts, weights, activations, squashed, *rest = ctx.saved_tensors
        queries, keys, memory, stacked, reader, energy, covered, coverage = rest
        steps, batch, gates = activations.shape
        grad_past = states.new_empty(steps, batch, gates + energy.shape[0])
        grad_context = torch.empty_like(contexts)
        scoring = _ScoringBackward(keys, energy, covered, coverage)
        room = torch.empty_like(memory)
        carried, carried_cell = torch.zeros_like(states[0]), torch.zeros_like(cells[0])
        recur, read = packed_product(stacked.T, batch), packed_product(reader.T, batch)
        for t in reversed(range(steps)):
            sums = grad_past[t, :, :gates]
            carried_cell = _lstm_backward(
                carried + grad_states[t], carried_cell, cells[t], activations[t], squashed[t], sums
            )
            torch.add(grad_contexts[t], read(sums), out=grad_context[t])
            # MKL takes three to six times as long for a batch of products by one vector each.
            grad_weight = torch.mul(memory, grad_context[t].unsqueeze(1), out=room).sum(dim=2)
            if coverage is not None:
                grad_weight += grad_weights[t]
                if t >= ctx.first:
                    grad_weight += scoring.grad_coverage
            scoring.step(t, queries[t], weights[t], grad_weight, grad_past[t, :, gates:])
            carried = recur(grad_past[t])
        rows = grad_past.flatten(0, 1)
        grad_stacked = rows.T @ states[:-1].flatten(0, 1)
        grad_reader = rows[:, :gates].T @ contexts.flatten(0, 1)
        grad_memory = torch.bmm(weights.permute(1, 2, 0), grad_context.transpose(0, 1))
        return (
            None,
            grad_past[..., :gates],
            scoring.grad_keys(),
            grad_memory,
            carried,
            grad_stacked,
            grad_reader,
            scoring.grad_energy.to(energy.dtype),
            None if covered is None else scoring.grad_covered.to(energy.dtype),
            None,
        )


class _ScoringBackward:
    """Backward of softmax_j(v^T tanh(k_j + q + w C_j)), summed over the time steps.

    d tanh = 1 - tanh^2, and a softmax's score gradients sum to zero over S, so the query's gradient
    is -v * sum_j score_j tanh_j^2. That of key j keeps both terms of v * score_j (1 - tanh_j^2).
    """

    def __init__(
        self, keys: Tensor, energy: Tensor, covered: Tensor | None, coverage: Tensor | None
    ) -> None:
        self.keys, self.energy = keys, energy
        self.covered, self.coverage = covered, coverage  # w (A,) and C (T, B, S), or neither
        self.both = None if covered is None else energy * covered
        # In bf16, a sum over many steps would stop growing.
        wide = torch.promote_types(keys.dtype, torch.float32)
        self.grad_energy = torch.zeros_like(energy, dtype=wide)
        self.grad_covered = torch.zeros_like(energy, dtype=wide)
        self.grad_coverage = keys.new_zeros(keys.shape[:2], dtype=wide)
        """The gradient of the weights of earlier steps, through C: (B, S)."""
        self._tanh = torch.empty_like(keys)
        self._squares = torch.zeros_like(keys, dtype=wide)
        self._scores = keys.new_zeros(keys.shape[:2], dtype=wide)

    def step(self, t: int, query: Tensor, weight: Tensor, grad: Tensor, out: Tensor) -> None:
        """Adds step t: query (B, A), weights (B, S), their gradient; fills the query's, `out`."""
        score = torch.ops.aten._softmax_backward_data(grad, weight, 1, weight.dtype)
        # Recomputing is cheaper than storing: (T, B, S, A) would not fit the CPU's caches.
        sums = torch.add(self.keys, query.unsqueeze(1), out=self._tanh)
        if self.covered is not None and self.coverage is not None:
            sums.addcmul_(self.coverage[t].to(sums.dtype).unsqueeze(2), self.covered)
        tanh = tanh_(sums)
        self.grad_energy += torch.mv(tanh.flatten(0, 1).T, score.flatten())
        square = tanh.mul_(tanh)
        torch.mul(torch.bmm(score.unsqueeze(1), square).squeeze(1), -self.energy, out=out)
        self._squares.addcmul_(square, score.unsqueeze(2))
        self._scores += score
        if self.both is not None and self.coverage is not None:
            self._cover(self.both, score, self.coverage[t], square)

    def _cover(self, both: Tensor, score: Tensor, coverage: Tensor, square: Tensor) -> None:
        """d e_j / d C_j = sum_a v_a w_a (1 - tanh_ja^2), and d e_j / d w_a = C_j v_a (1 - ...)."""
        slope = both.sum() - torch.mv(square.flatten(0, 1), both).view_as(score)
        self.grad_coverage += score * slope
        moved = (score * coverage).to(score.dtype).flatten()
        rest = torch.mv(square.flatten(0, 1).T, moved)
        self.grad_covered += self.energy * (moved.sum() - rest)

    def grad_keys(self) -> Tensor:
        """The gradient of the keys over all time steps: (B, S, A)."""
        return (self._scores.unsqueeze(2) - self._squares).mul_(self.energy).to(self.keys.dtype)


def _activate(sums: Tensor) -> tuple[Tensor, ...]:
    """(B, 4H) pre-activations to i, f, o, g, in place."""
    keep, write = _gates(sums)
    return (*keep.sigmoid_().chunk(3, dim=1), write.tanh_())


def _gates(stacked: Tensor) -> tuple[Tensor, Tensor]:
    """Splits (B, 4H) into the three sigmoid gates (B, 3H) and the candidate (B, H)."""
    keep, write = torch.split(stacked, [stacked.shape[1] // 4 * 3, stacked.shape[1] // 4], dim=1)
    return keep, write


def _lstm_backward(
    grad: Tensor,
    grad_cell: Tensor,
    cell: Tensor,
    activations: Tensor,
    squashed: Tensor,
    out: Tensor,
) -> Tensor:
    """Writes the gradient of the pre-activations to `out` (B, 4H); returns the cell's."""
    (keep, g), (out_keep, out_g) = _gates(activations), _gates(out)
    (i, f, o), (out_i, out_f, out_o) = keep.chunk(3, dim=1), out_keep.chunk(3, dim=1)
    grad_cell = grad_cell + tanh_backward(grad * o, squashed)
    torch.mul(grad_cell, g, out=out_i)
    torch.mul(grad_cell, cell, out=out_f)
    torch.mul(grad, squashed, out=out_o)
    sigmoid_backward.grad_input(out_keep, keep, grad_input=out_keep)
    tanh_backward.grad_input(grad_cell * i, g, grad_input=out_g)
    return grad_cell * f
