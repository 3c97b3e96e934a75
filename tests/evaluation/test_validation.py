"""Validation BLEU, as training asks for it."""

import pytest

from nmt.config import Decoding
from nmt.evaluation import metrics
from nmt.evaluation.validation import TRIED, ValidationBleu, validation_perplexity
from tests.decoding import tiny

SOURCES = list(tiny.SENTENCES)
REFERENCES: list[list[str | None]] = [[None, text] for text in SOURCES]
DECODING = Decoding(beam_size=1)


def validation(said: list[str]) -> ValidationBleu:
    vocabulary = tiny.vocabulary()
    return ValidationBleu(SOURCES, REFERENCES, (vocabulary, vocabulary), DECODING, said.append)


def test_bleu_is_measured_and_said() -> None:
    said: list[str] = []
    found = validation(said)(tiny.model(), 4, 0.5)
    hypotheses = [one.text for one in tiny.translator(DECODING).translate(SOURCES)]
    expected = metrics.bleu(hypotheses, REFERENCES)
    assert found == {"loss": 0.5, "bleu": expected.value, "signature": expected.signature}
    samples = [
        line
        for index in (2, 4)
        for line in (
            f"  source     {SOURCES[index]}",
            f"  reference  {SOURCES[index]}",
            f"  output     {hypotheses[index]}",
        )
    ]
    assert said == [f"update 4: validation loss 0.500, perplexity 1.65, {expected}", *samples]


def test_before_training_a_handful_is_translated_and_nothing_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    translated: list[int] = []

    def count(
        hypotheses: list[str], references: metrics.References, tokenize: str
    ) -> metrics.Score:
        assert len(hypotheses) == len(references)
        translated.append(len(hypotheses))
        return metrics.bleu(hypotheses, references)

    monkeypatch.setattr("nmt.evaluation.validation.bleu", count)
    said: list[str] = []
    assert validation(said)(tiny.model(), 0, None) == {}
    assert (translated, said) == ([TRIED], [])


def test_a_language_models_perplexity_is_said() -> None:
    said: list[str] = []
    validation_perplexity(said.append, tiny.model(), 0, None)
    assert validation_perplexity(said.append, tiny.model(), 8, 0.5) == {"loss": 0.5}
    assert said == ["update 8: validation loss 0.500, perplexity 1.65"]
