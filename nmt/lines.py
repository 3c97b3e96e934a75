"""Reads text files faithfully: N lines in give N lines out, each with its own ending."""

import gzip
import sys
import zlib
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from nmt.errors import UserError
from nmt.files import errors_named

PACKED = ".gz"
"""The file-name extension of a compressed file."""


class Line(NamedTuple):
    """A line's text and its ending: a newline, carriage return and newline, or nothing.

    If the text is only part of the line, `around` is the whole line.
    """

    text: str
    ending: str
    around: str | None = None

    @property
    def whole(self) -> str:
        """The whole line, without its ending."""
        return self.text if self.around is None else self.around


def read_lines(
    stream: Iterable[bytes], name: str, invalid: Callable[[int], object] | None = None
) -> Iterator[Line]:
    r"""The lines of a binary stream, split at ``\n`` alone.

    Python's own text mode also splits at or rewrites other characters that may occur in a sentence,
    after which the lines of two parallel files no longer correspond.

    Args:
        stream: a file opened in binary mode.
        name: its name, for messages.
        invalid: called with the number of each line that is not UTF-8, whose invalid bytes then
            become U+FFFD; without it, the first such line is an error.

    Raises:
        UserError: a line is not UTF-8; the message names it.
    """
    for number, raw in enumerate(stream, start=1):
        ending = next(end for end in (b"\r\n", b"\n", b"") if raw.endswith(end))
        text = raw.removesuffix(ending)
        if number == 1 and (raw.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) or is_wide(text)):
            raise UserError(f"{name}: expected UTF-8, found UTF-16; convert the file to UTF-8")
        # A byte order mark is not part of the first sentence.
        encoding = "utf-8-sig" if number == 1 else "utf-8"
        try:
            yield Line(text.decode(encoding), ending.decode("ascii"))
        except UnicodeDecodeError as error:
            if invalid is not None:
                invalid(number)
                yield Line(text.decode(encoding, errors="replace"), ending.decode("ascii"))
                continue
            start = error.start + len(text) - len(error.object)  # its object lacks the BOM
            raise UserError(
                f"{name}, line {number}: expected UTF-8, found the byte 0x{text[start]:02x} "
                f"at position {start + 1}; convert the file to UTF-8"
            ) from None


def is_wide(text: bytes) -> bool:
    """Whether Latin letters are written in UTF-16: a letter and a zero in turn, four times."""
    even, odd = text[:16:2], text[1:16:2]
    letters, zeros = (even, odd) if any(even) else (odd, even)
    return len(zeros) > 3 and not any(zeros) and all(letters)


class Invalid:
    """Counts the lines that are not UTF-8 and keeps the first; a callback for `read_lines`."""

    def __init__(self) -> None:
        self.count, self.first = 0, 0

    def __call__(self, number: int) -> None:
        """Records one more such line by its number."""
        self.first = self.first or number
        self.count += 1

    def told(self, name: str) -> str:
        """The message about a file with such lines."""
        return (
            f"{name}: {self.count:,} lines are not UTF-8, the first is line {self.first:,}: wrong "
            "bytes were read as U+FFFD (--strict refuses them)"
        )


def is_packed(path: Path) -> bool:
    """Whether a file is compressed, by its name."""
    return path.suffix.lower() == PACKED


def kind_of(path: Path) -> str:
    """The lower-case suffix that names a file's format: `.tsv` of `a.TSV.gz`."""
    return (Path(path.stem) if is_packed(path) else path).suffix.lower()


@contextmanager
def reading(path: Path | None) -> Iterator[BinaryIO]:
    """The bytes of a file, decompressed if its name ends in `.gz`; None is standard input.

    Raises:
        UserError: the file is missing, or is not gzip.
    """
    if path is None:
        yield sys.stdin.buffer
        return
    try:
        opened = gzip.open if is_packed(path) else open
        with opened(path, "rb") as stream:
            yield cast(BinaryIO, stream)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise UserError(f"{path}: expected a whole gzip file, found other bytes") from None
    except OSError as error:
        if error.filename != str(path):  # about another file that is open meanwhile
            raise
        reason = (error.strerror or "cannot be read").lower()
        raise UserError(f"{path}: expected a text file here ({reason})") from None


def each_text(path: Path) -> Iterator[str]:
    """The lines of a text file without their endings; a `.gz` file is decompressed.

    Raises:
        UserError: the file is missing, not UTF-8, or not gzip; or its lines end in CR alone.
    """
    only = ""
    with errors_named(path), reading(path) as stream:
        for number, line in enumerate(read_lines(stream, str(path))):
            only = "" if number else line.text
            yield line.text
    expect_line_feeds(path, only)


def expect_line_feeds(path: Path, only: str) -> None:
    """Refuses a file if its only line seems to be many, each ended by a carriage return alone."""
    if (returns := only.count("\r")) > 1:
        raise UserError(
            f"{path}: expected lines that end in a line feed, found one line with {returns} "
            "carriage returns in it; save the file with line feeds"
        )


def read_texts(path: Path) -> list[str]:
    """All lines of a text file at once; see `each_text`."""
    return list(each_text(path))


def read_parallel(first: Path, *others: Path) -> list[list[str]]:
    """The lines of text files, all of which have as many as the first.

    Raises:
        UserError: as for `each_text`, or the numbers of lines differ.
    """
    texts = [read_texts(path) for path in (first, *others)]
    for path, found in zip(others, texts[1:], strict=True):
        if len(found) != len(texts[0]):
            raise UserError(
                f"{path}: expected {len(texts[0])} lines as in {first}, found {len(found)}; "
                "line n of one must belong to line n of the other"
            )
    return texts


def one_line(text: str) -> str:
    """The text with line breaks replaced by spaces, so that it fits on one line."""
    return text.replace("\r\n", " ").replace("\n", " ").replace("\r", " ")
