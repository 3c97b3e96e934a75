"""The LightningModule: glue between the model, the loss and the trainer, and nothing more."""

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from nmt import options, processes
from nmt.batch import Batch
from nmt.config import Training
from nmt.errors import UserError
from nmt.model.forced import log_probabilities
from nmt.model.seq2seq import Seq2Seq
from nmt.training.loss import coverage_loss, smoothed_cross_entropy
from nmt.training.objectives import OBJECTIVES, Likelihood, MinimumRisk
from nmt.training.optim import apply_rates, clip_gradients, make_optimizer, make_schedule
from nmt.training.risk import Risk, expected_risk
from nmt.training.scheduled_sampling import mixed_input, sampling_rate


class TranslationModule(pl.LightningModule):
    """Trains a Seq2Seq on an objective.

    Args:
        model: the network.
        training: the settings of the optimiser and the loss.
        steps: total number of updates, for the schedule.
        risk: sampler and reward, for minimum risk training.
    """

    def __init__(
        self, model: Seq2Seq, training: Training, steps: int, risk: Risk | None = None
    ) -> None:
        super().__init__()
        self.objective: Likelihood | MinimumRisk = options.build(OBJECTIVES, training.objective)
        weight = self.objective.coverage_weight if isinstance(self.objective, Likelihood) else 0
        if weight and not any(name.endswith(".covered") for name, _ in model.named_parameters()):
            raise UserError(
                f"training.objective.coverage_weight: {weight} needs a model with coverage: true "
                "under model.decoder.attention"
            )
        self.risk = risk
        self.model = model
        self.training_settings = training
        self.steps = steps

    def loss(
        self, batch: Batch, smoothing: float, target_input: Tensor | None = None
    ) -> tuple[Tensor, Tensor, int]:
        """Summed smoothed loss, summed negative log likelihood (nats), and real tokens.

        The decoder reads the reference words unless `target_input` (B, T) gives others.
        """
        given = batch.target_input if target_input is None else target_input
        features, weights = self.model(batch.source, batch.source_lengths, given)
        # The output layer is the widest product: it sees real tokens only.
        real = batch.target_mask.flatten().nonzero().squeeze(1)  # (N,) in (B * T,)
        rows = features.flatten(0, 1)
        if len(real) < len(rows):  # with padding
            rows = rows.index_select(0, real)
        hidden = self.model.output.readout(rows)
        projection = self.model.output.projection
        loss, nll = smoothed_cross_entropy(
            hidden, projection.weight, projection.bias, batch.labels.flatten()[real], smoothing
        )
        if isinstance(self.objective, Likelihood) and self.objective.coverage_weight > 0:
            repeated = coverage_loss(weights, batch.target_mask)
            loss = loss + self.objective.coverage_weight * repeated
        return loss, nll, len(hidden)

    def rehearsal(self, batch: Batch) -> Tensor:
        """The scalar loss of the largest computation that the objective can make of a batch."""
        if not isinstance(self.objective, MinimumRisk):
            return self.loss(batch, smoothing=0.1)[0]
        candidates = batch.longest().repeated(self.objective.samples + 1)  # with the reference
        return log_probabilities(self.model, candidates).sum()

    def on_train_start(self) -> None:
        schedule: Any = self.lr_schedulers()
        apply_rates(self.trainer.optimizers[0], schedule, self.training_settings, self.steps)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        # Dropout depends on seed and step alone, so a resumed run draws the same masks; each
        # process has rows of its own, and so masks of its own.
        seed = self.training_settings.seed * 1_000_003 + self.global_step
        torch.manual_seed(seed + processes.rank() * 1_000_000_007)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        training = self.training_settings
        self.log("learning_rate", self.trainer.optimizers[0].param_groups[0]["lr"])
        if isinstance(self.objective, MinimumRisk):
            return self._risk(batch, self.objective)
        rate = sampling_rate(self.objective, self.global_step / self.steps)
        given = mixed_input(self.model, batch, rate) if rate > 0 else None
        loss, nll, tokens = self.loss(batch, training.label_smoothing, given)
        return self._mean(loss, nll, tokens, tokens)

    def _risk(self, batch: Batch, objective: MinimumRisk) -> Tensor:
        assert self.risk is not None
        loss, sentences = expected_risk(self.model, batch, self.risk, objective)
        return self._mean(loss, loss.detach(), sentences, int(batch.target_lengths.sum()))

    def _mean(self, loss: Tensor, shown: Tensor | float, count: float, tokens: float) -> Tensor:
        """This process's loss as its share of the mean over a batch; logs that mean of `shown`.

        Args:
            loss: sum over the terms of this process's part of the batch.
            shown: the same, or what is logged in its place.
            count: number of these terms.
            tokens: target tokens in this part.
        """
        if (world := processes.world()) > 1:
            shown, count, tokens = processes.all_sum(float(shown), count, tokens)
        self.log("tokens", float(tokens))
        self.log("loss", shown / count)
        # DDP averages the gradients of the processes, which should be summed.
        return loss / (count / world)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        # Lightning itself refuses to clip for a fused optimiser in mixed precision.
        clip_gradients(self.model, self.training_settings)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        _, nll, tokens = self.loss(batch, smoothing=0.0)
        self.log("val_loss", nll / tokens, batch_size=tokens, on_epoch=True)

    def configure_optimizers(self) -> Any:
        optimizer = make_optimizer(self.model, self.training_settings)
        schedule = make_schedule(optimizer, self.training_settings, self.steps)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }
