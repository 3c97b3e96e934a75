"""Files of parallel text: plain, TSV, JSONL, Parquet and TMX, each possibly gzipped, row by row.

The text formats have their own readers here: general CSV readers treat the word "NA" as missing and
let a quotation mark swallow the following lines, and `str.splitlines` also splits at characters
that occur within text.
"""

import io
import json
import re
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import pyarrow as pa
import pyarrow.parquet as pq

from nmt.errors import UserError
from nmt.lines import each_text, is_packed, reading
from nmt.writing_systems import same_language, subtags

Column = str | int
Row = tuple[str, ...]

BLANKS = re.compile(r"[ \t\r\n]+")
ROWS = 10_000
"""Rows of a Parquet file held in memory at once."""


def read_plain(paths: Sequence[Path]) -> Iterator[Row]:
    """Rows of corresponding lines of several files, which must have equally many lines."""
    counts = [0] * len(paths)

    def counted(index: int) -> Iterator[str]:
        for text in each_text(paths[index]):
            counts[index] += 1
            yield text

    readers = [counted(index) for index in range(len(paths))]
    for row in zip_longest(*readers):
        if None in row:
            break
        yield row
    for reader in readers:
        deque(reader, maxlen=0)  # to count all lines
    for path, count in zip(paths, counts, strict=True):
        if count != counts[0]:
            raise UserError(
                f"{paths[0]} has {counts[0]} lines but {path} has {count}: parallel "
                "files need a line for each line; mend the one that has lost its place"
            )


def read_tsv(path: Path, columns: Sequence[Column]) -> Iterator[Row]:
    """Columns, given by 1-based number, of tab-separated lines without quoting."""
    for column in columns:
        if not isinstance(column, int) or column < 1:
            raise UserError(
                f"data.corpus.columns: expected numbers from 1 for {path}, found {column!r}"
            )
    wanted, broken = [int(column) - 1 for column in columns], 0
    for number, line in enumerate(each_text(path), start=1):
        cells = line.split("\t")
        if broken and len(cells) != broken:
            raise UserError(
                f"{path}, line {number - 1}: expected a whole row, found a quoted cell that goes "
                "on in the next line; take the line break out of it"
            )
        # Spreadsheets write a cell with a line break in it so.
        broken = len(cells) if cells[-1].startswith('"') and cells[-1].count('"') % 2 else 0
        if len(cells) <= max(wanted):
            raise UserError(
                f"{path}, line {number}: expected at least {max(wanted) + 1} columns separated "
                f"by tabs, found {len(cells)}; mend the line, or for a file of data.corpus "
                "set data.corpus.columns"
            )
        yield tuple(cells[index] for index in wanted)


def read_jsonl(path: Path, columns: Sequence[Column]) -> Iterator[Row]:
    """Columns, given by key, of a file with one JSON object per line; null is the empty text."""
    for number, line in enumerate(each_text(path), start=1):
        where = f"{path}, line {number}"
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{where}: expected a JSON object, found {error}") from None
        if not isinstance(record, dict):
            raise UserError(f"{where}: expected a JSON object, found {type(record).__name__}")
        _require(columns, record, where)
        yield tuple(as_text(record[column], f"{where}, key {column!r}") for column in columns)


def read_parquet(path: Path, columns: Sequence[Column]) -> Iterator[Row]:
    """Columns, given by name, of a Parquet file; null is the empty text."""
    try:
        with reading(path) as stream:
            file = pq.ParquetFile(io.BytesIO(stream.read()) if is_packed(path) else stream)
            _require(columns, file.schema_arrow.names, str(path))
            for batch in file.iter_batches(ROWS, columns=list(columns)):
                texts = [_texts(batch.column(name), f"{path}, {name!r}") for name in columns]
                for row in zip(*texts, strict=True):
                    yield tuple(text or "" for text in row)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if isinstance(error, OSError) and error.errno:  # the disk's error, not the content's
            raise
        reason = str(error).split("\n")[0]
        raise UserError(f"{path}: expected a Parquet file with text: {reason}") from None


def _texts(column: pa.Array, where: str) -> list[str | None]:
    if pa.types.is_primitive(column.type):  # a number would become a text in silence
        raise UserError(f"{where}: expected a column of text, found {column.type}")
    texts: list[str | None] = column.cast(pa.string()).to_pylist()
    return texts


def read_tmx(path: Path, columns: Sequence[Column]) -> Iterator[Row]:
    """The units of a translation memory (TMX 1.4) that have all the languages, given by code.

    Inline codes are omitted; runs of blanks and line breaks become one blank.
    """
    body, fits = None, False
    seen: set[str] = set()
    with reading(path) as file:
        try:
            for event, element in ElementTree.iterparse(file, ("start", "end")):
                name = _local(element)
                if event == "start":
                    body = element if name == "body" else body
                elif name == "tu":
                    variants = [_Variant.of(part) for part in element if _local(part) == "tuv"]
                    seen.update(variant.code for variant in variants)
                    source, target = (_chosen(variants, str(code)) for code in columns)
                    if source is not None and target is not None and source is not target:
                        fits = True
                        yield source.text, target.text
                    if body is not None:
                        body.clear()  # frees the units read so far, so that memory stays flat
        except (ElementTree.ParseError, ValueError, LookupError) as error:
            raise UserError(f"{path}: expected a whole TMX file, found {error}") from None
    if body is None:
        raise UserError(f"{path}: expected TMX, found no <body> in it")
    if not fits:
        raise UserError(
            f"{path}: expected units in {' and '.join(map(str, columns))}, found none among those "
            f"in {', '.join(sorted(seen)) or 'no language'}; for a file of data.corpus, name two "
            "of these as data.corpus.columns"
        )


class _Variant(NamedTuple):
    """What a unit says in one language."""

    code: str
    text: str

    @classmethod
    def of(cls, variant: ElementTree.Element) -> "_Variant":
        # Before version 1.4, TMX used an attribute `lang`.
        code = variant.get("{http://www.w3.org/XML/1998/namespace}lang") or variant.get("lang")
        segment = next((part for part in variant if _local(part) == "seg"), None)
        text = "" if segment is None else BLANKS.sub(" ", _text(segment)).strip(" ")
        return cls(code or "", text)


def _chosen(variants: Sequence[_Variant], code: str) -> _Variant | None:
    """The non-empty variant in a language; of several regions, preferably the one named."""
    fitting = [one for one in variants if one.text and same_language(one.code, code)]
    exact = [one for one in fitting if subtags(one.code) == subtags(code)]
    return next(iter(exact or fitting), None)


def _text(element: ElementTree.Element) -> str:
    """The text of a segment without the native codes in it (`ph`, `bpt`, ...).

    Where a `ph`, such as a line break, stood between two words, they stay two.
    """
    text = element.text or ""
    for part in element:
        name, after = _local(part), part.tail or ""
        between = name == "ph" and text[-1:].isalnum() and after[:1].isalnum()
        text += (_text(part) if name == "hi" else " " if between else "") + after
    return text


def _local(element: ElementTree.Element) -> str:
    """The name of an element without its namespace."""
    return element.tag.rpartition("}")[2]


def expect_two(columns: Sequence[Column] | None) -> None:
    """Requires that columns are those of the source and of the target, if any are named."""
    if columns is not None and len(columns) != 2:
        raise UserError(f"data.corpus.columns: expected two, source and target, found {columns}")


def _require(columns: Sequence[Column], found: Any, where: str) -> None:
    for column in columns:
        if column not in found:
            cure = (
                "name it so, or for a file of data.corpus "
                "set data.corpus.columns to the names of the source and target columns"
            )
            if "translation" in found:  # as the hub's data sets have it
                cure = "where `translation` holds both, read the folder by data.corpus.kind: hub"
            raise UserError(
                f"{where}: expected a column {column!r}, found {', '.join(map(repr, found))}; "
                f"{cure}"
            )


def as_text(value: Any, where: str) -> str:
    """A value that must be text; None becomes the empty text.

    Raises:
        UserError: the value is not Unicode text; the message names `where` it was found.
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        raise UserError(f"{where}: expected text, found {value!r}")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:  # JSON can encode half a character: "\ud83d"
        raise UserError(f"{where}: expected Unicode text, found a lone surrogate") from None
    return value


TABLES = {
    ".tsv": read_tsv,
    ".jsonl": read_jsonl,
    ".parquet": read_parquet,
    ".tmx": read_tmx,
}
"""Readers of files that hold both languages, by the extension before an optional `.gz`."""
