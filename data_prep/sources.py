"""Sources of parallel text: local files, the Hugging Face hub, the packaged Tatoeba pairs."""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, cast

from data_prep.corpus import Corpus, HeldOut, Pair
from data_prep.hub import hub_inputs, read_hub
from data_prep.tables import TABLES, Column, Row, expect_two, read_plain
from data_prep.tatoeba import read_tatoeba, tatoeba_inputs
from nmt.config import Data
from nmt.corpora import CORPORA, NOT_PLAIN, Files, Hub, Tatoeba, Text
from nmt.errors import Say, UserError
from nmt.files import sha256
from nmt.lines import each_text, kind_of
from nmt.options import build


def read(data: Data, say: Say) -> Corpus:
    """The corpus that the settings name; its training pairs are read lazily.

    Raises:
        UserError: it is unavailable or damaged, or a part of it is empty.
    """
    corpus = build(CORPORA, data.corpus, where="data.corpus")
    result: Corpus = SOURCES[type(corpus)].read(corpus, data, say)
    for name, split in (("validation", result.validation), ("test", result.test)):
        if split is not None and not split.sources:
            raise UserError(empty_part(name))
    return result


def empty_part(name: str) -> str:
    """The error message for a corpus with an empty part."""
    return f"data.corpus: the {name} part is empty; give it sentence pairs"


def inputs(data: Data) -> dict[str, str]:
    """The inputs as {file: sha256}, found without reading any pairs.

    Raises:
        UserError: a file is missing.
    """
    corpus = build(CORPORA, data.corpus, where="data.corpus")
    result: dict[str, str] = SOURCES[type(corpus)].inputs(corpus)
    synthetic = expanded(data.synthetic or [])
    return result | {path.as_posix(): _digest(path, "data.synthetic") for path in synthetic}


def read_synthetic(data: Data) -> Iterator[Pair]:
    """The pairs with one machine-translated side, from all files that the settings name.

    Raises:
        UserError: a file is missing, damaged or not a table.
    """
    names = [data.source_language, data.target_language]
    for file in expanded(data.synthetic or []):
        if kind_of(file) not in TABLES:
            raise UserError(
                f"data.synthetic: expected {', '.join(TABLES)} files (each may end in .gz), "
                f"found {file}; `nmt synthesize` makes one"
            )
        yield from _pairs(_table_rows(file, None, names))


def read_files(corpus: Files, data: Data, say: Say) -> Corpus:
    """Pairs from local files."""
    expect_two(corpus.columns)
    if corpus.columns is not None and not any(kind_of(path) in TABLES for path in _files(corpus)):
        raise UserError("data.corpus.columns: plain text files have no columns; leave it out")
    names = [data.source_language, data.target_language]

    def rows_of(patterns: list[str], key: str) -> Iterator[Row]:
        paths = expanded(patterns)
        if paths and all(kind_of(path) in TABLES for path in paths):
            return chain.from_iterable(_table_rows(path, corpus.columns, names) for path in paths)
        _check_plain(paths, key, names)
        return read_plain(paths)

    def held_out(patterns: list[str] | None, key: str) -> HeldOut | None:
        return None if patterns is None else HeldOut.of(rows_of(patterns, key))

    return Corpus(
        train=_pairs(rows_of(corpus.train, "train")),
        validation=held_out(corpus.validation, "validation"),
        test=held_out(corpus.test, "test"),
    )


def read_text(corpus: Text, data: Data, say: Say) -> Corpus:
    """Monolingual lines, each paired with itself."""
    if data.source_language != data.target_language:
        raise UserError(
            "data.corpus.kind: text is one language alone, expected the same code as "
            f"data.source_language and data.target_language, found {data.source_language} and "
            f"{data.target_language}"
        )

    def pairs_of(patterns: list[str]) -> Iterator[Pair]:
        for path in expanded(patterns):
            if kind_of(path) in NOT_PLAIN and kind_of(path) != f".{data.source_language}":
                raise UserError(f"data.corpus: expected plain text files, found {path}")
            yield from ((line, line) for line in each_text(path))

    def held_out(patterns: list[str] | None) -> HeldOut | None:
        return None if patterns is None else HeldOut.of(pairs_of(patterns))

    return Corpus(
        train=pairs_of(corpus.train),
        validation=held_out(corpus.validation),
        test=held_out(corpus.test),
        monolingual=True,
    )


def _pairs(rows: Iterator[Row]) -> Iterator[Pair]:
    return cast(Iterator[Pair], rows)


def _check_plain(paths: Sequence[Path], key: str, names: Sequence[str]) -> None:
    """Refuses files that cannot be the plain-text files of one part of a corpus."""
    codes = [f".{name.lower()}" for name in names]
    others = {*NOT_PLAIN}.difference(codes)  # pot is also a language code
    if len(paths) < 2 or any(kind_of(path) in others for path in paths):
        raise UserError(
            f"data.corpus.{key}: expected two plain text files, or {', '.join(TABLES)} files "
            f"(each may end in .gz), found {', '.join(map(str, paths)) or 'none'}"
        )
    if key == "train" and len(paths) != 2:
        raise UserError(
            f"data.corpus.train: expected two plain files, found {len(paths)}; "
            "only validation and test can have several references"
        )
    for place, path in enumerate(paths):
        if kind_of(path) in codes and kind_of(path) != codes[place > 0]:
            raise UserError(
                f"data.corpus.{key}: expected the source file ({names[0]}) first, then the target "
                f"({names[1]}), found {', '.join(map(str, paths))}; give each in its place"
            )


def _table_rows(path: Path, columns: list[Column] | None, names: Sequence[str]) -> Iterator[Row]:
    default: Sequence[Column] = (1, 2) if kind_of(path) == ".tsv" else names
    return TABLES[kind_of(path)](path, columns or default)


def expanded(patterns: Sequence[str]) -> list[Path]:
    """Expands names and patterns (`shards/*.parquet`) to files, those of a pattern sorted by name.

    Raises:
        UserError: no file matches a pattern.
    """
    paths: list[Path] = []
    for path in map(Path, patterns):
        if "*" not in path.name or path.exists():
            paths.append(path)
            continue
        # As in a shell, a hidden file is none of them; on some disks a Mac adds `._` to each name.
        found = [one for one in path.parent.glob(path.name) if one.name[0] != "."]
        if not found:
            raise UserError(f"{path}: expected files like this, found none")
        paths += sorted(found)
    return paths


def files_inputs(corpus: Files | Text) -> dict[str, str]:
    """Every local file and its sha256."""
    return {path.as_posix(): _digest(path) for path in _files(corpus)}


def _files(corpus: Files | Text) -> list[Path]:
    return expanded([*corpus.train, *(corpus.validation or []), *(corpus.test or [])])


def _digest(path: Path, key: str = "data.corpus") -> str:
    if path.exists() and not path.is_file():
        found = "a folder" if path.is_dir() else "a pipe"
        raise UserError(
            f"{path}: expected a file, which is read more than once, found {found}; check the path "
            f"under {key}"
        )
    try:
        return sha256(path)
    except OSError as error:
        raise UserError(
            f"{path}: expected a file here ({error.strerror}); check the path under {key}"
        ) from None


class Source(NamedTuple):
    """How one kind of corpus is read and identified."""

    read: Callable[[Any, Data, Say], Corpus]
    inputs: Callable[[Any], dict[str, str]]


SOURCES: dict[type, Source] = {
    Files: Source(read_files, files_inputs),
    Text: Source(read_text, files_inputs),
    Hub: Source(read_hub, hub_inputs),
    Tatoeba: Source(read_tatoeba, tatoeba_inputs),
}
