"""Our numbers are sacreBLEU's, and what sacreBLEU would score silently is refused."""

import json
from collections.abc import Sequence

import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from nmt.errors import UserError
from nmt.evaluation import metrics
from tests.evaluation.alone import evaluate

HYPOTHESES = [
    "The cat sat on the mat.",
    "There is a dog in the garden today.",
    "He is reading the newspaper",
    "I have no idea at all what that means!",
]
REFERENCES: list[list[str | None]] = [
    ["The cat sat on the mat.", "A cat was sitting on the mat."],
    ["A dog is in the garden today.", None],
    ["He reads the newspaper.", "He is reading a newspaper."],
    [None, "I have no idea what that means!"],
]


@pytest.mark.parametrize(
    ("language", "tokenizer"),
    [("de", "13a"), ("ko", "13a"), ("zh", "zh"), ("zh-TW", "zh"), ("km", "char"), ("JA", "char")],
)
def test_languages_without_spaces_have_a_tokenizer_of_their_own(
    language: str, tokenizer: str
) -> None:
    assert metrics.tokenizer_for(language) == tokenizer


def test_languages_without_spaces_are_not_scored_sentence_by_sentence() -> None:
    score = metrics.bleu(["ខ្ញុំស្រឡាញ់អ្នក"], [["ខ្ញុំស្រឡាញ់គាត់"]], metrics.tokenizer_for("km"))
    assert 30 < score.value < 100 and "tok:char" in score.signature


@pytest.mark.parametrize("tokenize", ["zh", "char"])
def test_ter_is_left_out_where_it_would_take_a_sentence_for_a_word(tokenize: str) -> None:
    scores = evaluate(["她明天回来。"], [["她今天回来。"]], tokenize=tokenize)
    assert scores.ter is None and [score.name for score in scores.all()] == ["BLEU", "chrF2"]


def test_of_a_single_sentence_nothing_is_significant() -> None:
    found = metrics.compare({"one": ["a cat sat down"], "two": ["no"]}, [["a cat sat down"]])
    assert [score.p_value for score in found["two"].all()] == [1.0] * 3


def test_a_sentence_that_is_its_reference_has_all_of_bleu() -> None:
    right, half, wrong = "a cat sat on the mat", "a cat sat on a rug", "dogs bark"
    worth = [metrics.sentence_bleu(text, right) for text in (right, half, wrong)]
    assert worth[0] == pytest.approx(100)
    assert 100 > worth[1] > worth[2] >= 0
    assert metrics.sentence_bleu("ab", "abc", "char") > metrics.sentence_bleu("ab", "abc") == 0


@pytest.mark.parametrize("lowercase", [False, True])
def test_scores_and_signatures_are_those_of_sacrebleu(lowercase: bool) -> None:
    scores = evaluate(HYPOTHESES, REFERENCES, lowercase=lowercase)
    streams: Sequence[Sequence[str]] = metrics.by_stream(REFERENCES)
    for ours, theirs in zip(
        scores.all(), [BLEU(lowercase=lowercase), CHRF(lowercase=lowercase), TER()], strict=True
    ):
        expected = theirs.corpus_score(HYPOTHESES, streams, n_bootstrap=1000)
        assert ours.value == pytest.approx(expected.score)
        assert ours.signature == str(theirs.get_signature())
        assert ours.interval is not None
        assert f"± {ours.interval:.3f}" in expected.format(width=3)
    assert scores.sentences == 4
    assert "nrefs:var|bs:1000|seed:12345" in scores.bleu.signature
    assert ("case:lc" in scores.bleu.signature) == lowercase


def test_a_missing_reference_is_none_and_an_empty_one_counts() -> None:
    missing = evaluate(HYPOTHESES, REFERENCES)
    empty = evaluate(HYPOTHESES, [[text or "" for text in one] for one in REFERENCES])
    assert missing.ter and empty.ter and "nrefs:2" in empty.ter.signature
    assert missing.ter.value != empty.ter.value
    shorter = [[text for text in one if text is not None] for one in REFERENCES]
    assert evaluate(HYPOTHESES, shorter).as_dict() == missing.as_dict()


def test_bleu_alone_is_the_same_bleu() -> None:
    alone = metrics.bleu(HYPOTHESES, REFERENCES)
    assert alone.value == pytest.approx(evaluate(HYPOTHESES, REFERENCES).bleu.value)
    assert alone.signature.startswith("nrefs:var|case:mixed|eff:no|tok:13a|smooth:exp|version:")
    assert str(alone) == f"BLEU {alone.value:.1f} ({alone.signature})"


def test_scores_are_the_same_each_time_and_ready_for_json() -> None:
    first, second = (evaluate(HYPOTHESES, REFERENCES) for _ in range(2))
    assert first == second
    data = json.loads(json.dumps(first.as_dict()))
    assert data["chrf"]["name"] == "chrF2"
    assert data["bleu"]["value"] == first.bleu.value
    assert first.ter and str(first.ter) == (
        f"TER {first.ter.value:.1f} ± {first.ter.interval:.1f} ({first.ter.signature})"
    )


def test_systems_are_compared_with_the_first() -> None:
    references: list[list[str | None]] = [[f"sentence number {i} is here now"] for i in range(60)]
    good = [f"sentence number {i} is here" for i in range(60)]
    bad = [f"a phrase numbered {i} was there" for i in range(60)]
    found = metrics.compare({"good": good, "same": list(good), "bad": bad}, references)
    assert list(found) == ["good", "same", "bad"]
    assert found["good"].bleu.p_value is None
    assert found["good"].bleu.value == found["same"].bleu.value > found["bad"].bleu.value
    assert found["same"].bleu.p_value == pytest.approx(1.0)
    for score in found["bad"].all():
        assert score.p_value is not None
        assert score.p_value < 0.05
    alone = evaluate(bad, references)
    assert [one.value for one in found["bad"].all()] == [one.value for one in alone.all()]


@pytest.mark.parametrize(
    ("hypotheses", "references", "message"),
    [
        (["a", "b"], [["a"]], r"expected as many lines as the references have \(1\), found 2"),
        (["a"], [["a"], ["b"]], r"expected as many lines as the references have \(2\), found 1"),
        ([], [], "expected at least one line, found none"),
        (["a", "b"], [["a"], [None, None]], "line 2 of the references: expected a reference"),
    ],
)
def test_what_cannot_be_scored_is_refused(
    hypotheses: list[str], references: list[list[str | None]], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        evaluate(hypotheses, references)
    with pytest.raises(UserError, match=message):
        metrics.bleu(hypotheses, references)
    with pytest.raises(UserError, match=f"^(mine: .*|){message}"):
        metrics.compare({"mine": hypotheses}, references)


def test_sentence_chrf_takes_the_best_reference() -> None:
    found = metrics.sentence_chrf(HYPOTHESES, REFERENCES)
    assert found[0] == 100
    assert found[2] == max(
        metrics.sentence_chrf(HYPOTHESES[2:3], [[text]])[0] for text in REFERENCES[2]
    )
