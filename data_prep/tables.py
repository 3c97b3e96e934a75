"""Files of parallel text: plain lines, TSV, JSONL and Parquet, each possibly gzipped.

Read by ourselves: general CSV readers turn the word "NA" into nothing and let a quotation mark
swallow the lines after it, and `str.splitlines` also splits at characters that occur in text.
"""

import gzip
import io
import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from nmt.errors import UserError
from nmt.lines import read_texts

Column = str | int


def read_bytes(path: Path) -> bytes:
    """A file's content, unpacked if its name ends in `.gz`.

    Raises:
        UserError: no such file, or not gzip.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(
            f"{path}: expected a file here ({error.strerror}); check the path under data.corpus"
        ) from None
    if path.suffix != ".gz":
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: expected a gzip file, found other bytes ({error})") from None


def read_tsv(path: Path, columns: Sequence[Column]) -> list[list[str]]:
    """Columns, given by 1-based number, of tab-separated lines without quoting."""
    for column in columns:
        if not isinstance(column, int) or column < 1:
            raise UserError(
                f"data.corpus.columns: expected numbers from 1 for {path}, found {column!r}"
            )
    wanted = [int(column) - 1 for column in columns]
    rows = []
    for number, line in enumerate(read_texts(path), start=1):
        cells = line.split("\t")
        if len(cells) <= max(wanted):
            raise UserError(
                f"{path}, line {number}: expected at least {max(wanted) + 1} columns separated "
                f"by tabs, found {len(cells)}; mend the line or set data.corpus.columns"
            )
        rows.append([cells[index] for index in wanted])
    return _transposed(rows, len(wanted))


def read_jsonl(path: Path, columns: Sequence[Column]) -> list[list[str]]:
    """Columns, given by key, of a file with one JSON object a line; null is the empty text."""
    rows = []
    for number, line in enumerate(read_texts(path), start=1):
        where = f"{path}, line {number}"
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(f"{where}: expected a JSON object, found {error}") from None
        if not isinstance(record, dict):
            raise UserError(f"{where}: expected a JSON object, found {type(record).__name__}")
        _require(columns, record, where)
        rows.append([_text(record[column], f"{where}, key {column!r}") for column in columns])
    return _transposed(rows, len(columns))


def read_parquet(path: Path, columns: Sequence[Column]) -> list[list[str]]:
    """Columns, given by name, of a Parquet file; null is the empty text."""
    content = read_bytes(path)
    try:
        names = pq.read_schema(io.BytesIO(content)).names
        _require(columns, names, str(path))
        table = pq.read_table(io.BytesIO(content), columns=list(columns))
        texts = [table.column(column).cast(pa.string()).to_pylist() for column in columns]
    except pa.ArrowException as error:
        reason = str(error).split("\n")[0]
        raise UserError(f"{path}: expected a Parquet file with text: {reason}") from None
    return [[text or "" for text in column] for column in texts]


def _require(columns: Sequence[Column], found: Any, where: str) -> None:
    for column in columns:
        if column not in found:
            raise UserError(
                f"{where}: expected a column {column!r}, found {', '.join(map(repr, found))}; "
                "name it so, or for a file of data.corpus "
                "set data.corpus.columns to the names of the source and target columns"
            )


def _text(value: Any, where: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise UserError(f"{where}: expected text, found {value!r}")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:  # JSON can spell half a character: "\ud83d"
        raise UserError(f"{where}: expected Unicode text, found a lone surrogate") from None
    return value


def _transposed(rows: Sequence[Sequence[str]], width: int) -> list[list[str]]:
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(width)]


TABLES = {".tsv": read_tsv, ".jsonl": read_jsonl, ".parquet": read_parquet}
"""Readers of files that hold both languages, by the ending before a possible `.gz`."""


def ending(path: Path) -> str:
    """The ending that tells the format: `.tsv` of `a.tsv.gz`."""
    return Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
