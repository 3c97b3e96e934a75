"""Mistakes with runs and texts: one sentence that says what, where and what to do; status 2."""

import json
import shutil
from pathlib import Path

import pytest

from nmt import checkpoint
from tests.toy import Answer, Toy, contains, write_lines

# a run that was damaged


@pytest.mark.parametrize("name", ["model.safetensors", "config.yaml", "tokenizer.target.json"])
@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_damaged_run(name: str, damage: str, trained: Toy, answer: Answer, tmp_path: Path) -> None:
    run = trained.copy_of_run(tmp_path / "run")
    if damage == "cut":
        (run / name).write_bytes((run / name).read_bytes()[:-20])
    else:
        (run / name).unlink()
    for verb in ("translate", "info"):
        contains(answer(verb, run), run / name, "sha256", "train again")


def rewrite(run: Path, name: str, content: bytes) -> None:
    """Changes a file and lets the manifest vouch for it."""
    (run / name).write_bytes(content)
    checkpoint.write_manifest(run, checkpoint.read_manifest(run))


def test_torn_weights(trained: Toy, answer: Answer, tmp_path: Path) -> None:
    run = trained.copy_of_run(tmp_path / "run")
    rewrite(run, "model.safetensors", (run / "model.safetensors").read_bytes()[:-20])
    contains(answer("translate", run), run / "model.safetensors", "not a whole safetensors file")


def test_weights_of_another_model(trained: Toy, answer: Answer, tmp_path: Path) -> None:
    run = trained.copy_of_run(tmp_path / "run")
    settings = (run / "config.yaml").read_text()
    rewrite(
        run, "config.yaml", settings.replace("embedding_size: 16", "embedding_size: 8").encode()
    )
    line = answer("translate", run)
    contains(line, run / "model.safetensors", "embedding", "8), found (", "16)")


def test_another_format(trained: Toy, answer: Answer, tmp_path: Path) -> None:
    run = trained.copy_of_run(tmp_path / "run")
    manifest = json.loads((run / "manifest.json").read_text())
    (run / "manifest.json").write_text(json.dumps({**manifest, "format_version": 99}))
    contains(
        answer("info", run), run / "manifest.json", "format_version 1 to 6", "99", "train again"
    )
    (run / "manifest.json").write_text("{")
    contains(answer("info", run), run / "manifest.json", "not valid JSON")


# texts


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["-i", "gone"], ["gone", "no such file"]),
        (["-i", "folder"], ["folder", "at least one file", "found none"]),
        (["-i", "folder", "-o", "folder/inside"], ["folder", "another folder", "inside"]),
        (["-i", "folder", "--shard", "1/2"], ["--shard", "one file"]),
        (["-i", "lines", "--shard", "3/2"], ["--shard", "a part as 2/4", "3/2"]),
        (["-i", "broken", "--strict"], ["broken, line 3", "UTF-8", "0xff"]),
        (["-i", "lines", "--field", "2"], ["lines, line 1", "expected a column 2", "found 1"]),
        (["-i", "lines", "--field", "key"], ["lines, line 1", "expected a JSON object"]),
        (["-i", "lines", "--field", "0"], ["--field", "from 1", "found 0"]),
        (["-i", "lines", "--field", "1", "--format", "jsonl"], ["--field", "--format jsonl"]),
        (["-i", "lines", "-o", "gone/out"], ["gone/out", "expected a place to write to"]),
        (["-i", "lines", "--format", "jsonl", "--n-best", "4"], ["n_best", "1 to 3", "4"]),
        (["-i", "lines", "--n-best", "0"], ["n_best", "1 to 3", "0"]),
        (["-i", "lines", "--beam-size", "0"], ["beam_size", "greater than 0", "0"]),
        (["-i", "lines", "--length-penalty", "-1"], ["length_penalty", "-1"]),
    ],
    ids=" ".join,
)
def test_translate(
    words: list[str], parts: list[str], trained: Toy, answer: Answer, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    write_lines(tmp_path / "lines", ["ba be bi"] * 3)
    (tmp_path / "broken").write_bytes(b"ba\nbe\nb\xff\n")
    output = [] if "-o" in words else ["-o", tmp_path / "out"]
    places = {"gone", "folder", "folder/inside", "broken", "lines", "gone/out"}
    given = [tmp_path / word if word in places else word for word in words]
    contains(answer("translate", trained.run, *given, *output), *parts)
    assert not list(tmp_path.glob("*out*")), "an output that is not whole was left behind"


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["RUN", "--src", "3", "--ref", "2"], ["3", "expected 2 lines as in", "2", "found 3"]),
        (["RUN", "--src", "3", "--ref", "3", "2"], ["2", "expected 3 lines as in", "found 2"]),
        (["--hyp", "3", "--ref", "2"], ["3", "expected", "2", "found 3"]),
        (["--hyp", "3"], ["--hyp", "--ref"]),
        (["--hyp", "3", "--ref", "gone"], ["gone", "no such file"]),
        (["--hyp", "3", "--ref", "broken"], ["broken, line 1", "UTF-8"]),
        (["--hyp", "3", "--ref", "bad.gz"], ["bad.gz", "gzip"]),
        (["--hyp", "0", "--ref", "0"], ["at least one line"]),
        (["RUN", "--src", "0", "--ref", "0"], ["at least one line"]),
        (["--hyp", "3", "--ref", "3", "--tokenize", "words"], ["--tokenize", "'words'", "13a"]),
        (["RUN", "--src", "3", "--ref", "3", "--report", "2"], ["--report: expected a folder"]),
    ],
    ids=" ".join,
)
def test_evaluate(
    words: list[str], parts: list[str], trained: Toy, answer: Answer, tmp_path: Path
) -> None:
    names = _texts(tmp_path) | {"RUN": trained.run}
    contains(answer("evaluate", *(names.get(word, word) for word in words)), *parts)


@pytest.mark.parametrize(
    ("source", "target", "parts"),
    [
        ("3", "2", ["2", "expected 3 lines as in", "found 2"]),
        ("0", "0", ["0", "at least one line"]),
        ("3", "broken", ["broken, line 1", "UTF-8"]),
        ("gone", "3", ["gone", "no such file"]),
    ],
)
def test_score(
    source: str, target: str, parts: list[str], trained: Toy, answer: Answer, tmp_path: Path
) -> None:
    names = _texts(tmp_path)
    line = answer("score", trained.run, "--src", names[source], "--tgt", names[target])
    contains(line, *parts)


def _texts(folder: Path) -> dict[str, Path]:
    for count in (0, 2, 3):
        write_lines(folder / str(count), ["ba be bi"] * count)
    for name in ("broken", "bad.gz"):
        (folder / name).write_bytes(b"\xff\n\n\n")
    return {name: folder / name for name in ("0", "2", "3", "gone", "broken", "bad.gz")}


def test_the_own_test_split_has_gone_or_changed(
    trained: Toy, answer: Answer, tmp_path: Path
) -> None:
    run = trained.copy_of_run(tmp_path / "run")
    settings = (run / "config.yaml").read_text()
    data = shutil.copytree(trained.prepared, tmp_path / "data")
    moved = settings.replace(str(trained.prepared), str(data))
    rewrite(run, "config.yaml", moved.encode())
    manifest = json.loads((data / "manifest.json").read_text())
    (data / "manifest.json").write_text(json.dumps({**manifest, "data_hash": "0" * 64}))
    contains(answer("evaluate", run), data, "found other data", "--src", "--ref")
    foreign = trained.copy_of_run(tmp_path / "foreign")
    facts = {**checkpoint.read_manifest(foreign), "data_hash": "0" * 64}
    checkpoint.write_manifest(foreign, facts)
    contains(answer("evaluate", run, foreign), "trained on the same data", "--src", "--ref")
    shutil.rmtree(data)
    contains(answer("evaluate", run), data, "from where you are", "--src", "--ref")
