"""A segment: text with tags in it, which no translator may read and none may lose."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from nmt.documents.placeholders import MARK, find
from nmt.scripts import same_language

Kind = Literal["point", "open", "close"]


@dataclass(frozen=True)
class Tag:
    """A placeholder or a tag.

    Args:
        text: as it is written, or as messages call it.
        kind: a point takes the room of a word; what opens or closes takes none, and belongs to
            the text after it or before it.
        pair: what an opening tag shares with the one that closes it; None: it stands alone.
        ordered: it means the first, the second ... argument by its place alone.
        element: what its format writes in its place; None: its text.
    """

    text: str
    kind: Kind = "point"
    pair: str | None = None
    ordered: bool = False
    element: Any = None


Piece = str | Tag


@dataclass(frozen=True)
class Segment:
    """What is translated as one.

    Args:
        text: with `MARK` in the place of each tag.
        tags: in order.
        reserved: what its translation may have within placeholders only.
    """

    text: str
    tags: tuple[Tag, ...]
    reserved: str = ""

    @classmethod
    def of(cls, pieces: Iterable[Piece], reserved: str = "") -> "Segment":
        """The segment of text and tags in order; the text's placeholders become tags too."""
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
        """From one character to another."""
        first = self.text.count(MARK, 0, start)
        last = first + self.text.count(MARK, start, end)
        return Segment(self.text[start:end], self.tags[first:last])


@dataclass(frozen=True)
class Result:
    """What a segment has become.

    Args:
        pieces: text and tags in order.
        fault: why someone should look at it; None: all is well.
    """

    pieces: Sequence[Piece]
    fault: str | None = None

    @property
    def text(self) -> str:
        """All as it is written."""
        return written(self.pieces)


class Document(Protocol):
    """What every format offers: what is to be translated, and the file with its translations."""

    segments: list[Segment]

    def write(self, results: Sequence[Result]) -> bytes:
        """The whole file, with a result for each segment."""


@dataclass(frozen=True)
class Raw:
    """A file before it is understood.

    Args:
        content: unpacked.
        name: for messages.
        languages: that the run translates from and to.
        say: takes what the user should be told.
        strict: refuse what is not UTF-8.
    """

    content: bytes
    name: str
    languages: tuple[str, str]
    say: Callable[[str], None]
    strict: bool = False

    def expect_source(self, found: str) -> None:
        """Tells of a file that says to be in another language than the run reads."""
        if not same_language(found, self.languages[0]):
            self.say(
                f"{self.name}: expected the source language {self.languages[0]}, which the run "
                f"reads, found {found}: check the translations"
            )

    def expect_target(self, found: str) -> None:
        """Tells of a file that says to be in another language than the run writes."""
        if not same_language(found, self.languages[1]):
            self.say(
                f"{self.name}: expected the target language {self.languages[1]}, which the run "
                f"writes, found {found}; it is left so"
            )


def note_of(fault: str) -> str:
    """What a localiser reads beside a segment that someone should look at."""
    return f"nmt: {fault}"


def written(pieces: Iterable[Piece]) -> str:
    """Text and tags as they are written."""
    return "".join(piece if isinstance(piece, str) else piece.text for piece in pieces)


def partners(tags: Sequence[Tag]) -> dict[int, int]:
    """For each tag that opens, by its place, the one that closes it; crossing ones have none."""
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
    """Text that stands side by side in one piece; tags that are mere text are text again."""
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
        # An opening tag of HTML and the one that closes it share their name.
        pair = match["name"].lower() if rule.paired and match["name"] else None
        kind: Kind = rule.kind
        if pair is not None:
            kind = "close" if match[0].startswith("</") else "open"
        tag = Tag(match[0], kind, pair, rule.ordered(match[0]))
        pieces += [text[start : match.start()], tag]
        start = match.end()
    return [*pieces, text[start:]]


def _alone(tags: Sequence[Tag]) -> list[Tag]:
    """Tags of which those without a partner know it: `<br>` and `<file>` are words of a kind."""
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
