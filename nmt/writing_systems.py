"""Differences between scripts that matter when counting letters and words; language codes."""

import re
import unicodedata

LETTERS_A_SIGN = 3
"""Approximate number of letters that a Han, kana or Hangul character, which writes a syllable or a
word, counts for."""

MARGIN = 10
"""Letters added to both lengths, so that short texts do not appear to differ much."""

HAN_AND_KANA = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""For a class in a regular expression."""

_SIGN = re.compile(rf"[\u1100-\u11ff\u3130-\u318f\uac00-\ud7af{HAN_AND_KANA}]")  # Hangul too
_UNSPACED = re.compile(rf"[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff{HAN_AND_KANA}]")

_MARKS = "".join(sign for sign in map(chr, range(0x10000)) if unicodedata.category(sign)[0] == "M")
SIGNS = rf"{_MARKS}\u200c\u200d"
"""Vowel signs, other marks and joiners, for a class in a regular expression: they belong to a word,
but `\\w` does not match them. Those beyond 0xffff would slow the class down."""


def letters(text: str) -> int:
    """The length of a text, such that a sentence and its translation are about equally long.

    In characters, good Chinese is only a quarter as long as its English translation.
    """
    if text.isascii():
        return len(text)
    return len(text) + (LETTERS_A_SIGN - 1) * len(_SIGN.findall(text))


def lengths(one: str, other: str) -> tuple[int, int]:
    """The lengths of the shorter and the longer text, in letters plus `MARGIN`, for comparison."""
    both = letters(one) + MARGIN, letters(other) + MARGIN
    return min(both), max(both)


def is_unspaced(text: str) -> bool:
    """Whether most letters belong to scripts without spaces between words: Han, kana, Thai, Lao,
    Tibetan, Burmese, Khmer."""
    return 2 * len(_UNSPACED.findall(text)) > sum(map(str.isalpha, text))


def subtags(code: str) -> list[str]:
    """The parts of a language code in lower case: `de` and `at` of `de_AT`."""
    return code.replace("_", "-").lower().split("-")


def same_language(one: str, other: str) -> bool:
    """Whether two codes denote the same language, of any region and script: `pt-BR` and `pt-PT`."""
    return subtags(one)[0] == subtags(other)[0]


def same_variety(one: str, other: str) -> bool:
    """Whether two codes may denote one variety: `zh` and `zh-TW`, but not `zh-CN` and `zh-TW`."""
    mine, yours = set(subtags(one)[1:]), set(subtags(other)[1:])
    return same_language(one, other) and (mine <= yours or yours <= mine)
