"""Which files are documents, and who reads each."""

from collections.abc import Callable
from pathlib import Path

from nmt.documents import po, tmx, xliff
from nmt.documents.segments import Document, Raw
from nmt.lines import PACKED


def is_document(path: Path) -> bool:
    """Whether a file is read by its format, not line by line."""
    return suffix(path) in FORMATS


def suffix(path: Path) -> str:
    """What the format goes by: `.po` of `a.po` and of `a.PO.gz`."""
    name = path.name.lower().removesuffix(PACKED)
    return Path(name).suffix


FORMATS: dict[str, Callable[[Raw], Document]] = {
    ".po": po.read,
    ".pot": po.read,
    ".xlf": xliff.read,
    ".xliff": xliff.read,
    ".tmx": tmx.read,
}
"""By the ending of a file's name."""
