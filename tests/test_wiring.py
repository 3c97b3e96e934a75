"""What the command line hands to training: how it validates, and what a translation is worth."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from data_prep.pieces import Pieces
from nmt import config
from nmt.checkpoint import build_model
from nmt.data.datamodule import open_dataset
from nmt.evaluation.validation import ValidationBleu
from nmt.files import write_json
from nmt.training.run import Hooks
from nmt.vocab import load_vocabularies
from nmt.wiring import run_training
from tests.toy import Toy


@pytest.fixture
def handed(toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What training is called with, for a toy whose target language has no spaces."""
    given: dict[str, Any] = {}

    def train(settings: config.Config, hooks: Hooks, *rest: object) -> Path:
        given.update(validation=hooks.validate, risk=hooks.risk)
        write_json(tmp_path / "metrics.json", {"history": []})
        return tmp_path

    monkeypatch.setattr("nmt.training.run.train", train)
    monkeypatch.setattr("nmt.evaluation.plots.plot_curves", lambda *_: None)
    settings = config.load(toy.config, [("training.validation_beam", ["3"])])
    data = replace(settings.data, target_language="km")
    run_training(replace(settings, data=data), Pieces.of, lambda line: None, False, None)
    return given


def test_validation_has_its_own_beam_and_the_languages_tokenizer(
    handed: dict[str, Callable[..., Any]], toy: Toy
) -> None:
    split, vocabularies = open_dataset(toy.prepared)["validation"], load_vocabularies(toy.prepared)
    model = build_model(config.load(toy.config), *vocabularies)
    validate = handed["validation"](model, split, *vocabularies)
    assert isinstance(validate, ValidationBleu)
    assert (validate.decoding.beam_size, validate.tokenize) == (3, "char")
    assert validate.sources == split["source"][:]


def test_a_translation_is_worth_its_sentence_bleu(
    handed: dict[str, Callable[..., Any]], toy: Toy
) -> None:
    _, target = load_vocabularies(toy.prepared)
    right, near, far = target.encode(["abc", "abd", "xyz"])
    worth = handed["risk"](target).reward([right, near, far], right)
    assert worth[0] == pytest.approx(1.0)
    assert worth[0] > worth[1] > worth[2] >= 0.0
