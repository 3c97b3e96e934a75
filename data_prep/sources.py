"""Sources of parallel text: local files, the Hugging Face hub, the packaged Tatoeba pairs."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import huggingface_hub

from data_prep.corpus import Corpus, HeldOut, Pair
from data_prep.tables import TABLES, Column, Row, as_text, read_plain
from data_prep.tatoeba import INSTEAD, read_tatoeba, tatoeba_inputs
from nmt.config import Data
from nmt.corpora import CORPORA, Files, Hub, Tatoeba, Text
from nmt.errors import UserError
from nmt.files import sha256
from nmt.lines import each_text, kind_of
from nmt.options import build

Say = Callable[[str], None]
PROBE_SECONDS = 5.0
FURNITURE = (".DS_Store", "Thumbs.db", "desktop.ini")
"""Files that operating systems leave in folders that were viewed."""
UNREAD = (".csv", ".po", ".pot", ".xlf", ".xliff")
"""Extensions of files that make no sense as plain text."""
BLOCK = 1000
"""Rows of a hub data set requested at once."""


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
    if corpus.columns is not None and len(corpus.columns) != 2:
        found = corpus.columns
        raise UserError(f"data.corpus.columns: expected two, source and target, found {found}")
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
            if kind_of(path) in [*TABLES, *UNREAD]:
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


def _pairs(rows: Iterable[Row]) -> Iterator[Pair]:
    return ((source, target) for source, target in rows)


def _check_plain(paths: Sequence[Path], key: str, names: Sequence[str]) -> None:
    """Refuses files that cannot be the plain-text files of one part of a corpus."""
    codes = [f".{name.lower()}" for name in names]
    others = {*TABLES, *UNREAD}.difference(codes)  # pot is also a language code
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
    if [kind_of(path) for path in paths[:2]] == codes[::-1] != codes:
        raise UserError(
            f"data.corpus.{key}: expected the source file ({names[0]}) before the target file "
            f"({names[1]}), found {paths[0]} before {paths[1]}; give them in the other order"
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
        if not (found := sorted(path.parent.glob(path.name))):
            raise UserError(f"{path}: expected files like this, found none")
        paths += found
    return paths


def files_inputs(corpus: Files | Text) -> dict[str, str]:
    """Every local file and its sha256."""
    return {path.as_posix(): _digest(path) for path in _files(corpus)}


def _files(corpus: Files | Text) -> list[Path]:
    return expanded([*corpus.train, *(corpus.validation or []), *(corpus.test or [])])


def read_hub(corpus: Hub, data: Data, say: Say) -> Corpus:
    """Pairs from a data set on the hub, or from a local folder with the same layout."""
    loaded = _load(corpus)
    names = (data.source_language, data.target_language)

    def held_out(split: str | None, key: str) -> HeldOut | None:
        return None if split is None else HeldOut.of(_rows(loaded, corpus, split, key, names))

    train = _pairs(_rows(loaded, corpus, corpus.train_split, "train_split", names))
    return Corpus(
        train=islice(train, corpus.take),
        validation=held_out(corpus.validation_split, "validation_split"),
        test=held_out(corpus.test_split, "test_split"),
    )


def _load(corpus: Hub) -> Any:
    local = Path(corpus.name).is_dir()
    if not local and not datasets.config.HF_HUB_OFFLINE:
        _probe(corpus.name)
    # The library knows a local file by its time; we by its content, which may have changed alone.
    mode = "reuse_cache_if_exists" if local else None
    with _failures(corpus):
        return datasets.load_dataset(
            corpus.name, corpus.subset, streaming=corpus.streaming, download_mode=mode
        )


@contextmanager
def _failures(corpus: Hub) -> Iterator[None]:
    """Turns the library's errors about an unavailable data set into a one-sentence message."""
    try:
        yield
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"data.corpus: the data set {corpus.name!r} (subset {corpus.subset!r}) could not be "
            f"loaded: {reason}; check `name` and `subset`, or {INSTEAD}"
        ) from None


def _probe(name: str) -> None:
    """Fails at once if there is no network; the library would retry for 23 seconds."""
    endpoint = huggingface_hub.constants.ENDPOINT
    try:
        huggingface_hub.get_session().head(endpoint, timeout=PROBE_SECONDS)
    except Exception:  # the type depends on the HTTP library that huggingface_hub uses
        raise UserError(
            f"the data set {name!r} could not be fetched because {endpoint} cannot be reached; "
            "check the network, or set HF_HUB_OFFLINE=1 if it has been fetched before, "
            f"or {INSTEAD}"
        ) from None


def _rows(loaded: Any, corpus: Hub, split: str, key: str, names: Sequence[str]) -> Iterator[Row]:
    if split not in loaded:
        raise UserError(
            f"data.corpus.{key}: the data set {corpus.name!r} has no split {split!r}, only "
            f"{', '.join(loaded)}; for validation and test, null makes a leak-free split"
        )
    blocks = iter(loaded[split].iter(BLOCK))
    while True:
        with _failures(corpus):  # a stream may fail at any row
            block = next(blocks, None)
        if block is None:
            return
        nested = block.get("translation") or []
        first = next((row for row in nested if row is not None), None)
        if isinstance(first, dict):  # not a text column that merely has this name
            block = {name: [(row or {}).get(name) for row in nested] for name in first}
        for name in names:
            if name not in block:
                raise UserError(
                    f"data.corpus: the data set {corpus.name!r} has no column {name!r}, only "
                    f"{', '.join(block)}; set the language codes to two of these"
                )
        where = f"data.corpus: the data set {corpus.name!r}, columns {', '.join(names)}"
        for row in zip(*(block[name] for name in names), strict=True):
            yield tuple(as_text(text, where) for text in row)


def hub_inputs(corpus: Hub) -> dict[str, str]:
    """The files of a local folder; data on the hub are identified by the settings alone."""
    root = Path(corpus.name)
    found = sorted(root.rglob("*")) if root.is_dir() else []
    files = (path for path in found if path.is_file() and path.name not in FURNITURE)
    return {path.as_posix(): _digest(path) for path in files}


def _digest(path: Path, key: str = "data.corpus") -> str:
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
