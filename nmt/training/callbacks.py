"""Callbacks of the training loop: validation, saving, early stopping, averaging, progress."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, WeightAveraging
from tqdm import tqdm

from nmt import processes
from nmt.checkpoint import METRICS, WEIGHTS, write_manifest, write_weights
from nmt.errors import Say, UserError
from nmt.files import sha256, write_json
from nmt.model.seq2seq import Seq2Seq
from nmt.training.module import TranslationModule
from nmt.training.optim import moving_average
from nmt.training.states import states_of

Validate = Callable[[Seq2Seq, int, float | None], dict[str, Any]]
"""Measures a model, so that training does not depend on decoding.

Takes the model, the number of updates and the validation loss; returns the metrics: the loss and,
for a translation model, "bleu" among them. A loss of None, before training starts, asks for no
metrics, only for a try.
"""


def score(row: dict[str, Any]) -> float:
    """The score of a validation, higher is better: BLEU or, if nothing is translated, -loss."""
    return float(row["bleu"] if "bleu" in row else -row["loss"])


class RunFolder(Callback):
    """Maintains the run's folder: the best validated model, the metrics, the manifest.

    Training stops when the score has not risen for some validations, across all sessions of a run.

    Args:
        folder: the run's folder.
        facts: the manifest's entries on the run, besides files and versions.
        validate: measures the model at each validation.
        patience: number of validations; may change from one session to the next.
    """

    def __init__(
        self, folder: Path, facts: dict[str, Any], validate: Validate, patience: int
    ) -> None:
        self.folder = folder
        self.facts = facts
        self.validate = validate
        self.patience = patience
        self.history: list[dict[str, Any]] = []
        self.best: dict[str, Any] = {}
        self._loss, self._tokens = 0.0, 0.0  # summed since the last validation
        self._weights, self._lost = "", False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, TranslationModule)
        done = trainer.global_step
        if done >= pl_module.steps and (not self.history or done > self.history[-1]["step"]):
            raise UserError(
                f"{self.folder}: {done:,} updates are done, and the last is not validated yet; "
                "expected training.max_steps and max_epochs to allow more, found "
                f"{pl_module.steps:,}"
            )
        self._stop_if_patience_is_spent(trainer)  # the last session may have ended just after it

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        tokens = float(trainer.callback_metrics["tokens"])
        loss = float(trainer.callback_metrics["loss"])
        if not math.isfinite(loss):
            raise UserError(
                f"{self.folder}: the loss of update {trainer.global_step} is {loss}: training has "
                "diverged; set a lower training.learning_rate or training.clip_norm and train "
                "again, with --fresh if the saved state has diverged too"
            )
        self._loss += loss * tokens
        self._tokens += tokens

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # Called while the model still holds the averaged weights, which were the ones validated.
        assert isinstance(pl_module, TranslationModule)
        if trainer.sanity_checking:
            self.validate(pl_module.model, 0, None)
            return
        train_loss = self._loss / max(1.0, self._tokens)
        self._loss, self._tokens = 0.0, 0.0
        step, loss = trainer.global_step, float(trainer.callback_metrics["val_loss"])
        metrics = self.validate(pl_module.model, step, loss)
        row = {"step": step, "train_loss": train_loss, **metrics}
        pl_module.log("val_score", score(row))
        self.history.append(row)
        if self._lost or not self.best or score(row) > score(self.best):
            self.best, self._lost = row, False
            if processes.rank() == 0:
                write_weights(self.folder, pl_module.model)
                self._weights = sha256(self.folder / WEIGHTS)
        self.write()
        self._stop_if_patience_is_spent(trainer)

    def _stop_if_patience_is_spent(self, trainer: pl.Trainer) -> None:
        since = sum(row["step"] > self.best["step"] for row in self.history)
        # All processes stop together, even if the BLEU of two differs in its last digit.
        if processes.all_max(since)[0] >= self.patience:
            trainer.should_stop = True

    def write(self, **more_facts: Any) -> None:
        """Writes the current metrics and manifest; of several processes, only the first does."""
        if processes.rank() > 0:
            return
        self.facts.update(more_facts)
        content = {"validation": self.best, "history": self.history}
        write_json(self.folder / METRICS, content)
        write_manifest(self.folder, {**self.facts, "best_step": self.best["step"]})

    def overflowed(self, size: float) -> UserError:
        """The error for a GPU that ran out of memory; a resumed run will use smaller batches.

        The widest batch did fit when the run began: something else has taken the memory, or a later
        piece of the corpus has a wider one.

        Args:
            size: bytes that the widest batch takes.
        """
        self.facts["choices"]["memory"] = size / 2
        # Whichever process ran out of memory: no other knows of it.
        best = {"best_step": self.best["step"]} if self.best else {}
        write_manifest(self.folder, {**self.facts, **best})
        cure = "set a lower training.batch_tokens, or free the GPU"
        if states_of(self.folder):
            cure = (
                "the same command, without --fresh, goes on from the state saved last, in batches "
                "of half the size"
            )
        return UserError(f"{self.folder}: the GPU's memory ran out; {cure}")

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        # In finished runs too: if more updates are requested later, this was not the last batch.
        checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]["is_last_batch"] = False

    def state_dict(self) -> dict[str, Any]:
        sums = {"loss": self._loss, "tokens": self._tokens}
        return {"history": self.history, "best": self.best, "weights": self._weights, **sums}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.history, self.best = list(state_dict["history"]), dict(state_dict["best"])
        self._loss, self._tokens = state_dict.get("loss", 0.0), state_dict.get("tokens", 0.0)
        self._weights = state_dict.get("weights", "")
        # A killed session may have saved a better model than its state knows of. This session may
        # take another course, so its next model replaces that one, whatever its score.
        kept = self.folder / WEIGHTS
        self._lost = bool(self._weights) and (not kept.exists() or sha256(kept) != self._weights)


class Progress(Callback):
    """Loss, tokens per second and time left: a live bar on a terminal, else occasional lines.

    Args:
        steps: total number of updates.
        say: prints a line.
    """

    def __init__(self, steps: int, say: Say) -> None:
        self.steps = steps
        self.say = say
        self.every = max(1, steps // 20)
        self.bar: Any = None
        self._tokens, self._seconds, self._started = 0, 0.0, 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # `disable=None` hides the bar if stderr is not a terminal; of several processes, only the
        # first shows it.
        self.bar = tqdm(
            total=self.steps,
            initial=trainer.global_step,
            unit=" updates",
            disable=processes.rank() > 0 or None,
            dynamic_ncols=True,
            smoothing=0.02,
        )

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._started = time.monotonic()

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        self._seconds += time.monotonic() - self._started
        self._tokens += int(trainer.callback_metrics["tokens"])
        step = trainer.global_step
        loss = float(trainer.callback_metrics["loss"])
        rate = self._tokens / max(self._seconds, 1e-9)
        self.bar.set_postfix_str(f"loss {loss:.2f}, {rate:,.0f} tokens/s", refresh=False)
        self.bar.update()
        if self.bar.disable and step % self.every == 0:
            self.say(f"update {step:,} of {self.steps:,}: loss {loss:.2f}, {rate:,.0f} tokens/s")

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.bar is not None:
            self.bar.clear()  # the validation prints its own lines

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.bar.close()

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        if self.bar is not None:
            self.bar.close()


def averaging(decay: float) -> list[Callback]:
    """The callback for the exponential moving average of the weights, if enabled."""
    return [WeightAveraging(multi_avg_fn=moving_average(decay))] if decay else []
