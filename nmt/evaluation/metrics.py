"""BLEU, chrF and TER by sacreBLEU, on detokenised text against raw references.

Every score comes with sacreBLEU's signature (Post 2018) and a 95 % bootstrap interval (Koehn 2004);
several systems are compared by paired bootstrap.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from itertools import zip_longest
from typing import Any

from sacrebleu.metrics.base import Metric
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER
from sacrebleu.significance import PairedTest, Result

from nmt.errors import UserError
from nmt.writing_systems import subtags

References = Sequence[Sequence[str | None]]
"""The references of each sentence; None where one is missing (an empty text is a reference)."""

RESAMPLES = 1000

DEFAULT_TOKENIZER = "13a"
_CHINESE = "zh zho cmn yue wuu nan hak gan hsn cdo lzh"
_OTHERS = "ja jpn th tha nod lo lao km khm my mya shn mnw khb bo bod dz dzo"
UNSPACED = {
    **dict.fromkeys(_CHINESE.split(), "zh"),
    **dict.fromkeys(_OTHERS.split(), "char"),
}
"""sacreBLEU's tokenizer for languages without spaces between words, by ISO 639 code: 13a, which
splits at spaces, would make a whole sentence a single word."""

WORDLESS = {*UNSPACED.values(), "ja-mecab"}
"""The tokenizers of such languages. TER, which has none of them, is left out with these."""


def tokenizer_for(language: str) -> str:
    """sacreBLEU's tokenizer for a target language: `km`, `zh-TW`, `zho_Hans`, ..."""
    return UNSPACED.get(subtags(language)[0], DEFAULT_TOKENIZER)


@dataclass(frozen=True)
class Score:
    """One metric's value for one system.

    Args:
        name: sacreBLEU's name: BLEU, chrF2 or TER.
        value: 0 to 100; for TER lower is better, and it may exceed 100.
        signature: everything needed to reproduce the number.
        interval: half the width of the 95 % bootstrap interval, if there is one.
        p_value: for the difference from the first system, in a comparison.
    """

    name: str
    value: float
    signature: str
    interval: float | None = None
    p_value: float | None = None

    def __str__(self) -> str:
        interval = "" if self.interval is None else f" ± {self.interval:.1f}"
        return f"{self.name} {self.value:.1f}{interval} ({self.signature})"


@dataclass(frozen=True)
class Scores:
    """One system's scores over one test set."""

    sentences: int
    bleu: Score
    chrf: Score
    ter: Score | None = None

    def all(self) -> list[Score]:
        """All scores, in the order in which they are shown."""
        return [self.bleu, self.chrf, *([] if self.ter is None else [self.ter])]

    def as_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return asdict(self)


def compare(
    systems: Mapping[str, Sequence[str]],
    references: References,
    *,
    lowercase: bool = False,
    tokenize: str = DEFAULT_TOKENIZER,
) -> dict[str, Scores]:
    """Scores several systems, with p-values from a paired bootstrap test against the first.

    Raises:
        UserError: unequal numbers of lines, none at all, or a sentence without a reference.
    """
    for name, hypotheses in systems.items():
        check(hypotheses, references, name or "the hypotheses")
    metrics: dict[str, Metric] = {
        "BLEU": BLEU(lowercase=lowercase, tokenize=tokenize),
        "chrF": CHRF(lowercase=lowercase),
    }
    if tokenize not in WORDLESS:
        metrics["TER"] = TER()
    test = PairedTest(
        [(name, hypotheses) for name, hypotheses in systems.items()],
        metrics,
        by_stream(references),
        test_type="bs",
        n_samples=RESAMPLES,
    )
    signatures, table = test()
    columns = [
        [_score(name, str(key), one, table[name][0], len(references)) for one in table[name]]
        for name, key in signatures.items()
    ]
    rows = zip(systems, zip(*columns, strict=True), strict=True)
    return {name: Scores(len(references), *scores) for name, scores in rows}


def bleu(
    hypotheses: Sequence[str], references: References, tokenize: str = DEFAULT_TOKENIZER
) -> Score:
    """BLEU alone, without an interval, as validation needs it.

    Raises:
        UserError: unequal numbers of lines, none at all, or a sentence without a reference.
    """
    check(hypotheses, references, "the hypotheses")
    metric = BLEU(tokenize=tokenize)
    value = metric.corpus_score(hypotheses, by_stream(references)).score
    return Score("BLEU", value, str(metric.get_signature()))


def sentence_chrf(
    hypotheses: Sequence[str], references: References, *, lowercase: bool = False
) -> list[float]:
    """chrF of each sentence, to rank examples; BLEU is unstable on single sentences."""
    metric = CHRF(lowercase=lowercase)
    return [
        float(metric.sentence_score(hypothesis, [text for text in texts if text is not None]).score)
        for hypothesis, texts in zip(hypotheses, references, strict=True)
    ]


def by_stream(references: References) -> list[list[Any]]:
    """References in sacreBLEU's layout: each list holds one reference of every sentence.

    None stands for a missing reference: an empty text would count as a reference and silently
    change the reference length and TER. (sacreBLEU's annotations do not mention None.)
    """
    return [list(stream) for stream in zip_longest(*references)]


def check(hypotheses: Sequence[str], references: References, name: str) -> None:
    """Checks that hypotheses and references can be scored.

    Raises:
        UserError: unequal numbers of lines, none at all, or a sentence without a reference.
    """
    if len(hypotheses) != len(references):
        raise UserError(
            f"{name}: expected as many lines as the references have ({len(references)}), "
            f"found {len(hypotheses)}; line n of one must belong to line n of the other"
        )
    if not hypotheses:
        raise UserError(f"{name}: expected at least one line, found none")
    for number, texts in enumerate(references, start=1):
        if all(text is None for text in texts):
            raise UserError(f"line {number} of the references: expected a reference, found none")


def _score(
    name: str, signature: str, result: str | Result, first: str | Result, sentences: int
) -> Score:
    assert isinstance(result, Result)
    assert isinstance(first, Result)
    p_value = result.p_value
    if p_value is not None and (result.score == first.score or sentences == 1):
        # For systems that are equal on every resample too, sacreBLEU reports p = 0.001, and so it
        # does of a single sentence, of which every resample consists.
        p_value = 1.0
    return Score(name, result.score, signature, float(result.ci or 0.0), p_value)


def sentence_bleu(hypothesis: str, reference: str, tokenize: str = DEFAULT_TOKENIZER) -> float:
    """BLEU of a single sentence, 0 to 100, over the n-gram orders that it is long enough for.

    Smoothed; meant as a reward, not to be reported.
    """
    return float(_sentence_metric(tokenize).sentence_score(hypothesis, [reference]).score)


@cache
def _sentence_metric(tokenize: str) -> BLEU:
    return BLEU(tokenize=tokenize, effective_order=True)
