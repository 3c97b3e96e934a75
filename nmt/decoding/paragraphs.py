"""Lines of several sentences, or of any length: translated in parts, then joined again."""

from collections.abc import Iterator, Sequence
from itertools import islice
from statistics import fmean
from typing import TypeVar

from nmt.documents.sentences import WIDE_ENDS, gap, split, stripped
from nmt.translation import Alignment, Alternative, Translation
from nmt.vocab import EOS, RESERVED

Item = TypeVar("Item")

LONGEST = 2000
"""Maximum number of characters of a part, which has at most twice as many bytes: what a tokenizer
does not know becomes a token a byte. Time and memory grow quadratically with length: a line of a
megabyte would take days as one sentence, and no model has been trained on such sentences."""


class Paragraphs:
    """Texts split into the parts that are translated one by one.

    Args:
        texts: texts of any length.
        language: their language, to split them into sentences; None splits only texts that are
            too long.
    """

    def __init__(self, texts: Sequence[str], language: str | None) -> None:
        whole = ([text] if language is None else split(text, language) for text in texts)
        self.cut = [[part for text in parts for part in _short(text)] for parts in whole]
        self.whole = [language is None and len(parts) == 1 for parts in self.cut]
        cores = zip(self.cut, self.whole, strict=True)
        self.parts = [part if whole else stripped(part)[1] for of, whole in cores for part in of]

    def grouped(self, items: Sequence[Item]) -> Iterator[list[Item]]:
        """Items, one for each part, as a list for each text."""
        rest = iter(items)
        return (list(islice(rest, len(parts))) for parts in self.cut)

    def joined(self, translations: Sequence[Translation]) -> list[Translation]:
        """The translation of each text, with the original white space between its parts.

        For a text of several parts, log-probabilities are summed and scores averaged; the only
        alternative consists of each part's best candidate.
        """
        groups = zip(self.cut, self.whole, self.grouped(translations), strict=True)
        return [found[0] if whole else _together(of, found) for of, whole, found in groups]


def _short(text: str) -> Iterator[str]:
    """A text in parts that are not too long, cut after white space or at the end of a sentence in a
    script without it, if there is any."""
    while len(text) > (longest := _longest(text)):
        places = range(longest, 0, -1)
        fit = (i for i in places if text[i - 1].isspace() or text[i - 1] in WIDE_ENDS)
        end = next(fit, longest)
        yield text[:end]
        text = text[end:]
    yield text


def _longest(text: str) -> int:
    """Maximum number of characters of the text's first part."""
    longest = LONGEST
    while len(text[:longest].encode()) > 2 * LONGEST:
        longest //= 2
    return longest


def _together(parts: Sequence[str], found: Sequence[Translation]) -> Translation:
    cut = [stripped(part) for part in parts]
    text, gaps = "", []
    for last, (before, _, after), one in zip(["", *parts], cut, found, strict=False):
        gaps.append(before or gap(last, text, one.text))
        text += f"{gaps[-1]}{one.text}{after}"
    best = Alternative(
        text,
        fmean(one.score for one in found),
        sum(one.log_probability for one in found),
        any(one.cut for one in found),
    )
    aligned = any(one.alignment for one in found)
    alignment = _one_alignment(cut, gaps, found) if aligned else None
    return Translation(**vars(best), alternatives=[best], alignment=alignment)


def _one_alignment(
    cut: Sequence[tuple[str, str, str]], gaps: Sequence[str], found: Sequence[Translation]
) -> Alignment:
    """The parts' alignments as one: blocks along the diagonal that share a single `</s>`.

    `cut` holds each part between its white space, `gaps` what precedes its translation.
    """
    source, target, rows = [""], [""], list[tuple[int, list[float]]]()
    for (before, _, after), space, one in zip(cut, gaps, found, strict=True):
        source[-1] += before
        target[-1] += space
        if one.alignment is None:  # blank, so the same on both sides
            source[-1] += one.text
            target[-1] += one.text
            continue
        # White space between two parts is prefixed to the first piece of the second.
        start, said = len(source) - 1, one.alignment.target[: len(one.alignment.weights)]
        said = said if one.cut else said[:-1]
        source = [*_led(source, one.alignment.source[:-1]), after]
        target = [*_led(target, said), after]
        rows += [(start, row) for row in one.alignment.weights[: len(said)]]
    end = RESERVED[EOS]
    last = next(one for one in reversed(found) if one.alignment is not None)
    if not last.cut:
        assert last.alignment is not None
        rows.append((len(source) - len(last.alignment.source), last.alignment.weights[-1]))
        target[-1] = end
    width = len(source) - 1
    weights = [
        [*[0.0] * start, *row[:-1], *[0.0] * (width - start - len(row) + 1), row[-1]]
        for start, row in rows
    ]
    return Alignment([*source[:-1], end], target[: len(rows)], weights, _one_table(found))


def _one_table(found: Sequence[Translation]) -> dict[str, list[list[float]]] | None:
    """Where the heads of a Turing machine looked, without the rows of inner `</s>`."""
    aligned = [one for one in found if one.alignment is not None]
    tables: dict[str, list[list[float]]] = {}
    for one in aligned:
        assert one.alignment is not None
        whole = one.cut or one is aligned[-1]
        for name, rows in (one.alignment.heads or {}).items():
            tables.setdefault(name, []).extend(rows if whole else rows[:-1])
    return tables or None


def _led(done: Sequence[str], pieces: Sequence[str]) -> list[str]:
    """Appends pieces to `done`, whose last item is white space to prefix to the first of them."""
    return [*done[:-1], done[-1] + pieces[0], *pieces[1:]] if pieces else list(done[:-1])
