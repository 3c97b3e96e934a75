from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nmt import options
from nmt.config import Data
from nmt.schema import Settings

MakeData = Callable[..., Data]

PAIRS = [
    (f"{who} {what} number {number}.", f"{wer} {was} Nummer {number}.")
    for number in range(20)
    for who, wer in (("Anna", "Anna"), ("The dog", "Der Hund"))
    for what, was in (("sees", "sieht"), ("likes", "mag"))
]


@pytest.fixture
def make_data(tmp_path: Path) -> MakeData:
    """Checked settings from a corpus section; English to German, small splits."""

    def make(corpus: Settings, **sections: Any) -> Data:
        raw = {
            "folder": str(tmp_path / "prepared"),
            "source_language": "en",
            "target_language": "de",
            "corpus": corpus,
            "split": {"validation_size": 5, "test_size": 10},
            "tokenizer": {"vocabulary_size": 300},
        }
        data: Data = options.build(Data, raw | sections)
        return data

    return make


@pytest.fixture
def corpus_files(tmp_path: Path) -> list[str]:
    """80 pairs in two plain files."""
    paths = [tmp_path / "train.en", tmp_path / "train.de"]
    for side, path in enumerate(paths):
        path.write_text("".join(f"{pair[side]}\n" for pair in PAIRS), encoding="utf-8")
    return [str(path) for path in paths]
