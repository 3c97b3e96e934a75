"""Label-smoothed cross-entropy from the last hidden layer, without the full logits in memory."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nmt.model.products import compute_dtype

CHUNK_ELEMENTS = 1 << 21
"""Logits held in memory at once; larger chunks are no faster and cost memory."""


def smoothed_cross_entropy(
    hidden: Tensor, weight: Tensor, bias: Tensor, labels: Tensor, smoothing: float
) -> tuple[Tensor, Tensor]:
    """Cross-entropy of softmax(hidden @ weight.T + bias) against smoothed labels.

    The target distribution is (1 - smoothing) on the label plus smoothing / V on every word
    (Szegedy et al. 2016).

    Args:
        hidden: (N, readout), one row for each real token.
        weight: (V, readout).
        bias: (V,).
        labels: (N,) in [0, V).
        smoothing: in [0, 1).

    Returns:
        The summed loss, which carries the gradient, and the summed negative log likelihood of
        the labels, which does not; both in nats, scalars, fp32 (fp64 for fp64 input).
    """
    dtype = compute_dtype(hidden)
    hidden, weight, bias = hidden.to(dtype), weight.to(dtype), bias.to(dtype)
    # Within an autograd.Function, gradients always appear to be disabled.
    wanted = torch.is_grad_enabled() and any(one.requires_grad for one in (hidden, weight, bias))
    loss, nll = _LinearCrossEntropy.apply(  # type: ignore[no-untyped-call]
        hidden, weight, bias, labels, smoothing, wanted
    )
    return loss, nll.detach()


def coverage_loss(weights: Tensor, mask: Tensor) -> Tensor:
    """The coverage loss (See et al. 2017, eq. 12): sum_ij min(a_ij, sum_(k < i) a_kj).

    Args:
        weights: (B, T, S) attention weights.
        mask: (B, T) True at real target tokens.

    Returns:
        The sum over the batch, a scalar.
    """
    before = weights.cumsum(dim=1) - weights
    return torch.minimum(weights, before).sum(dim=2)[mask].sum()


class _LinearCrossEntropy(torch.autograd.Function):
    """Projection, softmax and loss in one, chunk by chunk.

    The gradient of the logits, softmax - target, is available as soon as the loss is, so forward
    computes the gradients as well and backward only scales them: each chunk's logits are
    written once, overwritten by their gradient and dropped.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor,
        labels: Tensor,
        smoothing: float,
        wanted: bool,
    ) -> tuple[Tensor, Tensor]:
        vocabulary = weight.shape[0]
        wide = torch.promote_types(hidden.dtype, torch.float32)
        grad_hidden = torch.empty_like(hidden) if wanted else hidden
        # In bf16, a sum over many chunks would stop growing: sums are kept in fp32 or wider.
        grad_weight = torch.zeros(weight.shape if wanted else (), dtype=wide, device=weight.device)
        grad_bias = torch.zeros(vocabulary, dtype=wide, device=weight.device)
        loss = torch.zeros((), dtype=wide, device=hidden.device)
        nll = torch.zeros_like(loss)
        rows = max(1, min(CHUNK_ELEMENTS // vocabulary, len(hidden)))
        # One buffer for all chunks: fresh memory costs more than the softmax that fills it.
        products, space = hidden.new_empty(rows, vocabulary), loss.new_empty(rows, vocabulary)
        for start in range(0, len(hidden), rows):
            part = slice(start, start + rows)
            label = labels[part].unsqueeze(1)
            count = len(label)
            logits = torch.addmm(bias, hidden[part], weight.T, out=products[:count])
            log_probs = torch.log_softmax(logits, 1, dtype=wide, out=space[:count])  # (rows, V)
            true = log_probs.gather(1, label)
            nll -= true.sum()
            loss -= (1 - smoothing) * true.sum()
            if smoothing:
                loss -= smoothing / vocabulary * log_probs.sum()
            if wanted:
                grad = log_probs.exp_().sub_(smoothing / vocabulary)
                grad.scatter_add_(1, label, torch.full_like(true, smoothing - 1.0))
                narrow = grad.to(hidden.dtype)
                torch.mm(narrow, weight, out=grad_hidden[part])
                _add_product(grad_weight, narrow.T, hidden[part])
                grad_bias += grad.sum(dim=0)
        if wanted:
            ctx.save_for_backward(
                grad_hidden, grad_weight.to(weight.dtype), grad_bias.to(bias.dtype)
            )
        ctx.mark_non_differentiable(nll)
        return loss, nll

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        grads = (saved * grad for saved in ctx.saved_tensors)
        return (*grads, None, None, None)


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    if total.dtype == left.dtype:
        total.addmm_(left, right)
    else:
        total += left @ right
