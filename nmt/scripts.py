"""What scripts differ in, where lengths and words are counted; codes of languages."""

import re

LETTERS_A_SIGN = 3
"""Letters that a character of Han, kana or Hangul stands for, near enough: it writes a syllable
or a word."""

MARGIN = 10
"""Letters added to each of two lengths, so that short texts do not seem to differ much."""

_SIGN = re.compile(
    "[\u1100-\u11ff\u3040-\u30ff\u3130-\u318f\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
    "\U00020000-\U0003ffff]"
)
_UNSPACED = re.compile(
    "[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff]"
)


def letters(text: str) -> int:
    """The length of a text, such that a sentence and its translation are about equally long.

    Counted in characters, good Chinese is a quarter as long as its English.
    """
    if text.isascii():
        return len(text)
    return len(text) + (LETTERS_A_SIGN - 1) * len(_SIGN.findall(text))


def lengths(one: str, other: str) -> tuple[int, int]:
    """The shorter and the longer of two texts in letters, with a margin, to be compared."""
    both = letters(one) + MARGIN, letters(other) + MARGIN
    return min(both), max(both)


def is_unspaced(text: str) -> bool:
    """Whether most letters are of scripts without spaces between words: Han, kana, Thai, Lao,
    Tibetan, Burmese, Khmer."""
    return 2 * len(_UNSPACED.findall(text)) > sum(map(str.isalpha, text))


def same_language(one: str, other: str) -> bool:
    """Whether two codes, as `de` and `de-AT`, name one language."""
    return one.replace("_", "-").split("-")[0].lower() == (
        other.replace("_", "-").split("-")[0].lower()
    )
