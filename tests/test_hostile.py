"""What the command line is given in error, in a full or locked place, or by a strange system."""

import errno
import io
import os
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest
import torch
import yaml

from nmt import cli, options, processes, recommend
from nmt.cli import main
from nmt.files import read_json, write_json
from nmt.model.seq2seq import Seq2Seq
from tests.toy import Answer, Toy, contains, sentences, translated, write_lines

NAME = os.fsdecode(b"caf\xe9")
"""The name of a file that is not UTF-8."""
linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full and names of any bytes")


@pytest.fixture
def texts(tmp_path: Path) -> tuple[Path, Path]:
    """A source and a reference of three lines."""
    lines = sentences(3, seed=11)
    source, reference = tmp_path / "in.txt", tmp_path / "reference.txt"
    return write_lines(source, lines), write_lines(reference, map(translated, lines))


# places that cannot be written


def test_a_report_that_cannot_be_written_is_refused_before_translating(
    trained: Toy, texts: tuple[Path, Path], answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nmt.evaluation.evaluate.Translator", None)
    words = ["evaluate", trained.run, "--src", texts[0], "--ref", texts[1]]
    report = texts[0] / "report"
    contains(answer(*words, "--report", report), report, "name another by --report")
    monkeypatch.setattr("os.access", lambda *_: False)
    contains(answer(*words), trained.run, "expected a place to write the report to", "--report")


def test_scores_are_shown_even_where_the_disk_is_full(
    trained: Toy,
    texts: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(folder: Path, hypotheses: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(folder))

    monkeypatch.setattr("nmt.evaluation.report.write_hypotheses", full)
    places = ["--src", texts[0], "--ref", texts[1], "--report", tmp_path / "report"]
    assert main([str(word) for word in ["evaluate", trained.run, *places]]) == 2
    out, err = capsys.readouterr()
    assert "BLEU" in out
    contains(err.splitlines()[-1], tmp_path / "report", "No space left on device")


def run_alone(*words: object, out: int) -> tuple[int, str]:
    """Status and messages of a command in a process of its own."""
    line: list[str | bytes] = [sys.executable, "-m", "nmt.cli"]
    line += [os.fsencode(str(word)) for word in words]
    done = subprocess.run(line, stdout=out, stderr=subprocess.PIPE, check=False)
    return done.returncode, done.stderr.decode()


@linux
def test_a_full_disk_or_a_reader_that_left_is_told_once(trained: Toy) -> None:
    with Path("/dev/full").open("w") as full:
        status, said = run_alone("info", trained.run, out=full.fileno())
    assert (status, said) == (2, "nmt info: standard output: No space left on device\n")
    left, out = os.pipe()
    os.close(left)
    try:
        assert run_alone("info", trained.run, out=out) == (141, "")
    finally:
        os.close(out)


@linux
def test_messages_that_nobody_reads_end_the_command_quietly() -> None:
    left, out = os.pipe()
    os.close(left)
    try:
        line = [sys.executable, "-m", "nmt.cli", "info", "nowhere"]
        assert subprocess.run(line, stdout=out, stderr=out, check=False).returncode == 141
    finally:
        os.close(out)


# names and terminals that are not UTF-8


@linux
def test_a_name_that_is_not_utf8_is_told(texts: tuple[Path, Path], tmp_path: Path) -> None:
    texts[0].rename(tmp_path / NAME)
    files = ["--hyp", tmp_path / NAME, "--ref", texts[1], "--report", tmp_path / "report"]
    with (tmp_path / "out").open("wb") as out:
        assert run_alone("evaluate", *files, out=out.fileno())[0] == 0
    for place in (tmp_path / "out", tmp_path / "report" / "report.md"):
        assert "caf\\udce9" in place.read_text()
    status, said = run_alone("info", tmp_path / NAME, out=subprocess.DEVNULL)
    assert status == 2
    contains(said, "caf\\udce9", "expected the folder of a trained run")


def test_a_name_that_is_not_utf8_is_written_and_read_back(tmp_path: Path) -> None:
    write_json(tmp_path / "facts.json", {"name": NAME, "text": "é"})
    assert read_json(tmp_path / "facts.json") == {"name": NAME, "text": "é"}


def test_a_library_that_takes_no_such_name(answer: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmt.checkpoint.load_run", lambda folder: str(folder).encode())
    contains(answer("info", "\udce9"), "expected a name in UTF-8, found '\\udce9'")


class Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_what_it_lacks_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", Terminal(shown, encoding="latin-1", newline="\n"))
    processes.open_streams()
    print("é у", flush=True)
    assert shown.getvalue() == b"\xe9 \\u0443\n"


# numbers without measure, and memory


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["generate", "RUN", "--temperature", "inf"], ["--temperature", "finite", "inf"]),
        (["generate", "RUN", "--seed", 2**64], ["--seed", "at most", 2**64]),
        (["translate", "RUN", "--threads", 10**20], ["--threads", "at most 4096", 10**20]),
        (["diagnose", "RUN", "--length", 10**18], ["--length", "at most 1000000000", 10**18]),
        (["diagnose", "RUN", "--length", 10**9], ["--length", "validation split", 10**9]),
        (["translate", "RUN", "-i", "IN", "--beam-size", 10**8], ["beam_size", "10000", 10**8]),
        (["train", "CONFIG", "--training.threads", 10**20], ["training.threads", "4096"]),
        (["train", "CONFIG", "--training.max_epochs", 10**19], ["max_epochs", "1000000000"]),
        (["train", "CONFIG", "--training.warmup_steps", 10**19], ["warmup_steps", "1000000000"]),
        (["prepare", "CONFIG", "--data.tokenizer.vocabulary_size", 10**12], ["10000000", 10**12]),
    ],
    ids=lambda words: " ".join(map(str, words[:4])),
)
def test_a_number_out_of_range_is_refused(
    words: list[object], parts: list[object], trained: Toy, texts: tuple[Path, Path], answer: Answer
) -> None:
    names = {"RUN": trained.run, "IN": texts[0], "CONFIG": trained.config}
    given = [names.get(word, word) if isinstance(word, str) else word for word in words]
    contains(answer(*given), *parts)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to"),
    ],
    ids=str,
)
def test_a_lack_of_memory_is_told(
    error: Exception, trained: Toy, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("nmt.checkpoint.load_run", fail)
    contains(answer("info", trained.run), "memory ran out", "--beam-size", "--device cpu")


def test_another_error_is_no_lack_of_memory(trained: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("the shapes do not fit")

    monkeypatch.setattr("nmt.checkpoint.load_run", fail)
    with pytest.raises(RuntimeError, match="the shapes do not fit"):
        main(["info", str(trained.run)])


# words


@pytest.mark.parametrize("key", ["encoder", "decoder.attention", "decoder.self_attention"])
def test_nothing_in_place_of_a_kind_is_not_taken_for_the_default(
    key: str, toy: Toy, answer: Answer
) -> None:
    said = answer("train", toy.config, f"--model.{key}", "null")
    contains(said, f"model.{key}: expected one of ", "none", "found null; write the word none")
    options.check(Seq2Seq, {"decoder": None}, "model")  # a section without kinds may be empty


@pytest.mark.parametrize("word", ["--resume", "--continue"])
def test_training_goes_on_by_itself(word: str, toy: Toy, answer: Answer) -> None:
    contains(answer("train", toy.config, word), f"{word}: leave it out; `nmt train` goes on")


def test_files_without_their_options(
    trained: Toy, texts: tuple[Path, Path], answer: Answer, tmp_path: Path
) -> None:
    said = answer("translate", trained.run, texts[0], tmp_path / "out.txt")
    contains(said, f"{texts[0]}: expected the folder of a trained run", "-i names", "-o the output")
    contains(answer("evaluate", trained.run, *texts), texts[0], "--src, --ref")


def test_the_same_twice_is_refused(
    trained: Toy, texts: tuple[Path, Path], answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(trained.folder)
    twice = [trained.run, trained.run.name]
    told = f"{trained.run.name}: expected once, found twice"
    for verb in ("evaluate", "translate", "diagnose"):
        contains(answer(verb, *twice), told)
    contains(answer("distill", trained.config, *twice), told)
    line = answer("evaluate", "--hyp", texts[0], texts[0], "--ref", texts[1])
    contains(line, f"{texts[0]}: expected once, found twice")


def test_data_are_looked_for_from_where_the_user_is(
    toy: Toy, answer: Answer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    line = answer("train", toy.config, "--data.folder", "data/mine")
    contains(line, f"{tmp_path / 'data' / 'mine'}: expected prepared data", "from where you are")


def test_prepare_names_the_settings_that_it_does_not_use(
    toy: Toy, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prepare", str(toy.config), "--training.max_steps", "5"]) == 0
    contains(capsys.readouterr().err, "--training.max_steps: not used by nmt prepare")


@linux
def test_a_corpus_that_can_be_read_only_once(toy: Toy, answer: Answer, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, found in ((tmp_path / "pipe", "found a pipe"), (tmp_path, "found a folder")):
        line = answer("prepare", toy.config, "--data.corpus.train", name, toy.folder / "all.yy")
        contains(line, f"{name}: expected a file, which is read more than once", found)


@pytest.mark.parametrize(
    ("fresh", "more"), [([], ""), (["--fresh"], "; without --fresh, the same")]
)
def test_an_interruption_tells_how_to_go_on(
    fresh: list[str],
    more: str,
    toy: Toy,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("nmt.wiring.run_training", interrupted)
    assert main(["train", str(toy.config), *fresh]) == 130
    said = capsys.readouterr().err
    assert said.startswith(f"nmt train: interrupted{more}") and ("fresh" in said) == bool(fresh)


# threads


def test_a_recipe_keeps_the_threads_that_it_was_timed_with(
    toy: Toy, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recommend, "seconds_an_update", lambda *_: 5.0)
    assert main(["recommend", str(toy.prepared), "--minutes", "1", "--threads", "1"]) == 0
    shown = capsys.readouterr().out
    assert yaml.safe_load(shown)["training"]["threads"] == 1 and "as the update was timed" in shown


def test_the_launcher_has_shared_out_the_threads(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmt.synthesis.distill", lambda *_: None)
    arguments = Namespace(config=toy.config, overrides=[], threads=2, device="cpu")
    torch.set_num_threads(1)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    cli.distill(arguments)
    assert torch.get_num_threads() == 1
    monkeypatch.delenv("RANK")
    cli.distill(arguments)
    assert torch.get_num_threads() == 2


def test_a_default_of_zero_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["export", "--help"])
    assert capsys.readouterr().out.count("(default: 0)") == 1
