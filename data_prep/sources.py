"""Where parallel text comes from: local files, the Hugging Face hub, the packaged Tatoeba pairs."""

from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import huggingface_hub

from data_prep.corpus import Corpus, HeldOut, Pair
from data_prep.tables import TABLES, Column, ending
from data_prep.tatoeba import read_tatoeba, tatoeba_inputs
from nmt.config import Data
from nmt.corpora import CORPORA, Files, Hub, Tatoeba, Text
from nmt.errors import UserError
from nmt.files import sha256
from nmt.lines import read_texts
from nmt.options import build

Say = Callable[[str], None]
PROBE_SECONDS = 5.0
INSTEAD = "use your own files with `--data.corpus.kind files --data.corpus.train [FILE, FILE]`"


def read(data: Data, say: Say) -> Corpus:
    """The corpus that the settings name.

    Raises:
        UserError: it cannot be had, is damaged or is empty.
    """
    corpus = build(CORPORA, data.corpus, where="data.corpus")
    result: Corpus = SOURCES[type(corpus)].read(corpus, data, say)
    parts = [("training", len(result.train))]
    for name, split in (("validation", result.validation), ("test", result.test)):
        if split is not None:
            parts.append((name, len(split.sources)))
    for name, size in parts:
        if size == 0:
            raise UserError(f"data.corpus: the {name} part is empty; give it sentence pairs")
    return result


def inputs(data: Data) -> dict[str, str]:
    """What goes in, {file: sha256}, found without reading any pairs.

    Raises:
        UserError: a file is not there.
    """
    corpus = build(CORPORA, data.corpus, where="data.corpus")
    result: dict[str, str] = SOURCES[type(corpus)].inputs(corpus)
    return result | {path: _digest(Path(path), "data.synthetic") for path in data.synthetic or ()}


def read_synthetic(data: Data) -> list[Pair]:
    """The pairs of which a machine made one side, of all files that the settings name.

    Raises:
        UserError: a file is not there, is damaged, or is no table.
    """
    names = [data.source_language, data.target_language]
    pairs: list[Pair] = []
    for file in data.synthetic or ():
        if ending(Path(file)) not in TABLES:
            raise UserError(
                f"data.synthetic: expected {', '.join(TABLES)} files (each may end in .gz), "
                f"found {file}; `nmt synthesize` makes one"
            )
        columns = _read_parallel([Path(file)], None, names, "synthetic")
        pairs += zip(*columns, strict=True)
    return pairs


def read_files(corpus: Files, data: Data, say: Say) -> Corpus:
    """Pairs from local files."""
    names = [data.source_language, data.target_language]

    def columns_of(paths: list[str], key: str) -> list[list[str]]:
        return _read_parallel(expanded(paths), corpus.columns, names, key)

    def held_out(paths: list[str] | None, key: str) -> HeldOut | None:
        return None if paths is None else HeldOut.of(*columns_of(paths, key))

    train = columns_of(corpus.train, "train")
    if len(train) != 2:
        raise UserError(
            f"data.corpus.train: expected two plain files, found {len(train)}; "
            "only validation and test can have several references"
        )
    return Corpus(
        train=list(zip(*train, strict=True)),
        validation=held_out(corpus.validation, "validation"),
        test=held_out(corpus.test, "test"),
    )


def read_text(corpus: Text, data: Data, say: Say) -> Corpus:
    """Lines of one language, each as a pair with itself."""

    def lines_of(paths: list[str]) -> list[str]:
        return [line for path in expanded(paths) for line in read_texts(path)]

    def held_out(paths: list[str] | None) -> HeldOut | None:
        return None if paths is None else HeldOut.of(lines := lines_of(paths), lines)

    return Corpus(
        train=[(line, line) for line in lines_of(corpus.train)],
        validation=held_out(corpus.validation),
        test=held_out(corpus.test),
        alone=True,
    )


def _read_parallel(
    paths: Sequence[Path], columns: list[Column] | None, names: Sequence[str], key: str
) -> list[list[str]]:
    """Columns of equal length: the source and one or more targets."""
    if columns is not None and len(columns) != 2:
        raise UserError(f"data.corpus.columns: expected two, source and target, found {columns}")
    if paths and all(ending(path) in TABLES for path in paths):
        shards = [_read_table(path, columns, names) for path in paths]
        return [list(chain.from_iterable(parts)) for parts in zip(*shards, strict=True)]
    if len(paths) < 2 or any(ending(path) in TABLES for path in paths):
        raise UserError(
            f"data.corpus.{key}: expected two plain text files, or {', '.join(TABLES)} files "
            f"(each may end in .gz), found {', '.join(map(str, paths)) or 'none'}"
        )
    lines = [read_texts(path) for path in paths]
    for path, found in zip(paths[1:], lines[1:], strict=True):
        if len(found) != len(lines[0]):
            raise UserError(
                f"{paths[0]} has {len(lines[0])} lines but {path} has {len(found)}: parallel "
                "files need a line for each line; mend the one that has lost its place"
            )
    return lines


def _read_table(path: Path, columns: list[Column] | None, names: Sequence[str]) -> list[list[str]]:
    default: Sequence[Column] = (1, 2) if ending(path) == ".tsv" else names
    return TABLES[ending(path)](path, columns or default)


def expanded(patterns: Sequence[str]) -> list[Path]:
    """The files that names and patterns (`shards/*.parquet`) stand for, these in order of name.

    Raises:
        UserError: no file is as a pattern says.
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
    paths = expanded([*corpus.train, *(corpus.validation or []), *(corpus.test or [])])
    return {str(path): _digest(path) for path in paths}


def read_hub(corpus: Hub, data: Data, say: Say) -> Corpus:
    """Pairs from a data set on the hub, or from a local folder of the same shape."""
    loaded = _load(corpus)
    names = (data.source_language, data.target_language)

    def held_out(split: str | None, key: str) -> HeldOut | None:
        return None if split is None else HeldOut.of(*_columns(loaded, corpus, split, key, names))

    train = _columns(loaded, corpus, corpus.train_split, "train_split", names)
    return Corpus(
        train=list(zip(*train, strict=True)),
        validation=held_out(corpus.validation_split, "validation_split"),
        test=held_out(corpus.test_split, "test_split"),
    )


def _load(corpus: Hub) -> Any:
    if not Path(corpus.name).is_dir() and not datasets.config.HF_HUB_OFFLINE:
        _probe(corpus.name)
    try:
        return datasets.load_dataset(corpus.name, corpus.subset)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"data.corpus: the data set {corpus.name!r} (subset {corpus.subset!r}) could not be "
            f"loaded: {reason}; check `name` and `subset`, or {INSTEAD}"
        ) from None


def _probe(name: str) -> None:
    """Fails at once where there is no network; the library would try again for 23 seconds."""
    endpoint = huggingface_hub.constants.ENDPOINT
    try:
        huggingface_hub.get_session().head(endpoint, timeout=PROBE_SECONDS)
    except Exception:  # of whichever HTTP library this version of huggingface_hub is built on
        raise UserError(
            f"the data set {name!r} could not be fetched because {endpoint} cannot be reached; "
            "check the network, or set HF_HUB_OFFLINE=1 if it has been fetched before, "
            f"or {INSTEAD}"
        ) from None


def _columns(
    loaded: Any, corpus: Hub, split: str, key: str, names: Sequence[str]
) -> list[list[str]]:
    if split not in loaded:
        raise UserError(
            f"data.corpus.{key}: the data set {corpus.name!r} has no split {split!r}, only "
            f"{', '.join(loaded)}; for validation and test, null makes a leak-free split"
        )
    part = loaded[split]
    nested = "translation" in part.column_names
    rows = part["translation"][:] if nested else None
    found = list(rows[0] if rows else part.column_names)
    for name in names:
        if name not in found:
            raise UserError(
                f"data.corpus: the data set {corpus.name!r} has no column {name!r}, only "
                f"{', '.join(found)}; set the language codes to two of these"
            )
    columns = [[row[name] for row in rows] if rows else part[name][:] for name in names]
    return [[text or "" for text in column] for column in columns]


def hub_inputs(corpus: Hub) -> dict[str, str]:
    """The files of a local folder; what lies on the hub is identified by the settings alone."""
    root = Path(corpus.name)
    files = sorted(path for path in root.rglob("*") if path.is_file()) if root.is_dir() else []
    return {str(path): _digest(path) for path in files}


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
