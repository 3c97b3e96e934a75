"""A user's mistake is answered by one sentence that says what, where and what to do; status 2."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from nmt.cli import main
from nmt.files import sha256
from tests.toy import Toy, write_lines

Answer = Callable[..., str]


@pytest.fixture
def answer(capsys: pytest.CaptureFixture[str]) -> Answer:
    """Runs a command that must be refused; gives the one line that says why."""

    def run(*words: object) -> str:
        status = main([str(word) for word in words])
        out, err = capsys.readouterr()
        assert status == 2
        assert out == ""
        assert err.endswith("\n") and err.count("\n") == 1, err
        assert "Traceback" not in err
        return err.removesuffix("\n")

    return run


def contains(text: str, *parts: object) -> None:
    assert not [part for part in parts if str(part) not in text], text


# the command line itself


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["transalte", "x"], ["unknown verb 'transalte'", "translate"]),
        (["--fast"], ["--fast", "nmt --help"]),
        (["translate"], ["run", "nmt translate --help"]),
        (["translate", "RUN", "--fast"], ["--fast", "nmt translate --help"]),
        (["translate", "RUN", "--beam", "3"], ["--beam", "nmt translate --help"]),
        (["translate", "RUN", "more"], ["more", "nmt translate --help"]),
        (["translate", "RUN", "-x"], ["-x", "nmt translate --help"]),
        (["translate", "RUN", "--format", "xml"], ["--format", "'xml'", "jsonl"]),
        (["translate", "RUN", "--n-best", "few"], ["--n-best", "'few'"]),
        (["translate", "RUN", "--n-best", "2"], ["--n-best", "--format jsonl"]),
        (["translate", "RUN", "--alignments"], ["--alignments", "--format jsonl"]),
        (["translate", "RUN", "--threads", "0"], ["--threads", "0"]),
        (["translate", "RUN", "--device", "abacus"], ["--device", "'abacus'", "cuda"]),
        (["evaluate"], ["folder of a run", "--hyp FILE"]),
        (["evaluate", "RUN", "--src", "x"], ["--ref FILE"]),
        (["evaluate", "RUN", "--ref", "x"], ["--src FILE"]),
        (["score", "RUN", "--src", "x"], ["--tgt"]),
        (["train"], ["config", "nmt train --help"]),
        (["train", "x.yaml", "y.yaml"], ["y.yaml"]),
    ],
    ids=" ".join,
)
def test_words_of_a_command(
    words: list[str], parts: list[str], trained: Toy, answer: Answer
) -> None:
    contains(answer(*(trained.run if word == "RUN" else word for word in words)), *parts)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_no_such_device(trained: Toy, answer: Answer) -> None:
    contains(answer("translate", trained.run, "--device", "cuda"), "--device", "cuda", "cpu")


# settings


@pytest.mark.parametrize(
    ("key", "value", "parts"),
    [
        ("data.tokenizer.vocabulary_sise", "300", ["did you mean 'vocabulary_size'?"]),
        ("model.decoder.hiden_size", "8", ["did you mean 'hidden_size'?"]),
        ("model.encoder.reset_after", "true", ["unknown key", "allowed: ", "dropout"]),
        ("trainign", "3", ["did you mean 'training'?"]),
        ("data.corpus.kind", "hubb", ["unknown value 'hubb'", "did you mean 'hub'?", "tatoeba"]),
        ("model.encoder.kind", "transformr", ["unknown value 'transformr'", "recurrent"]),
        ("data.tokenizer.kind", "words", ["'bpe' or 'unigram'", "'words'"]),
        ("data.tokenizer.vocabulary_size", "100", ["260", "100"]),
        ("data.source_language", "7", ["string", "7"]),
        ("training.max_steps", "many", ["integer", "'many'"]),
        ("training.learning_rate", "0", ["greater than 0", "0"]),
        ("training.average_decay", "1.0", ["less than 1", "1.0"]),
        ("training.schedule", "null", ["'cosine'", "None"]),
        ("training", "3", ["expected keys and values", "3"]),
    ],
)
@pytest.mark.parametrize("verb", ["prepare", "train"])
def test_settings_on_the_command_line(
    verb: str, key: str, value: str, parts: list[str], toy: Toy, answer: Answer
) -> None:
    line = answer(verb, toy.config, f"--{key}", value)
    contains(line, f"nmt {verb}: {toy.config} and the command line: {key}: ", *parts)


def test_typo_in_the_file(toy: Toy, answer: Answer, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(toy.config.read_text().replace("max_steps", "max_step"))
    for verb in ("prepare", "train"):
        line = answer(verb, wrong)
        contains(line, wrong, "training.max_step: unknown key", "did you mean 'max_steps'?")
        assert "command line" not in line


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (b"data: [1, 2", ["not valid YAML"]),
        (b"- data", ["expected keys and values", "list"]),
        (b"", ["expected keys and values"]),
        (b"data: \xff", ["UTF-8"]),
        (b"training: {folder: x}", ["data", "required"]),
    ],
)
def test_not_a_settings_file(
    content: bytes, parts: list[str], answer: Answer, tmp_path: Path
) -> None:
    (tmp_path / "c.yaml").write_bytes(content)
    contains(answer("train", tmp_path / "c.yaml"), tmp_path / "c.yaml", *parts)


def test_missing_settings_file(answer: Answer, tmp_path: Path) -> None:
    contains(answer("prepare", tmp_path / "no.yaml"), tmp_path / "no.yaml", "found none")
    contains(answer("train", tmp_path / "no.yaml", "--help"), tmp_path / "no.yaml", "found none")


def test_a_key_without_its_value(toy: Toy, answer: Answer) -> None:
    contains(answer("train", toy.config, "--training.seed"), "--training.seed", "expected a value")


# corpora


def prepare_with(answer: Answer, toy: Toy, folder: Path, *corpus: object) -> str:
    line = answer(
        *("prepare", toy.config, "--data.folder", folder / "prepared"),
        *("--data.corpus.train", *corpus),
    )
    assert not (folder / "prepared").exists()
    return line


def test_missing_corpus_file(toy: Toy, answer: Answer, tmp_path: Path) -> None:
    line = prepare_with(answer, toy, tmp_path, toy.folder / "all.xx", tmp_path / "gone.yy")
    contains(line, tmp_path / "gone.yy", "data.corpus")


def test_unequal_corpus_files(toy: Toy, answer: Answer, tmp_path: Path) -> None:
    short = write_lines(tmp_path / "short.yy", ["ku"] * 299)
    line = prepare_with(answer, toy, tmp_path, toy.folder / "all.xx", short)
    contains(line, toy.folder / "all.xx", "300 lines", short, "299")


def test_empty_corpus(toy: Toy, answer: Answer, tmp_path: Path) -> None:
    files = [write_lines(tmp_path / name, []) for name in ("a.xx", "a.yy")]
    contains(prepare_with(answer, toy, tmp_path, *files), "data.corpus", "training", "empty")


def test_broken_utf8_in_a_corpus(toy: Toy, answer: Answer, tmp_path: Path) -> None:
    broken = tmp_path / "broken.yy"
    broken.write_bytes(b"ku\n" * 6 + b"k\xfcu\n" + b"ku\n" * 293)
    line = prepare_with(answer, toy, tmp_path, toy.folder / "all.xx", broken)
    contains(line, f"{broken}, line 7", "UTF-8", "0xfc")


# folders that hold something else


def test_train_without_prepared_data(toy: Toy, answer: Answer, tmp_path: Path) -> None:
    line = answer("train", toy.config, "--data.folder", tmp_path / "no")
    contains(line, tmp_path / "no", "nmt prepare")


def test_prepare_over_something_else(toy: Toy, answer: Answer, tmp_path: Path) -> None:
    (tmp_path / "diary.txt").write_text("dear")
    contains(answer("prepare", toy.config, "--data.folder", tmp_path), tmp_path, "data.folder")
    assert (tmp_path / "diary.txt").exists()


def test_fresh_deletes_nothing_but_a_run(toy: Toy, answer: Answer, tmp_path: Path) -> None:
    (tmp_path / "diary.txt").write_text("dear")
    line = answer("train", toy.config, "--training.folder", tmp_path, "--fresh")
    contains(line, tmp_path, "training.folder")
    assert (tmp_path / "diary.txt").exists()


@pytest.mark.parametrize("fresh", [[], ["--fresh"]])
def test_train_into_the_data(fresh: list[str], toy: Toy, answer: Answer, tmp_path: Path) -> None:
    data = shutil.copytree(toy.prepared, tmp_path / "data")
    folders = ["--data.folder", data, "--training.folder", data]
    contains(answer("train", toy.config, *folders, *fresh), data, "training.folder")
    assert (data / "dataset").exists()


@pytest.mark.parametrize("fresh", [[], ["--fresh"]])
def test_fine_tune_a_run_into_itself(
    fresh: list[str], trained: Toy, answer: Answer, tmp_path: Path
) -> None:
    run = trained.copy_of_run(tmp_path / "run")
    words = ["--training.folder", run, "--init-from", run, *fresh]
    contains(answer("train", trained.config, *words), run, "--init-from", "training.folder")
    assert (run / "model.safetensors").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["translate", "RUN"],
        ["evaluate", "RUN"],
        ["info", "RUN"],
        ["score", "RUN", "--src", "FILE", "--tgt", "FILE"],
        ["train", "CONFIG", "--init-from", "RUN"],
    ],
    ids=lambda words: words[0],
)
@pytest.mark.parametrize("kind", ["missing", "file", "empty", "data", "unsaved"])
def test_not_a_run(words: list[str], kind: str, toy: Toy, answer: Answer, tmp_path: Path) -> None:
    file = write_lines(tmp_path / "file", ["ba be bi"])
    (tmp_path / "empty").mkdir()
    (tmp_path / "unsaved").mkdir()
    (tmp_path / "unsaved" / "config.yaml").write_text("data: {}")
    run = toy.prepared if kind == "data" else tmp_path / kind
    names = {"RUN": run, "FILE": file, "CONFIG": toy.config}
    line = answer(*(names.get(word, word) for word in words))
    contains(line, run, "expected the folder of a trained run", "nmt train")
    assert ("not yet saved a model" in line) == (kind == "unsaved")


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
    """Changes a file and vouches for it."""
    (run / name).write_bytes(content)
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["files"][name] = sha256(run / name)
    (run / "manifest.json").write_text(json.dumps(manifest))


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
    contains(answer("info", run), run / "manifest.json", "format_version 1", "99", "train again")
    (run / "manifest.json").write_text("{")
    contains(answer("info", run), run / "manifest.json", "not valid JSON")


# texts


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["-i", "gone"], ["gone", "no such file"]),
        (["-i", "folder"], ["folder", "is a directory"]),
        (["-i", "broken"], ["broken, line 3", "UTF-8", "0xff"]),
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
    places = {"gone", "folder", "broken", "lines", "gone/out"}
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
    ],
    ids=" ".join,
)
def test_evaluate(
    words: list[str], parts: list[str], trained: Toy, answer_after_lines: Answer, tmp_path: Path
) -> None:
    names = _texts(tmp_path) | {"RUN": trained.run}
    contains(answer_after_lines("evaluate", *(names.get(word, word) for word in words)), *parts)


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


@pytest.fixture
def answer_after_lines(capsys: pytest.CaptureFixture[str]) -> Answer:
    """Like `answer`, of a command that may first say what it is doing."""

    def run(*words: object) -> str:
        assert main([str(word) for word in words]) == 2
        out, err = capsys.readouterr()
        assert out == "" and "Traceback" not in err
        *lines, line = err.splitlines()
        assert all(earlier.startswith("translating ") for earlier in lines)
        return line

    return run


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
    contains(answer("evaluate", run), data, "has changed", "--src", "--ref")
    contains(answer("evaluate", run, trained.run), "different data", "--src", "--ref")
    shutil.rmtree(data)
    contains(answer("evaluate", run), data, "nmt prepare")
