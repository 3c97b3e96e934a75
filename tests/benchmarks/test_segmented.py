import json
from pathlib import Path

import pytest

from benchmarks.segmented import Segmented, export, read
from data_prep.pipeline import prepare
from nmt import config
from nmt.errors import UserError
from nmt.vocab import RESERVED
from tests.toy import Toy, make, settings

NASTY = ["  two  spaces ", "a\u2028b \u00a0 c", 'say "<s>" \\ \u00a0', "🙂 Größe ĠĊ"]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Segmented:
    """A toy corpus with a joint vocabulary, exported."""
    folder = tmp_path_factory.mktemp("joint")
    make(folder)
    for side in ("xx", "yy"):
        with (folder / f"all.{side}").open("a", encoding="utf-8") as file:
            file.writelines(f"{text}{side}\n" for text in NASTY)
    raw = settings(folder)
    raw["data"]["tokenizer"] = {"vocabulary_size": 300, "joint": True}
    raw["data"]["split"] = {"validation_size": 70, "test_size": 70}
    prepared = prepare(config.from_dict(raw, "toy").data, lambda _: None)
    return export(prepared, folder / "segmented")


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_pieces_give_the_text_back(exported: Segmented, split: str) -> None:
    rows = [json.loads(line) for line in read(exported.path(f"{split}.jsonl"))]
    assert rows
    for side, column in (("src", "source"), ("tgt", "target")):
        lines = read(exported.path(f"{split}.{side}"))
        assert exported.text(lines) == [row[column] for row in rows]
        assert all(line == " ".join(line.split()) != "" for line in lines)


def test_lengths_count_pieces_and_the_end_mark(exported: Segmented) -> None:
    lines = read(exported.path("train.tgt"))
    assert exported.pairs == len(lines)
    assert exported.target_tokens == pytest.approx(
        sum(len(line.split()) + 1 for line in lines) / len(lines)
    )


def test_every_piece_stands_in_the_vocabulary(exported: Segmented) -> None:
    pieces = exported.pieces()
    used = {piece for line in read(exported.path("train.src")) for piece in line.split()}
    assert used <= set(pieces)
    assert not set(RESERVED) & set(pieces)
    assert len(pieces) == len(set(pieces)) == len(exported.vocabulary) - len(RESERVED)


@pytest.mark.parametrize("split", ["validation", "test"])
def test_references_and_raw_sources_belong_together(exported: Segmented, split: str) -> None:
    rows = [json.loads(line) for line in read(exported.path(f"{split}.jsonl"))]
    assert [texts[0] for texts in exported.references[split]] == [row["target"] for row in rows]
    assert read(exported.path(f"{split}.txt")) == [row["source"] for row in rows]


def test_what_is_no_piece_is_left_out_of_the_text(exported: Segmented) -> None:
    line = read(exported.path("test.tgt"))[0]
    assert exported.text([f"{line} <unk> </s>", ""]) == [*exported.text([line]), ""]


def test_separate_vocabularies_are_refused(toy: Toy, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="expected one joint vocabulary"):
        export(toy.prepared, tmp_path / "segmented")
