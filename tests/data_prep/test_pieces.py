"""A corpus in pieces: what lies in each, whoever asks for it and when."""

from collections.abc import Callable, Iterator
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_prep import sources
from data_prep.corpus import Corpus
from data_prep.marks import fold
from data_prep.pieces import Pieces
from data_prep.pipeline import prepare
from nmt.config import Data
from nmt.errors import UserError
from nmt.schema import Settings
from nmt.vocab import load_vocabularies
from tests.data_prep.conftest import PAIRS

MakeData = Callable[..., Data]
Pair = tuple[str, str]


def silent(line: str) -> None:
    """Says nothing."""


@pytest.fixture(params=["files", "parquet", "hub"])
def corpus(request: pytest.FixtureRequest, tmp_path: Path, corpus_files: list[str]) -> Settings:
    """The pairs as plain files, as Parquet in two shards, and as a streamed hub data set."""
    folder = tmp_path / "shards"
    folder.mkdir()
    for number, rows in enumerate((PAIRS[:30], PAIRS[30:])):
        columns = dict(zip(("en", "de"), zip(*rows, strict=True), strict=True))
        path = folder / f"train-0000{number}-of-00002.parquet"
        pq.write_table(pa.table({name: list(column) for name, column in columns.items()}), path)
    if request.param == "hub":
        splits = {"validation_split": None, "test_split": None}
        return {"kind": "hub", "name": str(folder), "streaming": True, **splits}
    train = [str(folder / "*.parquet")] if request.param == "parquet" else corpus_files
    return {"kind": "files", "train": train}


def written(pieces: Pieces, number: int, folder: Path, tokenizers: Path) -> list[Pair]:
    """The pairs of a piece, which the tokenizers can read back."""
    pieces(number, folder, tokenizers)
    assert [path.name for path in folder.iterdir()] == ["dataset"]
    train = datasets.load_from_disk(str(folder / "dataset"))["train"]
    source, target = load_vocabularies(tokenizers)
    assert source.decode(train["source_ids"]) == train["source"][:]
    assert target.decode(train["target_ids"]) == train["target"][:]
    return list(zip(train["source"], train["target"], strict=True))


def test_pieces_follow_one_another_and_come_round(
    corpus: Settings, make_data: MakeData, tmp_path: Path
) -> None:
    said: list[str] = []
    folder = prepare(make_data(corpus, piece=50), said.append)
    assert "data.piece: the first 50 pairs; `nmt train` reads on, piece by piece" in said
    splits = datasets.load_from_disk(str(folder / "dataset"))
    first = list(zip(splits["train"]["source"], splits["train"]["target"], strict=True))
    held = [splits[name] for name in ("validation", "test")]
    assert {*first} <= {*PAIRS[:50]} and [len(part) for part in held] == [5, 10]
    out = [{fold(text) for part in held for text in part[side]} for side in ("source", "target")]

    def expected(rows: list[Pair]) -> list[Pair]:
        return [pair for pair in rows if not any(fold(pair[side]) in out[side] for side in (0, 1))]

    pieces = Pieces.of(folder, said.append)
    second = written(pieces, 1, tmp_path / "1", folder)
    assert second == expected(PAIRS[50:] + PAIRS[:20])
    assert said[-1] == f"piece 2 of the corpus: 50 pairs read, {len(second)} kept"
    third = written(pieces, 2, tmp_path / "2", folder)
    assert third == expected(PAIRS[20:70])
    # Nothing depends on what was read before; what has come round is not read for nothing.
    assert written(pieces, 1, tmp_path / "again", folder) == second
    assert written(pieces, 2 + 8 * 10**12, tmp_path / "much later", folder) == third
    assert written(Pieces.of(folder, silent), 2, tmp_path / "at once", folder) == third


def test_pieces_are_cleaned_as_what_was_prepared(
    make_data: MakeData, tmp_path: Path, corpus_files: list[str]
) -> None:
    bad = [("twice", "zweimal"), ("twice", "zweimal"), ("same", "same"), ("w " * 101, "w " * 100)]
    for side, path in enumerate(map(Path, corpus_files)):
        path.write_text("".join(f"{pair[side]}\n" for pair in PAIRS + bad), encoding="utf-8")
    folder = prepare(make_data({"kind": "files", "train": corpus_files}, piece=80), silent)
    found = written(Pieces.of(folder, silent), 1, tmp_path / "1", folder)
    assert found[0] == ("twice", "zweimal") and {*found[1:]} <= {*PAIRS[:76]}


def test_all_pairs_of_one_language_are_copies(make_data: MakeData, tmp_path: Path) -> None:
    lines = [source for source, _ in PAIRS]
    path = tmp_path / "lines.en"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    corpus = {"kind": "text", "train": [str(path)]}
    folder = prepare(make_data(corpus, piece=40, target_language="en"), silent)
    found = written(Pieces.of(folder, silent), 1, tmp_path / "1", folder)
    assert {*found} <= {(line, line) for line in lines[40:]} and len(found) > 30


def test_a_corpus_without_an_end_is_not_read_to_it(
    make_data: MakeData, corpus_files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def endless() -> Iterator[Pair]:
        for number in range(40):
            yield f"number {number}", f"Nummer {number}"
        raise AssertionError("one pair too many")

    data = make_data({"kind": "files", "train": corpus_files}, piece=40)
    monkeypatch.setattr(sources, "read", lambda *_: Corpus(train=endless()))
    prepare(data, silent)


# what may go wrong


def test_synthetic_pairs_beside_pieces_are_refused(make_data: MakeData) -> None:
    corpus = {"kind": "files", "train": ["a.en", "a.de"]}
    with pytest.raises(UserError, match=r"^piece: .*found data\.synthetic made\.jsonl; put"):
        make_data(corpus, piece=10, synthetic=["made.jsonl"])


def test_a_corpus_that_has_gone_is_named(
    make_data: MakeData, corpus_files: list[str], tmp_path: Path
) -> None:
    folder = prepare(make_data({"kind": "files", "train": corpus_files}, piece=40), silent)
    pieces = Pieces.of(folder, silent)
    Path(corpus_files[1]).unlink()
    with pytest.raises(UserError, match=r"train\.de: expected a text file"):
        pieces(1, tmp_path / "1", folder)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("", r"expected the pairs that it had \(40 or more\), found 0; put it back"),
        ("gone\n" * 39, r"expected the pairs that it had \(40 or more\), found 39; put it back"),
        ("same\n" * 80, "in piece 2 of 40, found none that data.clean keeps; take that part out"),
    ],
)
def test_a_corpus_that_has_become_useless_is_named(
    lines: str, said: str, make_data: MakeData, corpus_files: list[str], tmp_path: Path
) -> None:
    folder = prepare(make_data({"kind": "files", "train": corpus_files}, piece=40), silent)
    for path in map(Path, corpus_files):
        path.write_text(lines)
    with pytest.raises(UserError, match=said):
        Pieces.of(folder, silent)(1, tmp_path / "1", folder)


def test_a_piece_is_not_larger_than_the_corpus(
    make_data: MakeData, corpus_files: list[str]
) -> None:
    corpus = {"kind": "files", "train": corpus_files}
    with pytest.raises(UserError, match=r"at most the 80 pairs that the corpus has, found 81"):
        prepare(make_data(corpus, piece=81), silent)
