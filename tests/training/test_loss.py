"""The loss against torch's, value and gradients, however it is cut into chunks."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from nmt.training import loss as module
from nmt.training.loss import coverage_loss, smoothed_cross_entropy

ROWS, FEATURES, WORDS = 7, 5, 11


def inputs(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Hidden (N, F), weight (V, F), bias (V,) and labels (N,)."""
    torch.manual_seed(1)
    hidden, weight, bias = (
        torch.randn(*shape, dtype=dtype, requires_grad=True)
        for shape in ((ROWS, FEATURES), (WORDS, FEATURES), (WORDS,))
    )
    return hidden, weight, bias, torch.randint(WORDS, (ROWS,))


@pytest.fixture(params=[1, WORDS - 1, 2 * WORDS, 3 * WORDS + 5, 7 * WORDS, 1 << 21])
def chunk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """One row at a time, several with a rest, exactly all, and all with room left."""
    monkeypatch.setattr(module, "CHUNK_ELEMENTS", request.param)
    return int(request.param)


@pytest.mark.usefixtures("chunk")
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)], ids=["fp64", "fp32"]
)
def test_loss_and_gradients_are_those_of_torch(
    smoothing: float, dtype: torch.dtype, tolerance: float
) -> None:
    hidden, weight, bias, labels = inputs(dtype)
    loss, nll = smoothed_cross_entropy(hidden, weight, bias, labels, smoothing)
    logits = functional.linear(hidden, weight, bias)
    expected = functional.cross_entropy(logits, labels, label_smoothing=smoothing, reduction="sum")
    found = (loss, nll, *torch.autograd.grad(3 * loss, (hidden, weight, bias)))
    plain = functional.cross_entropy(logits, labels, reduction="sum")
    wanted = (expected, plain, *torch.autograd.grad(3 * expected, (hidden, weight, bias)))
    torch.testing.assert_close(found, wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_gradients_agree_with_finite_differences(
    monkeypatch: pytest.MonkeyPatch, smoothing: float
) -> None:
    monkeypatch.setattr(module, "CHUNK_ELEMENTS", 3 * WORDS)
    hidden, weight, bias, labels = inputs()
    assert torch.autograd.gradcheck(
        lambda h, w, b: smoothed_cross_entropy(h, w, b, labels, smoothing)[0],
        (hidden, weight, bias),
    )


def test_the_likelihood_carries_no_gradient() -> None:
    loss, nll = smoothed_cross_entropy(*inputs(), 0.1)
    assert loss.requires_grad
    assert not nll.requires_grad


def test_without_gradients_the_numbers_are_the_same() -> None:
    loss, nll = smoothed_cross_entropy(*inputs(), 0.1)
    with torch.no_grad():
        found = smoothed_cross_entropy(*inputs(), 0.1)
    assert not found[0].requires_grad
    torch.testing.assert_close(found, (loss.detach(), nll))


def test_large_logits_do_not_overflow() -> None:
    hidden, weight, bias, labels = inputs(torch.float32)
    loss, nll = smoothed_cross_entropy(1e4 * hidden, weight, bias, labels, 0.1)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.isfinite() and nll.isfinite()
    assert hidden.grad is not None and hidden.grad.isfinite().all()


@pytest.mark.usefixtures("chunk")
def test_in_bf16_the_loss_is_summed_in_fp32() -> None:
    hidden, weight, bias, labels = inputs(torch.float32)
    expected, _ = smoothed_cross_entropy(hidden, weight, bias, labels, 0.1)
    wanted = torch.autograd.grad(expected, (hidden, weight, bias))
    with torch.autocast("cpu", torch.bfloat16):
        loss, _ = smoothed_cross_entropy(hidden, weight, bias, labels, 0.1)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(expected.item(), rel=0.02)
    for found, single in zip(
        torch.autograd.grad(loss, (hidden, weight, bias)), wanted, strict=True
    ):
        assert found.dtype == torch.float32
        assert (found - single).norm() < 0.02 * single.norm()


def test_in_bf16_the_weights_gradient_is_summed_in_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = 1000
    monkeypatch.setattr(module, "CHUNK_ELEMENTS", WORDS)  # a chunk a row
    hidden, bias = torch.ones(rows, FEATURES, requires_grad=True), torch.zeros(WORDS)
    weight = torch.zeros(WORDS, FEATURES, requires_grad=True)
    labels = torch.zeros(rows, dtype=torch.long)
    with torch.autocast("cpu", torch.bfloat16):
        loss, _ = smoothed_cross_entropy(hidden, weight, bias, labels, 0.0)
    [found] = torch.autograd.grad(loss, [weight])
    assert found[1].tolist() == pytest.approx([rows / WORDS] * FEATURES, rel=0.01)


def test_nothing_is_kept_for_a_gradient_that_nobody_asks_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    added = []
    monkeypatch.setattr(module, "_add_product", lambda *_: added.append(1))
    with torch.no_grad():
        smoothed_cross_entropy(*inputs(), 0.1)
    assert not added
    smoothed_cross_entropy(*inputs(), 0.1)
    assert added


def test_the_loss_of_sure_and_right_predictions_is_nothing() -> None:
    labels = torch.tensor([0, 2])
    hidden = 50 * functional.one_hot(labels, 3).double()
    loss, nll = smoothed_cross_entropy(
        hidden, torch.eye(3).double(), torch.zeros(3).double(), labels, 0.0
    )
    assert loss.item() == pytest.approx(0.0, abs=1e-12)
    assert nll.item() == pytest.approx(0.0, abs=1e-12)


def test_reading_a_word_again_costs_its_share_up_to_what_was_read_before() -> None:
    weights = torch.tensor(
        [[[0.75, 0.25], [0.5, 0.5], [1.0, 0.0]], [[0.5, 0.5], [0.5, 0.5], [0.5, 0.5]]]
    )
    mask = torch.tensor([[True, True, True], [True, True, False]])
    # First sentence: min(0.5, 0.75) + min(0.5, 0.25), then min(1.0, 1.25); second: 0.5 + 0.5.
    assert coverage_loss(weights, mask).item() == pytest.approx(0.5 + 0.25 + 1.0 + 1.0)
