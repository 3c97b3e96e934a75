"""Training with the validation's BLEU given beforehand, so that nothing is translated."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import datasets
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from data_prep.pieces import Pieces
from nmt import checkpoint, config
from nmt.config import Config
from nmt.model.seq2seq import Seq2Seq
from nmt.training.callbacks import Validate
from nmt.training.footprint import Footprint
from nmt.training.module import TranslationModule
from nmt.training.risk import Risk
from nmt.training.run import Hooks, train
from nmt.training.states import LAST
from nmt.training.trainer import make_trainer
from nmt.vocab import Vocabulary
from tests.toy import Toy

Weights = dict[str, Tensor]
MEASURE = Footprint.of
MEASURED: dict[str, Footprint] = {}


class PowerCut(BaseException):
    """Ends a process without a chance to tidy up."""


@dataclass(eq=False)
class Script(Callback):
    """What happens in one session of a run, and what was seen of it.

    Args:
        bleu: of the validation after so many updates.
        cut: where the session is cut short: "update" (learnt from a batch), "validation" (before
            anything of it is saved) or "end" (all is done but not yet said), and the updates done.
        said: the lines for the user.
        updated: the weights after each update.
        validated: the weights that each validation measured.
    """

    bleu: Callable[[int], float] = float
    cut: tuple[str, int] | None = None
    said: list[str] = field(default_factory=list)
    updated: dict[int, Weights] = field(default_factory=dict)
    validated: dict[int, Weights] = field(default_factory=dict)

    def validate(self, model: Seq2Seq, step: int, loss: float | None) -> dict[str, Any]:
        if loss is None:
            return {}
        self._pass("validation", step)
        self.validated[step] = weights_of(model)
        return {"loss": loss, "bleu": self.bleu(step), "signature": "scripted"}

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        self.updated[trainer.global_step] = weights_of(trainer.lightning_module.model)
        self._pass("update", trainer.global_step)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._pass("end", trainer.global_step)

    def _pass(self, place: str, step: int) -> None:
        if self.cut == (place, step):
            raise PowerCut

    def run(self, settings: Config, **arguments: Any) -> Path:
        """One session."""

        def validation(
            model: Seq2Seq, split: datasets.Dataset, *vocabularies: Vocabulary
        ) -> Validate:
            assert len(split) == 20 and len(vocabularies) == 2
            return self.validate

        def risk(target: Vocabulary) -> Risk:
            raise AssertionError("these runs learn from likelihood")

        def trainer(folder: Path, *others: Any) -> pl.Trainer:
            callbacks = others[-1]
            callbacks.insert(0, self)  # before anything is saved
            return make_trainer(folder, *others)

        hooks = Hooks(
            validation, risk, lambda: Pieces.of(Path(settings.data.folder), self.said.append)
        )
        with (
            patch("nmt.training.run.make_trainer", trainer),
            patch("nmt.training.trainer.TensorBoardLogger", side_effect=ModuleNotFoundError),
            patch.object(Footprint, "of", _footprint),
        ):
            return train(settings, hooks, self.said.append, **arguments)


def _footprint(module: TranslationModule) -> Footprint:
    """As measured for the first module with this network and objective."""
    key = f"{module} {module.objective}"
    if key not in MEASURED:
        MEASURED[key] = MEASURE(module)
    return MEASURED[key]


def weights_of(model: Any) -> Weights:
    """A copy of what the model holds at this moment."""
    assert isinstance(model, Seq2Seq)
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(left: Any, right: Any) -> bool:
    """Bit for bit, of tensors at any depth in dicts and lists."""
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, Tensor):
        return torch.equal(left, right)
    return bool(left == right)


def assert_alike(one: Path, other: Path) -> None:
    """Two runs hold the same: model, metrics, optimiser, averages, patience."""
    for name in (checkpoint.WEIGHTS, checkpoint.METRICS):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    left, right = (torch.load(run / LAST, weights_only=True) for run in (one, other))
    for key in ("state_dict", "optimizer_states", "lr_schedulers", "callbacks", "global_step"):
        assert same(left[key], right[key]), key
    for key in ("current_model_state", "averaging_state"):
        assert same(left.get(key), right.get(key)), key


def settings(toy: Toy, folder: Path, **changes: Any) -> Config:
    """A short run in a folder; dots in keys are written as double underscores."""
    short = {
        "training__folder": folder,
        "training__max_steps": 12,
        "training__validate_every": 4,
        "training__precision": "fp32",
        "model__dropout": 0.2,
        "model__encoder__dropout": 0.2,
    }
    overrides = [
        (key.replace("__", "."), [str(value)]) for key, value in {**short, **changes}.items()
    ]
    return config.load(toy.config, overrides)
