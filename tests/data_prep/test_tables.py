import gzip
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_prep.tables import TABLES, read_jsonl, read_parquet, read_tsv
from nmt.errors import UserError
from nmt.lines import kind_of

NASTY = [
    "NA",
    'an "open quotation mark',
    "null",
    "",
    " kept spaces ",
    "no\u00a0break",
    "line\u2028separator",
    "next\u0085line",
    "form\x0cfeed",
    "a\rb",
    "<s>",
    "🙂",
]


def _write(path: Path, content: bytes) -> Path:
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def _tsv(path: Path, columns: dict[str, list[str]]) -> None:
    rows = zip(*columns.values(), strict=True)
    _write(path, "".join("\t".join(row) + "\n" for row in rows).encode())


def _jsonl(path: Path, columns: dict[str, list[str]]) -> None:
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    _write(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode())


def _parquet(path: Path, columns: dict[str, list[str]]) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    _write(path, sink.getvalue().to_pybytes())


@pytest.mark.parametrize("packed", ["", ".gz"])
@pytest.mark.parametrize(
    ("name", "write", "columns"),
    [(".tsv", _tsv, (1, 3)), (".jsonl", _jsonl, ("a", "c")), (".parquet", _parquet, ("a", "c"))],
)
def test_tables_give_back_every_character(
    tmp_path: Path,
    name: str,
    packed: str,
    write: Callable[[Path, dict[str, list[str]]], None],
    columns: Sequence[str | int],
) -> None:
    path = tmp_path / f"pairs{name}{packed}"
    write(path, {"a": NASTY, "b": ["other"] * len(NASTY), "c": NASTY[::-1]})
    assert kind_of(path) == name
    assert list(TABLES[name](path, columns)) == list(zip(NASTY, NASTY[::-1], strict=True))


def test_null_is_the_empty_text(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.jsonl", b'{"en": null, "de": "x"}\n')
    assert list(read_jsonl(path, ["en", "de"])) == [("", "x")]
    _parquet(tmp_path / "a.parquet", {"en": [None], "de": ["x"]})  # type: ignore[list-item]
    assert list(read_parquet(tmp_path / "a.parquet", ["en", "de"])) == [("", "x")]


def test_short_tsv_line_is_named_by_file_and_line(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.tsv", b"a\tb\tc\na\tb\n")
    assert list(read_tsv(path, [1, 2])) == [("a", "b"), ("a", "b")]
    with pytest.raises(UserError, match=r"a\.tsv, line 2: expected at least 3 columns.*found 2"):
        list(read_tsv(path, [1, 3]))


def test_a_cell_with_a_line_break_in_it_is_no_row(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.tsv", b'a\tb\t"note\nmore"\t2024\n')
    with pytest.raises(UserError, match=r"a\.tsv, line 1: expected a whole row, found a quoted"):
        list(read_tsv(path, [1, 2]))
    _write(path, b'a\tsays "no"\nb\t"open\nc\td\n')
    assert list(read_tsv(path, [1, 2])) == [("a", 'says "no"'), ("b", '"open'), ("c", "d")]


@pytest.mark.parametrize("column", ["en", 0])
def test_tsv_columns_are_numbers_from_one(tmp_path: Path, column: str | int) -> None:
    path = _write(tmp_path / "a.tsv", b"a\tb\n")
    with pytest.raises(UserError, match=f"expected numbers from 1 .*found {column!r}"):
        list(read_tsv(path, [column, 2]))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{", "line 1: expected a JSON object, found Expecting"),
        (b"[1]", "line 1: expected a JSON object, found list"),
        (b'{"en": "a", "xx": "b"}', "expected a column 'de', found 'en', 'xx'"),
        (b'{"translation": {"en": "a"}}', "found 'translation'; .* data.corpus.kind: hub"),
        (b'{"en": "a", "de": 3}', "line 1, key 'de': expected text, found 3"),
        (b"[" * 200_000, "line 1: expected a JSON object, found maximum recursion"),
        (b'{"en": ' + b"1" * 5_000 + b"}", "line 1: expected a JSON object, found Exceeds"),
        (b'{"en": "a", "de": "\\ud83d"}', "line 1, key 'de': .* found a lone surrogate"),
    ],
)
def test_bad_jsonl(tmp_path: Path, line: bytes, message: str) -> None:
    path = _write(tmp_path / "a.jsonl", line + b"\n")
    with pytest.raises(UserError, match=message):
        list(read_jsonl(path, ["en", "de"]))


def test_bad_parquet(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.parquet", b"no such thing")
    with pytest.raises(UserError, match=r"a\.parquet: expected a Parquet file"):
        list(read_parquet(path, ["en", "de"]))
    _parquet(tmp_path / "b.parquet", {"en": ["a"], "xx": ["b"]})
    with pytest.raises(UserError, match="expected a column 'de', found 'en', 'xx'"):
        list(read_parquet(tmp_path / "b.parquet", ["en", "de"]))
    pq.write_table(pa.table({"en": ["a"], "id": [7]}), tmp_path / "c.parquet")
    with pytest.raises(UserError, match=r"'id': expected a column of text, found int64"):
        list(read_parquet(tmp_path / "c.parquet", ["en", "id"]))


@pytest.mark.parametrize("name", ["a.parquet", "a.jsonl.gz", "a.tsv.gz"])
def test_a_damaged_file_is_a_sentence_wherever_the_damage(tmp_path: Path, name: str) -> None:
    texts = [f"{text} {n}" for n in range(300) for text in NASTY if "\t" not in text]
    columns: dict[str, list[str]] = {"a": texts, "b": texts[::-1]}
    path = tmp_path / name
    {".parquet": _parquet, ".jsonl": _jsonl, ".tsv": _tsv}[kind_of(path)](path, columns)
    whole = path.read_bytes()
    random = np.random.default_rng(1)
    said = []
    for place in random.integers(0, len(whole), 40):
        harmed = bytearray(whole)
        harmed[place] ^= 1 << int(random.integers(8))
        path.write_bytes(harmed)
        try:
            list(TABLES[kind_of(path)](path, [1, 2] if kind_of(path) == ".tsv" else ["a", "b"]))
        except UserError as error:
            said.append(str(error))
    assert len(said) > 10 and all(name in line and "\n" not in line for line in said)
