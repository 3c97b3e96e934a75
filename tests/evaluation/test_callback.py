"""Validation BLEU within a real trainer."""

import copy
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from nmt.config import Decoding
from nmt.evaluation import metrics
from nmt.evaluation.callback import CHECKED, ValidationBleu
from tests.decoding import tiny

SOURCES = list(tiny.SENTENCES)
REFERENCES: list[list[str | None]] = [[None, text] for text in SOURCES]
DECODING = Decoding(beam_size=1)

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:GPU available but not used"),
    # Lightning's own use of torch's trees.
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),
]


class Module(pl.LightningModule):
    """Holds the tiny model and learns nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.model = copy.deepcopy(tiny.model()).train()
        self.unused = torch.nn.Parameter(torch.zeros(()))

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        return self.unused * batch[0].sum()

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.log("val_loss", 0.5)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD([self.unused], lr=0.0)


def fit(folder: Path, callback: ValidationBleu, epochs: int = 2) -> pl.Trainer:
    loader = DataLoader(TensorDataset(torch.zeros(4)))
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        callbacks=[callback],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        log_every_n_steps=1,
    )
    trainer.fit(Module(), loader, loader)
    return trainer


def callback_with(said: list[str]) -> ValidationBleu:
    vocabulary = tiny.vocabulary()
    return ValidationBleu(SOURCES, REFERENCES, (vocabulary, vocabulary), DECODING, said.append)


def test_bleu_is_logged_and_said_after_each_validation(tmp_path: Path) -> None:
    said: list[str] = []
    callback = callback_with(said)
    trainer = fit(tmp_path, callback)
    hypotheses = [one.text for one in tiny.translator(DECODING).translate(SOURCES)]
    expected = metrics.bleu(hypotheses, REFERENCES)
    assert callback.last == expected
    assert float(trainer.callback_metrics["val_score"]) == pytest.approx(expected.value)
    numbers = f"validation loss 0.500, perplexity 1.65, {expected}"
    samples = [
        line
        for index in (2, 4)
        for line in (
            f"  source     {SOURCES[index]}",
            f"  reference  {SOURCES[index]}",
            f"  output     {hypotheses[index]}",
        )
    ]
    assert said == [f"update 4: {numbers}", *samples, f"update 8: {numbers}", *samples]


def test_before_training_a_handful_is_translated_and_nothing_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    translated: list[int] = []

    def count(
        hypotheses: list[str], references: metrics.References, tokenize: str
    ) -> metrics.Score:
        assert len(hypotheses) == len(references)
        translated.append(len(hypotheses))
        return metrics.bleu(hypotheses, references)

    monkeypatch.setattr("nmt.evaluation.callback.bleu", count)
    said: list[str] = []
    fit(tmp_path, callback_with(said), epochs=1)
    assert translated == [CHECKED, len(SOURCES)]
    assert said[0].startswith("update 4:")
    assert len(said) == 7
