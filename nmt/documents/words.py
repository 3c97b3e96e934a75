"""The words of a text, and how those of a translation align with those of its source."""

import re
from collections.abc import Sequence

from nmt.documents.placeholders import MARK
from nmt.translation import Alignment
from nmt.writing_systems import HAN_AND_KANA, SIGNS

# Chinese and Japanese put no spaces between words, so each character counts as one.
_SINGLE = f"[{HAN_AND_KANA}]"
WORD = re.compile(rf"{_SINGLE}|(?:(?!{_SINGLE})[\w{SIGNS}])+|[^\w\s{MARK}]")
"""A word, or a punctuation mark or symbol between words."""

Span = tuple[int, int]


def spans(text: str) -> list[Span]:
    """Where each word of a text begins and ends."""
    return [match.span() for match in WORD.finditer(text)]


def attention(
    source: tuple[str, Sequence[Span]], target: tuple[str, Sequence[Span]], aligned: Alignment
) -> list[list[float]]:
    """How much each word of a translation attends to each word of its source.

    A word that is the same in both, such as a name, a number or a comma, aligns with itself. A word
    that attends only to the end-of-sentence mark aligns with nothing.
    """
    columns = _covered(*source, aligned.source)
    rows = _covered(*target, aligned.target)
    table = []
    for (start, end), pieces in zip(target[1], rows, strict=True):
        word = target[0][start:end]
        row = []
        for (first, last), places in zip(source[1], columns, strict=True):
            total = sum(
                aligned.weights[piece][place] * share * part
                for piece, share in pieces
                for place, part in places
            )
            same = word == source[0][first:last]
            row.append(total / max(1, len(pieces)) + 2 * same)
        table.append(row)
    return table


def _covered(
    text: str, words: Sequence[Span], pieces: Sequence[str]
) -> list[list[tuple[int, float]]]:
    """For each word of a text, the pieces that overlap it and the fraction of each that does."""
    places: list[Span] = []
    at = 0
    for piece in pieces:
        # Two pieces may share a character, which then counts fully for both.
        shared = not text.startswith(piece, at) and text.startswith(piece, at - 1)
        start = at - 1 if at and shared else at
        at = start + len(piece)
        places.append((start, at))
    return [
        [
            (i, (min(end, last) - max(start, first)) / len(pieces[i].strip() or " "))
            for i, (start, end) in enumerate(places)
            if start < last and end > first
        ]
        for first, last in words
    ]
