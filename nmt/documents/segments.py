"""A segment: text with tags, which are hidden from the model and must not be lost."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from nmt.documents.placeholders import MARK, find
from nmt.errors import Say
from nmt.writing_systems import same_variety

Kind = Literal["point", "open", "close"]


@dataclass(frozen=True)
class Tag:
    """A placeholder or a tag.

    Args:
        text: as it is written, or as messages show it.
        kind: a point takes up space like a word; an opening or closing tag takes none and belongs
            to the text after or before it.
        pair: a key that an opening tag shares with its closing tag; None if it has no partner.
        ordered: it denotes the first, second, ... argument by position alone.
        element: what the format writes in its place; None for its text.
    """

    text: str
    kind: Kind = "point"
    pair: str | None = None
    ordered: bool = False
    element: Any = None


Piece = str | Tag


@dataclass(frozen=True)
class Segment:
    """A unit of text to translate.

    Args:
        text: with `MARK` in place of each tag.
        tags: in order.
        reserved: a string that its translation may contain only within placeholders.
    """

    text: str
    tags: tuple[Tag, ...]
    reserved: str = ""

    @classmethod
    def of(cls, pieces: Iterable[Piece], reserved: str = "") -> "Segment":
        """A segment from text and tags in order; placeholders in the text also become tags."""
        text: list[str] = []
        tags: list[Tag] = []
        for piece in _merged(pieces):
            for part in [piece] if isinstance(piece, Tag) else _placeholders(piece):
                text.append(part if isinstance(part, str) else MARK)
                tags += [] if isinstance(part, str) else [part]
        return cls("".join(text), tuple(_alone(tags)), reserved)

    def pieces(self) -> list[Piece]:
        """Text and tags in order."""
        parts = self.text.split(MARK)
        between = zip(self.tags, parts[1:], strict=True)
        return [parts[0], *(piece for pair in between for piece in pair)]

    def part(self, start: int, end: int) -> "Segment":
        """The part between two character positions."""
        first = self.text.count(MARK, 0, start)
        last = first + self.text.count(MARK, start, end)
        return Segment(self.text[start:end], self.tags[first:last])


@dataclass(frozen=True)
class Result:
    """The translation of a segment.

    Args:
        pieces: text and tags in order.
        fault: why it should be reviewed; None if nothing is wrong.
    """

    pieces: Sequence[Piece]
    fault: str | None = None

    @property
    def text(self) -> str:
        """The translation as it is written."""
        return written(self.pieces)


class Document(Protocol):
    """The interface of every format: the segments to translate, and the file written with them."""

    segments: list[Segment]

    def write(self, results: Sequence[Result]) -> bytes:
        """The whole file, with a result for each segment."""


@dataclass(frozen=True)
class Raw:
    """A file before it is parsed.

    Args:
        content: the decompressed bytes.
        name: the name used in messages.
        languages: the source and target languages of the run.
        say: receives messages to the user.
        strict: reject anything that is not UTF-8.
    """

    content: bytes
    name: str
    languages: tuple[str, str]
    say: Say
    strict: bool = False

    def expect_source(self, found: str) -> None:
        """Warns if a file declares a source language other than the run's."""
        if not same_variety(found, self.languages[0]):
            self.say(
                f"{self.name}: expected the source language {self.languages[0]}, which the run "
                f"reads, found {found}: check the translations"
            )

    def expect_target(self, found: str) -> None:
        """Warns if a file declares a target language other than the run's."""
        if not same_variety(found, self.languages[1]):
            self.say(
                f"{self.name}: expected the target language {self.languages[1]}, which the run "
                f"writes, found {found}; it is left so"
            )


def note_of(fault: str) -> str:
    """The note that asks a localiser to review a segment."""
    return f"nmt: {fault}"


def written(pieces: Iterable[Piece]) -> str:
    """Text and tags as they are written."""
    return "".join(piece if isinstance(piece, str) else piece.text for piece in pieces)


def partners(tags: Sequence[Tag]) -> dict[int, int]:
    """{index of each opening tag: index of its closing tag}; crossing tags have no partner."""
    waiting: list[int] = []
    found: dict[int, int] = {}
    for place, tag in enumerate(tags):
        if tag.pair is None:
            continue
        if tag.kind == "open":
            waiting.append(place)
            continue
        same = [i for i, other in enumerate(waiting) if tags[other].pair == tag.pair]
        if same:
            found[waiting[same[-1]]] = place
            del waiting[same[-1] :]
    return found


def _merged(pieces: Iterable[Piece]) -> list[Piece]:
    """Merges adjacent text into one piece, turning tags that are mere text back into text."""
    merged: list[Piece] = []
    for piece in pieces:
        text = piece if isinstance(piece, str) else piece.text
        if isinstance(piece, Tag) and piece.element is not None:
            merged.append(piece)
        elif merged and isinstance(merged[-1], str):
            merged[-1] += text
        else:
            merged.append(text)
    return merged


def _placeholders(text: str) -> list[Piece]:
    pieces: list[Piece] = []
    start = 0
    for match, rule in find(text):
        # An HTML opening tag and its closing tag share their name.
        pair = match["name"].lower() if rule.paired and match["name"] else None
        kind: Kind = rule.kind
        if pair is not None:
            kind = "close" if match[0].startswith("</") else "open"
        tag = Tag(match[0], kind, pair, rule.ordered(match[0]))
        pieces += [text[start : match.start()], tag]
        start = match.end()
    return [*pieces, text[start:]]


def _alone(tags: Sequence[Tag]) -> list[Tag]:
    """Clears `pair` of tags without a partner: `<br>` and `<file>` become points, like words."""
    pairs = partners(tags)
    whole = {*pairs, *pairs.values()}
    return [
        tag
        if tag.pair is None or place in whole
        else replace(
            tag,
            pair=None,
            kind="point" if tag.kind == "open" and tag.element is None else tag.kind,
        )
        for place, tag in enumerate(tags)
    ]
