import errno
import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import pytest
from filelock import FileLock

from data_prep import pipeline
from data_prep.marks import fold
from data_prep.pairs import Pairs
from data_prep.pipeline import prepare
from data_prep.tokenizer import train_tokenizers
from nmt.config import Data, Tokenizer
from nmt.errors import UserError
from nmt.vocab import load_vocabularies

MakeData = Callable[..., Data]


def _manifest(folder: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return manifest


def _prepare(data: Data, fresh: bool = False) -> tuple[Path, list[str]]:
    said: list[str] = []
    return prepare(data, said.append, fresh), said


@pytest.fixture
def data(make_data: MakeData, corpus_files: list[str]) -> Data:
    return make_data({"kind": "files", "train": corpus_files})


def test_prepared_folder_holds_what_training_reads(data: Data) -> None:
    folder, said = _prepare(data)
    assert folder == Path(data.folder)
    splits = datasets.load_from_disk(str(folder / "dataset"))
    assert {name: len(split) for name, split in splits.items()} == {
        "train": 65,
        "validation": 5,
        "test": 10,
    }
    source, target = load_vocabularies(folder)
    for split in splits.values():
        assert source.decode(split["source_ids"]) == split["source"][:]
        assert target.decode(split["target_ids"]) == split["target"][:]
    assert splits["test"]["references"][:] == [[text] for text in splits["test"]["target"]]
    assert splits["train"]["references"][0] == []
    assert not {fold(text) for text in splits["train"]["source"]} & {
        fold(text) for text in splits["test"]["source"]
    }
    for name in ("validation", "test"):
        assert (folder / f"{name}.en").read_text().splitlines() == splits[name]["source"][:]
    assert (folder / "test.de").read_text().splitlines() == splits["test"]["target"][:]
    for part in (
        "read: train 80",
        "dropped from training: empty 0",
        "tokens a word",
        "sample source (en): ",
    ):
        assert any(line.startswith(part) or part in line for line in said), part


def test_tokenizers_see_the_training_split_alone(
    data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, str]] = []

    def spied(folder: Path, pairs: Pairs, settings: Tokenizer) -> dict[str, int]:
        seen.extend(pairs)
        return train_tokenizers(folder, pairs, settings)

    monkeypatch.setattr(pipeline, "train_tokenizers", spied)
    folder, _ = _prepare(data)
    train = datasets.load_from_disk(str(folder / "dataset"))["train"]
    assert seen == list(zip(train["source"], train["target"], strict=True))


def test_manifest_says_what_went_in_and_what_came_out(data: Data, corpus_files: list[str]) -> None:
    with Path(corpus_files[0]).open("a") as file:
        file.write("\n")
    with Path(corpus_files[1]).open("a") as file:
        file.write("leer\n")
    folder, _ = _prepare(data)
    manifest = _manifest(folder)
    assert manifest["counts"]["read"] == {"train": 81}
    assert manifest["counts"]["dropped"]["empty"] == 1
    dropped = sum(manifest["counts"]["dropped"].values())
    splits = manifest["counts"]["splits"]
    assert splits["train"] + splits["validation"] + splits["test"] + dropped == 81
    assert list(manifest["inputs"]) == corpus_files
    assert manifest["languages"] == ["en", "de"]
    assert manifest["settings"]["split"] == {"validation_size": 5, "test_size": 10, "seed": 1}
    assert set(manifest["files"]) == {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }
    assert manifest["vocabularies"]["tokenizer.source.json"] <= 300


def test_where_the_time_went_is_said_and_kept(data: Data) -> None:
    folder, said = _prepare(data)
    stages = ["read", "split", "train tokenizers", "encode"]
    seconds = _manifest(folder)["seconds"]
    assert list(seconds) == stages and all(0 <= time < 60 for time in seconds.values())
    times = ", ".join(f"{stage} {seconds[stage]:.1f} s" for stage in stages)
    assert f"80 pairs: {times}" in said


def test_the_same_is_not_prepared_twice(data: Data) -> None:
    folder, _ = _prepare(data)
    before = (folder / "manifest.json").stat().st_mtime_ns
    _, said = _prepare(data)
    assert len(said) == 1 and "nothing to do" in said[0]
    assert (folder / "manifest.json").stat().st_mtime_ns == before
    _, said = _prepare(data, fresh=True)
    assert (folder / "manifest.json").stat().st_mtime_ns != before
    assert not any("nothing to do" in line for line in said)


def test_a_changed_setting_is_said_by_name(
    data: Data, make_data: MakeData, corpus_files: list[str]
) -> None:
    folder, _ = _prepare(data)
    before = _manifest(folder)["data_hash"]
    tokenizer = {"vocabulary_size": 280}
    changed = make_data({"kind": "files", "train": corpus_files}, tokenizer=tokenizer)
    _, said = _prepare(changed)
    assert said[0].endswith("again: data.tokenizer.vocabulary_size 300 -> 280")
    assert _manifest(folder)["data_hash"] != before


def test_a_changed_input_is_said_by_name(data: Data, corpus_files: list[str]) -> None:
    _prepare(data)
    path = Path(corpus_files[1])
    path.write_text(path.read_text().replace("Nummer 3.", "Nummer drei."))
    _, said = _prepare(data)
    assert said[0].endswith(f"again: input {path} has changed")


@pytest.mark.parametrize("name", ["test.en", "tokenizer.source.json", "dataset/state.json"])
def test_a_damaged_or_missing_file_is_made_again(data: Data, name: str) -> None:
    folder, _ = _prepare(data)
    name = name.replace("dataset/", "dataset/train/")
    whole = (folder / name).read_bytes()
    (folder / name).unlink()
    _, said = _prepare(data)
    assert said[0].endswith(f"{folder / name} is damaged or gone")
    assert (folder / name).read_bytes() == whole


def test_data_hash_is_of_the_data_alone(
    data: Data, make_data: MakeData, corpus_files: list[str], tmp_path: Path
) -> None:
    first = _manifest(_prepare(data)[0])
    moved = [Path(path).rename(tmp_path / f"moved.{n}") for n, path in enumerate(corpus_files)]
    corpus = {"kind": "files", "train": [str(path) for path in moved]}
    second = _manifest(_prepare(make_data(corpus, folder=str(tmp_path / "elsewhere")))[0])
    assert first["data_hash"] == second["data_hash"]
    assert first["files"] == second["files"]


def test_given_splits_are_kept_whole(
    make_data: MakeData, corpus_files: list[str], tmp_path: Path
) -> None:
    held = [tmp_path / "held.en", tmp_path / "held.de", tmp_path / "held2.de"]
    held[0].write_text("Anna sees number 3!\n\nword " + "word " * 200 + "\n")
    held[1].write_text("eins\nzwei\n\n")
    held[2].write_text("ein\n\ndrei\n")
    paths = [str(path) for path in held]
    corpus = {"kind": "files", "train": corpus_files, "validation": paths[:2], "test": paths}
    folder, _ = _prepare(make_data(corpus))
    splits = datasets.load_from_disk(str(folder / "dataset"))
    assert splits["test"]["references"][:] == [["eins", "ein"], ["zwei", None], [None, "drei"]]
    assert splits["test"]["target"][:] == ["eins", "zwei", "drei"]
    assert splits["test"]["source_ids"][1] == []
    assert len(splits["validation"]) == 3
    counts = _manifest(folder)["counts"]
    assert counts["dropped"]["shared_with_held_out"] == 1
    assert counts["splits"] == {"train": 79, "validation": 3, "test": 3, "test references": 4}


def test_cleaning_settings_do_not_change_the_test_split(
    data: Data, make_data: MakeData, corpus_files: list[str]
) -> None:
    before = (_prepare(data)[0] / "test.en").read_bytes()
    corpus = {"kind": "files", "train": corpus_files}
    folder, _ = _prepare(make_data(corpus, clean={"max_words": 4}))
    assert _manifest(folder)["counts"]["dropped"]["too_long"] > 0
    assert (folder / "test.en").read_bytes() == before


def test_a_folder_that_another_process_prepares_is_waited_for(data: Data) -> None:
    folder = Path(data.folder).resolve()
    said: list[str] = []
    waiting = threading.Thread(target=prepare, args=(data, said.append), daemon=True)
    with FileLock(folder.with_name(f".{folder.name}.lock"), thread_local=False):
        waiting.start()
        end = time.monotonic() + 60
        while not said:
            assert waiting.is_alive() and time.monotonic() < end
            time.sleep(0.01)
        assert said == [f"{data.folder}: another process is preparing it; waiting"]
        assert not folder.exists()
    waiting.join(60)
    assert said[-1] == f"prepared {data.folder}"


def test_a_crash_leaves_the_old_folder(
    data: Data, make_data: MakeData, corpus_files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = _prepare(data)
    before = _manifest(folder)

    def crash(*args: object) -> None:
        raise RuntimeError("lights out")

    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "encode_splits", crash)
        with pytest.raises(RuntimeError):
            _prepare(data, fresh=True)
    assert _manifest(folder) == before
    hidden = [path.name for path in folder.parent.iterdir() if path.name.startswith(".")]
    assert hidden == [".prepared.lock"]


def test_killed_between_the_two_renames(data: Data) -> None:
    folder, _ = _prepare(data)
    folder.rename(folder.with_name(".prepared.previous"))
    _, said = _prepare(data)
    assert "nothing to do" in said[0]


@pytest.mark.parametrize(
    "manifest",
    [None, "not JSON", '{"format": 1, "data_hash": "x"}', '{"kind": "prepared data"}', "[]"],
)
def test_a_folder_that_is_something_else_is_not_overwritten(
    data: Data, manifest: str | None
) -> None:
    folder = Path(data.folder)
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    if manifest is not None:
        (folder / "manifest.json").write_text(manifest)
    with pytest.raises(UserError, match=r"expected .* to be new or prepared data"):
        _prepare(data, fresh=True)
    assert (folder / "thesis.txt").read_text() == "years of work"


def test_what_a_system_left_in_an_empty_folder_does_not_matter(data: Data) -> None:
    Path(data.folder).mkdir()
    (Path(data.folder) / ".DS_Store").write_bytes(b"icons")
    folder, _ = _prepare(data)
    assert (folder / "manifest.json").exists()


def test_no_training_pair_left(make_data: MakeData, corpus_files: list[str]) -> None:
    corpus = {"kind": "files", "train": corpus_files}
    with pytest.raises(UserError, match=r"is left; dropped: .*too long 65.*; loosen the filter"):
        _prepare(make_data(corpus, clean={"max_words": 1}))
    with pytest.raises(UserError, match=r"held out 80.*; name other files for training than for"):
        _prepare(make_data({**corpus, "validation": corpus_files, "test": corpus_files}))


def test_sentences_with_line_breaks_are_kept_but_not_written_as_lines(
    make_data: MakeData, tmp_path: Path
) -> None:
    path = tmp_path / "a.jsonl"
    rows = [{"en": f"one\nline {n}", "de": f"eine\nZeile {n}"} for n in range(40)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    folder, said = _prepare(make_data({"kind": "files", "train": [str(path)]}))
    splits = datasets.load_from_disk(str(folder / "dataset"))
    assert all("\n" in text for text in splits["test"]["source"])
    assert not (folder / "test.en").exists()
    assert any(line.startswith("test: not written as plain text too") for line in said)


def test_a_corpus_of_blank_lines_is_refused_by_name(tmp_path: Path) -> None:
    files = [tmp_path / "a.en", tmp_path / "a.de"]
    for file in files:
        file.write_text("\n \n\n", encoding="utf-8")
    corpus = {"kind": "files", "train": [str(file) for file in files]}
    data = Data(
        folder=str(tmp_path / "out"), source_language="en", target_language="de", corpus=corpus
    )
    with pytest.raises(UserError, match=r"data\.corpus: expected sentence pairs, found 3 that"):
        prepare(data, lambda line: None)


@pytest.fixture
def synthetic(tmp_path: Path) -> Path:
    """Pairs that a machine might have made: a new one, a blank one, a known one."""
    rows = [
        {"en": "<BT> Somebody sleeps.", "de": "Jemand schläft."},
        {"en": " ", "de": "Jemand."},
        {"en": "Anna sees number 0.", "de": "Anna sieht Nummer 0."},
    ]
    path = tmp_path / "made.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def test_synthetic_pairs_are_trained_on_and_share_nothing_with_held_out_ones(
    data: Data, synthetic: Path
) -> None:
    plain, _ = _prepare(data)
    before = datasets.load_from_disk(str(plain / "dataset"))
    held_out = before["test"]["target"][0]
    with synthetic.open("a") as file:
        file.write(json.dumps({"en": "<BT> Anything.", "de": held_out.upper()}) + "\n")
        source = before["test"]["source"][0]
        file.write(json.dumps({"en": f"<BT> {source}", "de": "Etwas anderes."}) + "\n")
    folder, said = _prepare(replace(data, synthetic=[str(synthetic)]))
    after = datasets.load_from_disk(str(folder / "dataset"))
    assert [row["source"] for row in after["train"]][:-1] == before["train"]["source"][:]
    assert after["train"][-1]["source"] == "<BT> Somebody sleeps."
    for name in ("validation", "test"):
        assert after[name]["target"][:] == before[name]["target"][:]
    counts = _manifest(folder)["counts"]
    assert counts["read"]["synthetic"] == 5 and counts["splits"]["synthetic"] == 1
    dropped = counts["dropped"]
    assert dropped["empty"] == 1 and dropped["duplicate"] + dropped["shared_with_held_out"] == 3
    assert any("data.synthetic (none) -> " in line for line in said)
    assert _prepare(replace(data, synthetic=[str(synthetic)]))[1][0].endswith("nothing to do")


def test_synthetic_pairs_come_from_tables(data: Data, tmp_path: Path) -> None:
    lines = tmp_path / "lines.txt"
    lines.write_text("Jemand.\n")
    with pytest.raises(UserError, match=r"data\.synthetic: expected \.tsv.*found .*lines\.txt"):
        _prepare(replace(data, synthetic=[str(lines)]))
    with pytest.raises(UserError, match=r"check the path under data\.synthetic"):
        _prepare(replace(data, synthetic=[str(tmp_path / "none.jsonl")]))


def test_a_key_that_came_later_prepares_nothing_anew(data: Data) -> None:
    folder, _ = _prepare(data)
    old = _manifest(folder)
    del old["settings"]["synthetic"]
    (folder / "manifest.json").write_text(json.dumps(old))
    assert _prepare(data)[1] == [
        f"{folder} is already prepared with these settings and inputs, nothing to do"
    ]


def test_unused_options_that_came_later_prepare_nothing_anew(
    make_data: MakeData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    rows = [{"en": f"word {n}", "de": f"Wort {n}"} for n in range(80)]
    (tmp_path / "hub").mkdir()
    datasets.Dataset.from_list(rows).to_parquet(str(tmp_path / "hub" / "train.parquet"))
    held = {"validation_split": None, "test_split": None}
    data = make_data({"kind": "hub", "name": str(tmp_path / "hub"), **held})
    folder, _ = _prepare(data)
    old = _manifest(folder)
    for key in ("streaming", "take"):
        del old["settings"]["corpus"][key]
    (folder / "manifest.json").write_text(json.dumps(old))
    assert _prepare(data)[1][0].endswith("nothing to do")
    taken = make_data({"kind": "hub", "name": str(tmp_path / "hub"), **held, "take": 70})
    assert _prepare(taken)[1][0].endswith("again: data.corpus.take (none) -> 70")


def test_what_a_user_laid_into_the_folder_is_not_removed(
    data: Data, synthetic: Path, make_data: MakeData
) -> None:
    folder, _ = _prepare(data)
    inside = synthetic.rename(folder / "made.jsonl")
    with pytest.raises(UserError, match=r"made\.jsonl: expected an input outside data\.folder"):
        _prepare(replace(data, synthetic=[str(inside)]))
    with pytest.raises(UserError, match=r"made\.jsonl: expected nothing in data\.folder but"):
        _prepare(data, fresh=True)
    assert inside.exists()
    assert _prepare(data)[1][0].endswith("nothing to do")
    inside.unlink()
    (folder / ".DS_Store").touch()  # Finder has looked into it
    assert _prepare(data, fresh=True)[0] == folder


def test_a_full_disk_is_told_by_name(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object, **more: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("data_prep.pipeline.gather", full)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)) as caught:
        _prepare(data)
    assert caught.value.filename == data.folder
    assert not Path(data.folder).exists()
