"""Whole-sequence paths with a hand-written backward, for the combinations that can be a default.

Autograd over a step loop makes, at every time step, one product for each weight's gradient and
one addition into a buffer of the weight's size. Here the loop only collects the gradients of the
pre-activations; every weight then takes ONE product over all time steps. The numbers are those of
the stepped path (tests/model/test_fused.py: forward, backward, gradcheck in double).
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from nmt.model.activations import tanh_
from nmt.model.products import repeated
from nmt.state import State

sigmoid_backward = torch.ops.aten.sigmoid_backward
"""(grad, y) -> grad * y * (1 - y) in one pass."""
tanh_backward = torch.ops.aten.tanh_backward
"""(grad, y) -> grad * (1 - y * y)."""


def _compute_dtype(tensor: Tensor) -> torch.dtype:
    device = tensor.device.type
    if torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return tensor.dtype


def gru(cells: list[nn.Module], inputs: Tensor) -> Tensor:
    """Runs D GRUs side by side from empty states: (D, B, S, E) -> outputs (D, B, S, H)."""
    directions, batch, length, _ = inputs.shape
    dtype = _compute_dtype(inputs)

    def stacked(*path: str) -> Tensor:
        return torch.stack([cell.get_parameter(".".join(path)) for cell in cells]).to(dtype)

    projected = torch.baddbmm(
        stacked("input", "bias").unsqueeze(1),
        inputs.to(dtype).flatten(1, 2),
        stacked("input", "weight").transpose(1, 2),
    ).view(directions, batch, length, -1)
    outputs: Tensor = _GruSequence.apply(  # type: ignore[no-untyped-call]
        projected, stacked("recurrent", "weight"), stacked("recurrent", "bias")
    )
    return outputs


class _GruSequence(torch.autograd.Function):
    """The GRU's recurrence over projected inputs, from empty states.

    r, z = sigmoid(x_rz + U_rz h + c_rz); p = U_n h + c_n; n = tanh(x_n + r * p);
    h' = n + z * (h - n).

    projected (D, B, S, 3H), weight (D, 3H, H), bias (D, 3H) -> (D, B, S, H); what is saved for the
    backward pass has time first.
    """

    @staticmethod
    def forward(ctx: Any, projected: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        directions, batch, length, gates = projected.shape
        size = gates // 3
        new = projected.new_empty
        states = new(length + 1, directions, batch, size)
        states[0].zero_()
        pasts = new(length, directions, batch, gates)
        keeps, candidates = new(length, directions, batch, 2 * size), torch.empty_like(states[1:])
        products = [repeated(weight[d], batch, bias[d]) for d in range(directions)]
        for t in range(length):
            x, past = projected[:, :, t], pasts[t]
            for d, product in enumerate(products):
                past[d] = product(states[t, d])
            torch.add(x[..., : 2 * size], past[..., : 2 * size], out=keeps[t]).sigmoid_()
            reset, update = keeps[t].chunk(2, dim=-1)
            candidate = candidates[t]
            torch.addcmul(x[..., 2 * size :], reset, past[..., 2 * size :], out=candidate).tanh_()
            torch.lerp(candidate, states[t], update, out=states[t + 1])
        ctx.save_for_backward(states, keeps, candidates, pasts, weight)
        return states[1:].permute(1, 2, 0, 3)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        states, keeps, candidates, pasts, weight = ctx.saved_tensors
        length, directions, batch, size = candidates.shape
        grad_input = states.new_empty(directions, batch, length, 3 * size)
        grad_past = states.new_empty(length, directions, batch, 3 * size)
        carried = states.new_zeros(directions, batch, size)
        products = [repeated(weight[d].T, batch) for d in range(directions)]
        for t in reversed(range(length)):
            (reset, update), candidate = keeps[t].chunk(2, dim=-1), candidates[t]
            carried = carried + grad[:, :, t]
            kept = carried * update
            grad_candidate = tanh_backward(carried - kept, candidate)
            gates, g = grad_past[t][..., : 2 * size], grad_past[t]
            torch.mul(grad_candidate, pasts[t][..., 2 * size :], out=g[..., :size])
            torch.mul(carried, states[t] - candidate, out=g[..., size : 2 * size])
            sigmoid_backward.grad_input(gates, keeps[t], grad_input=gates)
            torch.mul(grad_candidate, reset, out=g[..., 2 * size :])
            grad_input[:, :, t, : 2 * size] = gates
            grad_input[:, :, t, 2 * size :] = grad_candidate
            carried = torch.stack([product(g[d]) for d, product in enumerate(products)]).add_(kept)
        rows = grad_past.transpose(0, 1).flatten(1, 2)  # (D, S * B, 3H)
        grad_weight = rows.transpose(1, 2) @ states[:-1].transpose(0, 1).flatten(1, 2)
        return grad_input, grad_weight, rows.sum(dim=1)


def attentional_lstm(
    decoder: nn.Module, embedded: Tensor, source: State
) -> tuple[Tensor, Tensor, Tensor]:
    """A Decoder with an LSTM cell and additive attention over a whole target.

    Args:
        decoder: its modules `cell`, `attention` and `context` hold the weights.
        embedded: (B, T, E) the target input.
        source: from the decoder's `prepare`.

    Returns:
        Outputs (B, T, H), contexts (B, T, M) and weights (B, T, S); weights carry no gradient.
    """
    prepared, start = source
    keys, memory, mask = prepared
    assert isinstance(start, Tensor) and isinstance(keys, Tensor)
    assert isinstance(memory, Tensor) and isinstance(mask, Tensor)
    dtype = _compute_dtype(embedded)
    get = decoder.get_parameter
    stacked = torch.cat([get("cell.recurrent.weight"), get("attention.query.weight")])
    tensors = (
        decoder.get_submodule("cell.input")(embedded.transpose(0, 1)),
        keys,
        memory,
        start,
        stacked,
        get("context.weight"),
        get("attention.energy"),
    )
    outputs, contexts, weights = _AttentionalLstmSequence.apply(  # type: ignore[no-untyped-call]
        mask, *(tensor.to(dtype) for tensor in tensors)
    )
    return outputs.transpose(0, 1), contexts.transpose(0, 1), weights.transpose(0, 1)


class _AttentionalLstmSequence(torch.autograd.Function):
    """The recurrence of an LSTM that attends with its previous output.

    q = W_q h; e_j = v^T tanh(k_j + q); a = softmax(e); c = sum_j a_j m_j;
    i, f, o, g = x + U h + W_c c; the rest is the LSTM's. `stacked` is U over W_q: one product
    gives both. Shapes: projected (T, B, 4H), keys (B, S, A), memory (B, S, M), start (B, H),
    stacked (4H + A, H), reader (4H, M), energy (A,); what is returned has time first as well,
    so that the rows of a time step lie side by side.
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
    ) -> tuple[Tensor, Tensor, Tensor]:
        steps, batch, gates = projected.shape
        length, hidden, size = keys.shape[1], keys.shape[2], gates // 4
        new = projected.new_empty
        states, cells = new(steps + 1, batch, size), new(steps + 1, batch, size)
        states[0], cells[0] = start, 0.0
        contexts, weights = new(steps, batch, memory.shape[2]), new(steps, batch, length)
        activations, squashed = new(steps, batch, gates), new(steps, batch, size)
        queries, tanh = new(steps, batch, hidden), torch.empty_like(keys)
        blocked = torch.zeros_like(mask, dtype=keys.dtype).masked_fill_(~mask, -torch.inf)
        recur, read = repeated(stacked, batch), repeated(reader, batch)
        for t in range(steps):
            past = recur(states[t])  # (B, 4H + A)
            queries[t] = past[:, gates:]
            tanh_(torch.add(keys, queries[t].unsqueeze(1), out=tanh))
            scores = torch.mv(tanh.flatten(0, 1), energy).view_as(mask).add_(blocked)
            torch.softmax(scores, dim=1, out=weights[t])
            torch.bmm(weights[t].unsqueeze(1), memory, out=contexts[t].unsqueeze(1))
            sums = torch.add(projected[t], past[:, :gates], out=activations[t])
            i, f, o, g = _activate(sums.add_(read(contexts[t])))
            torch.addcmul(f * cells[t], i, g, out=cells[t + 1])
            torch.mul(o, torch.tanh(cells[t + 1], out=squashed[t]), out=states[t + 1])
        saved = (states, cells, contexts, weights, activations, squashed, queries, keys, memory)
        ctx.save_for_backward(*saved, stacked, reader, energy)
        ctx.mark_non_differentiable(weights)
        return states[1:], contexts, weights

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_states: Tensor, grad_contexts: Tensor, _: Tensor
    ) -> tuple[Tensor | None, ...]:
        states, cells, contexts, weights, activations, squashed, *rest = ctx.saved_tensors
        queries, keys, memory, stacked, reader, energy = rest
        steps, batch, gates = activations.shape
        hidden = energy.shape[0]
        grad_past = states.new_empty(steps, batch, gates + hidden)
        grad_context = torch.empty_like(contexts)
        scoring, room = _ScoringBackward(keys, energy), torch.empty_like(memory)
        carried, carried_cell = torch.zeros_like(states[0]), torch.zeros_like(cells[0])
        recur, read = repeated(stacked.T, batch), repeated(reader.T, batch)
        for t in reversed(range(steps)):
            sums = grad_past[t, :, :gates]
            carried_cell = _lstm_backward(
                carried + grad_states[t], carried_cell, cells[t], activations[t], squashed[t], sums
            )
            torch.add(grad_contexts[t], read(sums), out=grad_context[t])
            # A batch of products by one vector each takes MKL three to six times as long.
            grad_weight = torch.mul(memory, grad_context[t].unsqueeze(1), out=room).sum(dim=2)
            weight = weights[t]
            score = torch.ops.aten._softmax_backward_data(grad_weight, weight, 1, weight.dtype)
            scoring.step(queries[t], score, grad_past[t, :, gates:])
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
            scoring.grad_energy,
        )


class _ScoringBackward:
    """The backward of e_j = v^T tanh(k_j + q) under a softmax, summed over the time steps.

    d tanh = 1 - tanh^2, and the scores' gradients of a softmax sum to zero over S: the query's
    gradient is -v * sum_j score_j tanh_j^2, and the keys' likewise.
    """

    def __init__(self, keys: Tensor, energy: Tensor) -> None:
        self.keys, self.energy = keys, energy
        self.grad_energy = torch.zeros_like(energy)
        self._tanh = torch.empty_like(keys)
        self._squares = torch.zeros_like(keys)
        self._scores = keys.new_zeros(keys.shape[:2])

    def step(self, query: Tensor, score: Tensor, out: Tensor) -> None:
        """Adds a time step: query (B, A), gradients of scores (B, S); the query's goes to `out`."""
        # Once more is cheaper than kept: (T, B, S, A) would leave the processor's caches.
        tanh = tanh_(torch.add(self.keys, query.unsqueeze(1), out=self._tanh))
        self.grad_energy.addmv_(tanh.flatten(0, 1).T, score.flatten())
        square = tanh.mul_(tanh)
        torch.mul(torch.bmm(score.unsqueeze(1), square).squeeze(1), -self.energy, out=out)
        self._squares.addcmul_(square, score.unsqueeze(2))
        self._scores += score

    def grad_keys(self) -> Tensor:
        """Of all time steps: (B, S, A)."""
        return (self._scores.unsqueeze(2) - self._squares).mul_(self.energy)


def _activate(sums: Tensor) -> tuple[Tensor, ...]:
    """(B, 4H) pre-activations to i, f, o, g, in place."""
    keep, write = _gates(sums)
    return (*keep.sigmoid_().chunk(3, dim=1), write.tanh_())


def _gates(stacked: Tensor) -> tuple[Tensor, Tensor]:
    """(B, 4H) as the three sigmoids' (B, 3H) and the candidate's (B, H)."""
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
