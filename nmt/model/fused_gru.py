"""GRUs over a whole sentence, with a hand-written backward pass.

Autograd over a step loop makes, at every time step, one product for each weight's gradient and
adds it into a buffer of the weight's size. Here, as in `fused_lstm`, the loop only collects the
gradients of the pre-activations; the gradient of each weight is then ONE product over all time
steps. The results are those of the stepped path (tests/model/test_fused.py: forward, backward,
difference quotients in double).
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nmt.model.activations import sigmoid_backward, tanh_backward
from nmt.model.products import compute_dtype, packed_product

if TYPE_CHECKING:
    from nmt.model.cells import GRU


def gru(cells: list["GRU"], inputs: Tensor) -> Tensor:
    """Runs D GRUs side by side from empty states: (D, B, S, E) -> outputs (D, B, S, H)."""
    directions, batch, length, _ = inputs.shape
    dtype = compute_dtype(inputs)

    def stacked(weights: Iterable[Tensor]) -> Tensor:
        return torch.stack([*weights]).to(dtype)

    projected = torch.baddbmm(
        stacked(cell.input.bias for cell in cells).unsqueeze(1),
        inputs.to(dtype).flatten(1, 2),
        stacked(cell.input.weight for cell in cells).transpose(1, 2),
    ).view(directions, batch, length, -1)
    outputs: Tensor = _GruSequence.apply(  # type: ignore[no-untyped-call]
        projected,
        stacked(cell.recurrent.weight for cell in cells),
        stacked(cell.recurrent.bias for cell in cells),
    )
    return outputs


class _GruSequence(torch.autograd.Function):
    """The GRU's recurrence over projected inputs, from empty states.

    r, z = sigmoid(x_rz + U_rz h + c_rz); p = U_n h + c_n; n = tanh(x_n + r * p);
    h' = n + z * (h - n).

    projected (D, B, S, 3H), weight (D, 3H, H), bias (D, 3H) -> (D, B, S, H); the tensors saved for
    the backward pass are time-first.
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
        products = [packed_product(weight[d], batch, bias[d]) for d in range(directions)]
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
        products = [packed_product(weight[d].T, batch) for d in range(directions)]
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
