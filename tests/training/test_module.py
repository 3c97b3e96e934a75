"""What the LightningModule makes of a batch: the loss, and what is added to it."""

import pytest
import torch

from nmt import options
from nmt.batch import Batch
from nmt.config import Training
from nmt.errors import UserError
from nmt.model.seq2seq import Seq2Seq
from nmt.training.loss import coverage_loss
from nmt.training.module import TranslationModule

BATCH = Batch.of([[4, 5, 6], [7]], [[5, 8], [7, 6, 4]])


def module(coverage_weight: float, coverage: bool = True) -> TranslationModule:
    torch.manual_seed(1)
    attention = {"kind": "additive", "coverage": coverage}
    model = options.build(Seq2Seq, {"decoder": {"attention": attention}}, 9, 9)
    objective = {"kind": "likelihood", "coverage_weight": coverage_weight}
    training = Training(folder="", objective=objective)
    return TranslationModule(model.eval(), training, steps=1)


def test_the_gradient_is_that_of_the_mean_over_all_processes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """DDP takes the mean of two gradients, each of which is twice its share of the whole."""
    logged: dict[str, float] = {}
    one = module(0.0)
    monkeypatch.setattr(one, "log", lambda name, value, **_: logged.update({name: float(value)}))
    assert one._mean(torch.tensor(6.0), 5.0, 3, 4).item() == 2.0
    assert logged == {"tokens": 4, "loss": pytest.approx(5 / 3)}
    monkeypatch.setattr("nmt.processes.world", lambda: 2)
    monkeypatch.setattr("nmt.processes.all_sum", lambda *values: [value + 1 for value in values])
    assert one._mean(torch.tensor(6.0), 5.0, 3, 4).item() == 2 * 6.0 / 4
    assert logged == {"tokens": 5, "loss": pytest.approx(6 / 4)}


def test_the_loss_of_coverage_needs_it() -> None:
    with pytest.raises(UserError, match=r"coverage_weight: 2\.0 needs a model with coverage: true"):
        module(2.0, coverage=False)


def test_coverage_is_added_to_the_loss_with_its_weight_and_its_gradient() -> None:
    plain, covered = module(0.0), module(2.0)
    without, nll, tokens = plain.loss(BATCH, smoothing=0.1)
    loss, same, _ = covered.loss(BATCH, smoothing=0.1)
    _, weights = plain.model(BATCH.source, BATCH.source_lengths, BATCH.target_input)
    extra = 2 * coverage_loss(weights, BATCH.target_mask)
    assert (loss - without).item() == pytest.approx(extra.item(), rel=1e-4)
    assert torch.equal(nll, same)
    assert tokens == 7
    parameter = plain.model.get_parameter("decoder.attention.energy")
    expected = torch.autograd.grad(without + extra, parameter)[0]
    parameter = covered.model.get_parameter("decoder.attention.energy")
    torch.testing.assert_close(torch.autograd.grad(loss, parameter)[0], expected)
