"""A translator that speaks in capitals, and tells what came from where."""

import re
from collections.abc import Callable, Iterable

from nmt.documents.parts import Translated, joined, parts
from nmt.documents.segments import Document, Raw, Result, Segment
from nmt.documents.words import WORD
from nmt.translation import Alignment

LANGUAGES = ("en", "de")
Say = Callable[[str], Translated]


def echo(text: str) -> Translated:
    """Says the same, with attention that is never in doubt."""
    pieces = re.findall(rf"\s*(?:{WORD.pattern})|\s+\Z", text)
    assert "".join(pieces) == text
    return Translated(text, _aligned(pieces, pieces, range(len(pieces))))


def shout(text: str) -> Translated:
    """Says it louder."""
    said = echo(text)
    target = [piece.upper() for piece in said.aligned.source[:-1]]
    return Translated(
        "".join(target), _aligned(said.aligned.source[:-1], target, range(len(target)))
    )


def backwards(text: str) -> Translated:
    """Says the words louder, the last one first; a sign at the end stays there."""
    words, end = re.findall(r"[^\s.!?]+", text), "".join(re.findall(r"[.!?]*\Z", text)[:1])
    source = [f" {word}" if i else word for i, word in enumerate(words)]
    target = [f" {word.upper()}" if i else word.upper() for i, word in enumerate(words[::-1])]
    order = [*reversed(range(len(words))), *[len(words)] * bool(end)]
    last = [end] * bool(end)
    return Translated(
        "".join([*target, *last]), _aligned([*source, *last], [*target, *last], order)
    )


def _aligned(source: list[str], target: list[str], origin: Iterable[int]) -> Alignment:
    """Each piece of the target came from one of the source."""
    rows = [[float(place == wanted) for place in range(len(source) + 1)] for wanted in origin]
    end = [0.0] * len(source) + [1.0]
    return Alignment([*source, "</s>"], [*target, "</s>"], [*rows, end])


def result(text: str | Segment, say: Say = shout, *, paragraphs: bool = False) -> Result:
    """What a segment becomes."""
    segment = Segment.of([text]) if isinstance(text, str) else text
    cut = parts(segment, "en", paragraphs=paragraphs)
    return joined(segment, cut, (say(part.masked.text) for part in cut if part.masked))


def translated(document: Document, say: Say = shout) -> bytes:
    """The document, with what the stand-in says of each segment."""
    return document.write([result(segment, say) for segment in document.segments])


def raw(content: str | bytes, name: str, said: list[str] | None = None) -> Raw:
    data = content.encode() if isinstance(content, str) else content
    return Raw(data, name, LANGUAGES, (said if said is not None else []).append)
