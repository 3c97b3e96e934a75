"""Long training sentences, truncated or in chunks."""

from pathlib import Path
from typing import Literal

import datasets
import pytest

from nmt.data.shortening import shortened
from tests.toy import Toy, contains
from tests.training.scripted import Script, same, settings

PAIRS = [
    (list(range(3)), list(range(10, 14))),
    (list(range(10)), list(range(20, 25))),
    (list(range(9)), [7]),
    ([], []),
]


def made(
    longer: Literal["truncate", "chunk"], folder: Path, limit: int = 4
) -> tuple[list[object], list[str]]:
    split = datasets.Dataset.from_dict(
        {"source_ids": [s for s, _ in PAIRS], "target_ids": [t for _, t in PAIRS]}
    )
    said: list[str] = []
    found = shortened(
        datasets.DatasetDict(train=split, validation=split), limit, longer, said.append, folder
    )
    assert found["validation"][:] == split[:]
    assert [*folder.iterdir()] == []
    rows = found["train"][:]
    return list(zip(rows["source_ids"], rows["target_ids"], strict=True)), said


def test_truncation_cuts_behind_the_limit(tmp_path: Path) -> None:
    rows, said = made("truncate", tmp_path)
    assert rows == [
        ([0, 1, 2], [10, 11, 12, 13]),
        ([0, 1, 2, 3], [20, 21, 22, 23]),
        ([0, 1, 2, 3], [7]),
        ([], []),
    ]
    assert said == ["2 of 4 training pairs have more than 4 tokens: truncated"]


def test_chunks_are_pairs_of_pieces_and_lose_no_token_but_beside_nothing(tmp_path: Path) -> None:
    rows, said = made("chunk", tmp_path)
    assert rows == [
        ([0, 1, 2], [10, 11, 12, 13]),
        ([0, 1, 2], [20]),
        ([3, 4, 5], [21, 22]),
        ([6, 7, 8, 9], [23, 24]),
        ([6, 7, 8], [7]),
        ([], []),
    ]
    contains(said[0], "2 of 4 training pairs", "cut into chunks")


@pytest.mark.parametrize("longer", ["truncate", "chunk"])
def test_where_none_is_too_long_nothing_changes(
    longer: Literal["truncate", "chunk"], tmp_path: Path
) -> None:
    rows, said = made(longer, tmp_path, limit=10)
    assert rows == PAIRS
    assert said == []


def test_a_run_trains_on_shortened_sentences(toy: Toy, tmp_path: Path) -> None:
    few = {"training__max_steps": 2, "training__validate_every": 2}
    short = {"training__max_length": 3, "training__longer": "chunk"}
    script, plain = Script(), Script()
    script.run(settings(toy, tmp_path / "run", **few, **short))
    plain.run(settings(toy, tmp_path / "plain", **few))
    contains(" ".join(script.said), "training pairs have more than 3 tokens: cut into chunks")
    assert not same(script.updated[2], plain.updated[2])
