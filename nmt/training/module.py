"""The LightningModule: glue between the model, the loss and the trainer, and nothing more."""

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from nmt.batch import Batch
from nmt.config import Training
from nmt.model.seq2seq import Seq2Seq
from nmt.training.loss import coverage_loss, smoothed_cross_entropy
from nmt.training.optim import make_optimizer, make_schedule


class TranslationModule(pl.LightningModule):
    """Trains a Seq2Seq by cross-entropy with teacher forcing.

    Args:
        model: the network.
        training: the optimiser's and the loss's settings.
        steps: updates in all, for the schedule.
    """

    def __init__(self, model: Seq2Seq, training: Training, steps: int) -> None:
        super().__init__()
        self.model = model
        self.training_settings = training
        self.steps = steps

    def loss(self, batch: Batch, smoothing: float) -> tuple[Tensor, Tensor, int]:
        """Summed smoothed loss, summed negative log likelihood (nats), and real tokens."""
        features, weights = self.model(batch.source, batch.source_lengths, batch.target_input)
        # The output layer is the widest product: it sees real tokens only.
        real = batch.target_mask.flatten().nonzero().squeeze(1)  # (N,) in (B * T,)
        hidden = self.model.output.readout(features.flatten(0, 1).index_select(0, real))
        projection = self.model.output.projection
        loss, nll = smoothed_cross_entropy(
            hidden, projection.weight, projection.bias, batch.labels.flatten()[real], smoothing
        )
        if coverage := self.training_settings.coverage_weight:
            loss = loss + coverage * coverage_loss(weights, batch.target_mask)
        return loss, nll, len(hidden)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        # Dropout is a function of seed and step alone, so a resumed run draws the same masks.
        torch.manual_seed(self.training_settings.seed * 1_000_003 + self.global_step)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        loss, nll, tokens = self.loss(batch, self.training_settings.label_smoothing)
        self.log("loss", nll / tokens, prog_bar=True)
        self.log("tokens", float(tokens))
        self.log("learning_rate", self.trainer.optimizers[0].param_groups[0]["lr"])
        return loss / tokens

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        # Lightning itself refuses to clip for a fused optimiser in mixed precision.
        if self.training_settings.clip_norm > 0:
            clip_grad_norm_(self.model.parameters(), self.training_settings.clip_norm)

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
