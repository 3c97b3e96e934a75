"""Which files are documents, and the reader of each format."""

from collections.abc import Callable
from pathlib import Path

from nmt.documents import po, tmx, xliff
from nmt.documents.segments import Document, Raw
from nmt.lines import kind_of


def is_document(path: Path) -> bool:
    """Whether a file is read according to its format instead of line by line."""
    return kind_of(path) in FORMATS


FORMATS: dict[str, Callable[[Raw], Document]] = {
    ".po": po.read,
    ".pot": po.read,
    ".xlf": xliff.read,
    ".xliff": xliff.read,
    ".tmx": tmx.read,
}
"""The reader of each format, by file extension."""
