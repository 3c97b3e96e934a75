"""Translations that look wrong though no reference is there: each for a reason with a name."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from nmt.decoding.translation import Alignment, Translation
from nmt.schema import NonNegative, Positive, PositiveInt
from nmt.scripts import lengths

LONGEST_LOOP = 6
"""Words of a piece that is looked for again right behind itself."""

ALL = "all"
FLAGGED = "flagged"
"""What is counted beside the reasons: all translations, and those that have any reason."""


@dataclass(frozen=True, kw_only=True)
class Health:
    """From where on a translation looks wrong; each threshold has the name of its reason.

    A translation that stopped at the length limit has the reason `cut`, whose thresholds are
    `decoding.max_length_ratio` and `decoding.max_length_extra`.

    Args:
        loop: a phrase of one to six words stands so many times in a row, and not in the source.
        copied: a translation that is its source has so many words that begin with a letter, and
            not with a capital one: names may stay as they are.
        ratio: one text has so many times as many letters as the other (ten are added to each
            first, so that short lines are not hit; a character of Han, kana or Hangul counts as
            three letters).
        unreached: a word of the source got less attention than this from all steps together.
    """

    loop: PositiveInt = 3
    copied: PositiveInt = 3
    ratio: Positive = 2.5
    unreached: NonNegative = 0.1


def reasons(source: str, translation: Translation, health: Health) -> Iterator[str]:
    """Why a translation looks wrong; nothing where it looks right.

    Args:
        source: the text.
        translation: of it; `unreached` is looked for if it has an alignment.
        health: from where on something counts as wrong.
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
    """How many times in a row the most repeated piece of a few words stands.

    Case and punctuation between words are passed over: `Please. Please, please` are three.
    """
    words, most = re.findall(r"\w+", text.casefold()), 1
    for size in range(1, LONGEST_LOOP + 1):
        same = 0
        for word, later in zip(words, words[size:], strict=False):
            same = same + 1 if word == later else 0
            most = max(most, same // size + 1)
    return most


def reached(alignment: Alignment) -> list[tuple[str, float]]:
    """Each word of the source, and the attention that all steps together gave to its pieces."""
    words: list[tuple[str, float]] = []
    sums = map(sum, zip(*alignment.weights, strict=True))
    for piece, weight in zip(alignment.source[:-1], sums, strict=False):  # less </s>
        goes_on = bool(words) and not piece[:1].isspace()
        text, before = words.pop() if goes_on else ("", 0.0)
        words.append((text + piece, before + weight))
    return [(word.strip(), weight) for word, weight in words if any(map(str.isalnum, word))]


def any_of(parts: Sequence[list[str]]) -> list[str]:
    """The reasons of a text whose parts have these, each once."""
    return list(dict.fromkeys(chain.from_iterable(parts)))


def counted(reasons: Sequence[list[str]]) -> Counter[str]:
    """How many translations have each reason, how many any, and how many there are."""
    tally = Counter(chain.from_iterable(reasons))
    return tally + Counter({FLAGGED: sum(map(bool, reasons)), ALL: len(reasons)})


def listed(reasons: Sequence[list[str]], places: Iterable[Mapping[str, Any]]) -> bytes:
    """A JSON object for each translation that looks wrong: where it is, and why.

    Args:
        reasons: of each translation.
        places: of each, what tells where it is; there may be more.
    """
    pairs = zip(reasons, places, strict=False)
    found = [{**place, "reasons": why} for why, place in pairs if why]
    return "".join(f"{json.dumps(one, ensure_ascii=False)}\n" for one in found).encode()


def told(tally: Counter[str]) -> str | None:
    """What was counted under each reason, in a sentence; None where all looks right."""
    if not tally[FLAGGED]:
        return None
    each = [(name, n) for name, n in tally.most_common() if name not in (ALL, FLAGGED)]
    found = ", ".join(f"{name} {n:,}" for name, n in each)
    return f"{tally[FLAGGED]:,} of {tally[ALL]:,} translations look wrong: {found}"
