"""What happens around training steps: saving, averaging, progress."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, EMAWeightAveraging, TQDMProgressBar

from nmt.checkpoint import LAST, METRICS, write_manifest, write_weights
from nmt.files import write_atomically, write_json
from nmt.training.module import TranslationModule


class RunFolder(Callback):
    """Keeps the run's folder: the best model by validation BLEU, and the last state to resume.

    Args:
        folder: of the run.
        facts: what the manifest says of the run besides files and versions.
        metrics: gives the metrics of the validation that has just ended, "bleu" among them.
    """

    def __init__(
        self, folder: Path, facts: dict[str, Any], metrics: Callable[[], dict[str, Any]]
    ) -> None:
        self.folder = folder
        self.facts = facts
        self.metrics = metrics
        self.history: list[dict[str, Any]] = []
        self.best: dict[str, Any] = {}
        self._loss, self._tokens = 0.0, 0.0

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        tokens = float(trainer.callback_metrics["tokens"])
        self._loss += float(trainer.callback_metrics["loss"]) * tokens
        self._tokens += tokens

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # Called while the averaged weights are still in the model: they are what was measured.
        if trainer.sanity_checking:
            return
        assert isinstance(pl_module, TranslationModule)
        train_loss = self._loss / max(1.0, self._tokens)
        self._loss, self._tokens = 0.0, 0.0
        row = {"step": trainer.global_step, "train_loss": train_loss, **self.metrics()}
        self.history.append(row)
        if not self.best or row["bleu"] > self.best["bleu"]:
            self.best = row
            write_weights(self.folder, pl_module.model)
        self.write()

    def write(self, **more_facts: Any) -> None:
        """Writes the metrics and the manifest as things stand."""
        self.facts.update(more_facts)
        content = {"validation": self.best, "history": self.history}
        write_json(self.folder / METRICS, content)
        write_manifest(self.folder, {**self.facts, "best_step": self.best["step"]})

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.sanity_checking:
            write_atomically(self.folder / LAST, trainer.save_checkpoint)

    def state_dict(self) -> dict[str, Any]:
        return {"history": self.history, "best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.history, self.best = list(state_dict["history"]), dict(state_dict["best"])


class ThroughputBar(TQDMProgressBar):
    """The progress bar, with target tokens per second beside the loss."""

    def __init__(self) -> None:
        super().__init__(refresh_rate=20)
        self._tokens = 0.0
        self._since = time.monotonic()

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        self._tokens += float(trainer.callback_metrics.get("tokens", 0.0))
        super().on_train_batch_end(trainer, *args)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        super().on_validation_end(trainer, pl_module)
        self._tokens, self._since = 0.0, time.monotonic()

    def get_metrics(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        metrics = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)
        rate = self._tokens / max(1e-9, time.monotonic() - self._since)
        return {**metrics, "tokens/s": f"{rate:,.0f}"}


def averaging(decay: float) -> list[Callback]:
    """The exponential moving average of the weights (Polyak and Juditsky 1992), if any."""
    return [EMAWeightAveraging(decay=decay)] if decay > 0 else []
