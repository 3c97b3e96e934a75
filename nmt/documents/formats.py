"""Which files are documents, and the reader of each format."""

from collections.abc import Callable
from pathlib import Path

from nmt.documents import po, tmx, xliff
from nmt.documents.segments import Document, Raw
from nmt.lines import PACKED


def is_document(path: Path) -> bool:
    """Whether a file is read according to its format instead of line by line."""
    return suffix(path) in FORMATS


def suffix(path: Path) -> str:
    """The extension that identifies the format: `.po` for `a.po` and `a.PO.gz`."""
    name = path.name.lower().removesuffix(PACKED)
    return Path(name).suffix


FORMATS: dict[str, Callable[[Raw], Document]] = {
    ".po": po.read,
    ".pot": po.read,
    ".xlf": xliff.read,
    ".xliff": xliff.read,
    ".tmx": tmx.read,
}
"""The reader of each format, by file extension."""
