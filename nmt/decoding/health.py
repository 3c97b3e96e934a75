"""Suspicious translations, found without references: each for a named reason."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from nmt.schema import NonNegative, Positive, PositiveInt
from nmt.translation import Alignment, Translation
from nmt.writing_systems import SIGNS, lengths

LONGEST_LOOP = 6
"""The longest phrase, in words, that is checked for immediate repetition."""

_WORD = re.compile(rf"[\w{SIGNS}]+")

ALL = "all"
FLAGGED = "flagged"
"""Counted besides the reasons: all translations, and those with at least one reason."""


@dataclass(frozen=True, kw_only=True)
class Health:
    """Thresholds beyond which a translation is suspicious; each is named after its reason.

    A translation that stopped at the length limit has the reason `cut`, whose thresholds are
    `decoding.max_length_ratio` and `decoding.max_length_extra`.

    Args:
        loop: a phrase of one to six words is repeated this many times in a row, but not in the
            source.
        copied: the translation equals the source, which has at least this many words that begin
            with a letter other than a capital (names may be copied).
        ratio: one text has this many times as many letters as the other (ten are added to each
            first, to spare short lines; a character of Han, kana or Hangul counts as three).
        unreached: a source word got less attention than this from all steps together.
    """

    loop: PositiveInt = 3
    copied: PositiveInt = 3
    ratio: Positive = 2.5
    unreached: NonNegative = 0.1


def reasons(source: str, translation: Translation, health: Health) -> Iterator[str]:
    """Why a translation looks suspicious; empty if it does not.

    Args:
        source: the source text.
        translation: its translation; `unreached` is checked only if it has an alignment.
        health: the thresholds.
    """
    if not source.strip():
        return
    if translation.cut:
        yield "cut"
    if repeats(translation.text) >= max(health.loop, repeats(source) + 1):
        yield "loop"
    words = source.split()
    small = [word for word in words if word[0].isalpha() and not word[0].isupper()]
    if len(small) >= health.copied and translation.text.split() == words:
        yield "copied"
    short, long = lengths(translation.text.strip(), source.strip())
    if long >= health.ratio * short:
        yield "ratio"
    words_reached = reached(translation.alignment) if translation.alignment else []
    if any(weight < health.unreached for _, weight in words_reached):
        yield "unreached"


def repeats(text: str) -> int:
    """How many times in a row the most repeated short phrase occurs.

    Case and punctuation are ignored: `Please. Please, please` counts as three.
    """
    words, most = _WORD.findall(text.casefold()), 1
    for size in range(1, LONGEST_LOOP + 1):
        same = 0
        for word, later in zip(words, words[size:], strict=False):
            same = same + 1 if word == later else 0
            most = max(most, same // size + 1)
    return most


def reached(alignment: Alignment) -> list[tuple[str, float]]:
    """Each source word, and the attention that its pieces got from all steps together."""
    words: list[tuple[str, float]] = []
    sums = map(sum, zip(*alignment.weights, strict=True))
    for piece, weight in zip(alignment.source[:-1], sums, strict=False):  # without </s>
        goes_on = bool(words) and not piece[:1].isspace()
        text, before = words.pop() if goes_on else ("", 0.0)
        words.append((text + piece, before + weight))
    return [(word.strip(), weight) for word, weight in words if any(map(str.isalnum, word))]


def any_of(parts: Sequence[list[str]]) -> list[str]:
    """The reasons of a text, from those of its parts, without duplicates."""
    return list(dict.fromkeys(chain.from_iterable(parts)))


def counted(reasons: Sequence[list[str]]) -> Counter[str]:
    """How many translations have each reason, how many have any, and how many there are."""
    tally = Counter(chain.from_iterable(reasons))
    return tally + Counter({FLAGGED: sum(map(bool, reasons)), ALL: len(reasons)})


def listed(reasons: Sequence[list[str]], places: Iterable[Mapping[str, Any]]) -> bytes:
    """A JSON object for each suspicious translation: where it is, and why.

    Args:
        reasons: the reasons of each translation.
        places: where each translation is, as JSON keys; may be longer than `reasons`.
    """
    pairs = zip(reasons, places, strict=False)
    found = [{**place, "reasons": why} for why, place in pairs if why]
    return "".join(f"{json.dumps(one, ensure_ascii=False)}\n" for one in found).encode()


def told(tally: Counter[str]) -> str | None:
    """The counts of all reasons in a sentence; None if no translation is suspicious."""
    if not tally[FLAGGED]:
        return None
    each = [(name, n) for name, n in tally.most_common() if name not in (ALL, FLAGGED)]
    found = ", ".join(f"{name} {n:,}" for name, n in each)
    return f"{tally[FLAGGED]:,} of {tally[ALL]:,} translations look wrong: {found}"
