"""Splits a segment into parts that are translated separately, and joins their translations."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from nmt.documents.masking import Masked, Unplaced
from nmt.documents.placeholders import CHOICE, MARK
from nmt.documents.segments import Piece, Result, Segment, Tag, partners
from nmt.documents.sentences import gap, split, stripped
from nmt.translation import Alignment


class Translated(NamedTuple):
    """The translation of one text."""

    text: str
    aligned: Alignment


@dataclass(frozen=True)
class Part:
    """A line or a sentence of a segment.

    Args:
        before: leading white space.
        segment: the rest, without white space at its ends.
        after: trailing white space.
        masked: None if there is no word to translate.
    """

    before: str
    segment: Segment
    after: str
    masked: Masked | None


CHOSEN = "expected one text, found a choice between several"
"""The fault of a segment with a choice, which stays in the source language."""


def parts(segment: Segment, language: str, *, paragraphs: bool) -> list[Part]:
    """Splits a segment into lines, and with `paragraphs` lines into sentences, losing no text.

    There are no parts if a choice between texts encloses a tag, for then it is not a tag itself.
    """
    found: list[Part] = []
    start = 0
    if CHOICE.search(segment.text):
        return found
    for line in re.split(r"(?<=\n)", segment.text):
        for text in split(line, language) if paragraphs else [line]:
            before, core, after = stripped(text)
            first = start + len(before)
            inner = segment.part(first, first + len(core))
            masked = Masked(inner) if any(map(str.isalpha, core)) else None
            found.append(Part(before, inner, after, masked))
            start += len(text)
    return found


def joined(segment: Segment, parts: Sequence[Part], translated: Iterator[Translated]) -> Result:
    """Joins the translated parts of a segment and checks that its tags have been preserved."""
    if not parts:
        return Result(segment.pieces(), CHOSEN)
    pieces: list[Piece] = []
    plain = last = ""
    fault = None
    for part in parts:
        here, text = part.segment, part.segment.text.replace(MARK, "")
        if part.masked is not None:
            text, aligned = next(translated)
            text = text.replace(MARK, "\ufffd")  # not one of our tags
            fault = fault or (None if text.strip() else "expected a translation, found none")
            try:
                here = part.masked.put_back(text, aligned) if text.strip() else here
            except Unplaced as error:
                fault = fault or f"expected {error}, found no place for that"
        before = part.before or gap(last, plain, text)
        pieces += [before, *here.pieces(), part.after]
        plain += f"{before}{text}{part.after}"
        last = f"{part.segment.text}{part.after}"
    fault = fault or difference(segment, pieces)
    if fault:
        return Result([plain], fault)  # only the words, for review: its tags are wrong
    chosen = any(CHOICE.match(tag.text) for tag in segment.tags)
    return Result(pieces, CHOSEN if chosen else None)


def difference(source: Segment, pieces: Iterable[Piece]) -> str | None:
    """How the tags of a translation differ from those of its source; None if they do not."""
    pieces = list(pieces)
    found = Segment.of(pieces)
    wanted, there = (Counter(tag.text for tag in one.tags) for one in (source, found))
    for text in [*wanted, *there]:
        if wanted[text] != there[text]:
            return f"expected {text} {_times(wanted[text])}, found it {_times(there[text])}"
    if source.reserved and source.reserved in found.text:
        return f"expected {source.reserved} in placeholders only, found it elsewhere"
    ordered = [tag for tag in source.tags if tag.ordered]
    order = [piece for piece in pieces if isinstance(piece, Tag) and piece.ordered]
    if [id(tag) for tag in ordered] != [id(tag) for tag in order]:
        return f"expected {', '.join(tag.text for tag in ordered)} in this order, found another"
    if _pairs(source) != _pairs(found):
        return "expected each pair of tags one within or beside the other, found them crossing"
    return None


def _times(count: int) -> str:
    return {0: "not at all", 1: "once", 2: "twice"}.get(count, f"{count} times")


def _pairs(segment: Segment) -> Counter[tuple[str, str]]:
    tags = segment.tags
    return Counter((tags[a].text, tags[b].text) for a, b in partners(tags).items())
