"""Data sets of the Hugging Face hub, or local folders with the same layout."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, cast

import datasets
import huggingface_hub

from data_prep.corpus import INSTEAD, Corpus, HeldOut, Pair
from data_prep.tables import Row, as_text, expect_two
from nmt.config import Data
from nmt.corpora import Hub
from nmt.errors import Say, UserError
from nmt.files import FURNITURE, sha256

PROBE_SECONDS = 5.0
BLOCK = 1000
"""Rows requested at once."""


def read_hub(corpus: Hub, data: Data, say: Say) -> Corpus:
    """Pairs from a data set on the hub, or from a local folder with the same layout."""
    expect_two(corpus.columns)
    loaded = _load(corpus)
    names = corpus.columns or [data.source_language, data.target_language]

    def held_out(split: str | None, key: str) -> HeldOut | None:
        return None if split is None else HeldOut.of(_rows(loaded, corpus, split, key, names))

    train = _rows(loaded, corpus, corpus.train_split, "train_split", names)
    return Corpus(
        train=islice(cast(Iterator[Pair], train), corpus.take),
        validation=held_out(corpus.validation_split, "validation_split"),
        test=held_out(corpus.test_split, "test_split"),
    )


def _load(corpus: Hub) -> Any:
    local = Path(corpus.name).is_dir()
    if local and corpus.revision:
        raise UserError(
            f"data.corpus.revision: a local folder has no versions, expected null for "
            f"{corpus.name}, found {corpus.revision!r}; leave it out"
        )
    if not local and not datasets.config.HF_HUB_OFFLINE:
        _probe(corpus.name)
    # The library knows a local file by its time; we by its content, which may have changed alone.
    mode = "reuse_cache_if_exists" if local else None
    with _failures(corpus):
        return datasets.load_dataset(
            corpus.name,
            corpus.subset,
            revision=corpus.revision,
            streaming=corpus.streaming,
            download_mode=mode,
        )


@contextmanager
def _failures(corpus: Hub) -> Iterator[None]:
    """Turns the library's errors about an unavailable data set into a one-sentence message."""
    try:
        yield
    except Exception as error:  # the type depends on the HTTP library and the file format
        reason = " ".join(str(error).split())
        raise UserError(
            f"data.corpus: the data set {corpus.name!r} (subset {corpus.subset!r}, revision "
            f"{corpus.revision!r}) could not be loaded: {reason}; check `name`, `subset` and "
            f"`revision`, or {INSTEAD}"
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
    rows, known = loaded[split], loaded[split].column_names  # None of a stream that cannot tell
    if known is not None and "translation" not in known:
        _expect_columns(names, known, corpus)
    if known is not None:  # pictures and sound beside the text would be decoded
        rows = rows.select_columns([one for one in known if one in ("translation", *names)])
    blocks = iter(rows.iter(BLOCK))
    while True:
        with _failures(corpus):  # a stream may fail at any row
            block = next(blocks, None)
        if block is None:
            return
        nested = block.get("translation") or []
        first = next((row for row in nested if row is not None), None)
        if isinstance(first, dict):  # not a text column that merely has this name
            block = {name: [(row or {}).get(name) for row in nested] for name in first}
        _expect_columns(names, block, corpus)
        where = f"data.corpus: the data set {corpus.name!r}, columns {', '.join(names)}"
        for row in zip(*(block[name] for name in names), strict=True):
            yield tuple(as_text(text, where) for text in row)


def _expect_columns(names: Iterable[str], found: Iterable[str], corpus: Hub) -> None:
    for name in names:
        if name not in found:
            raise UserError(
                f"data.corpus: the data set {corpus.name!r} has no column {name!r}, only "
                f"{', '.join(found)}; set data.corpus.columns to two of these"
            )


def hub_inputs(corpus: Hub) -> dict[str, str]:
    """The files of a local folder; data on the hub are identified by the settings alone."""
    root = Path(corpus.name)
    found = sorted(root.rglob("*")) if root.is_dir() else []
    files = (path for path in found if path.is_file() and path.name not in FURNITURE)
    return {path.as_posix(): sha256(path) for path in files}
