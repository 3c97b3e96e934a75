"""Files of any kind and length through `nmt translate`: no line is lost, moved or half written."""

import contextlib
import gzip
import io
import json
import os
import shutil
import subprocess
import sys
import threading
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from nmt import processes
from nmt.cli import main
from nmt.decoding import file_translation, jobs
from nmt.errors import UserError
from nmt.lines import Line
from nmt.translation import unchanged
from tests.nasty import TEXTS
from tests.patience import Cut
from tests.toy import Answer, Toy, contains, sentences, write_lines

NEW = sentences(40, seed=7)


@pytest.fixture
def blocks_of_three(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of a few lines are several blocks."""
    monkeypatch.setattr(file_translation, "BLOCK", 3)


def translate(trained: Toy, source: Path, out: Path, *options: object) -> int:
    words = ["translate", trained.run, "-i", source, "-o", out, "--workers", 1, *options]
    return main([str(word) for word in words])


@pytest.mark.usefixtures("blocks_of_three")
@pytest.mark.parametrize(
    ("options", "name"), [([], "out.gz"), (["--format", "jsonl", "--n-best", "2"], "out")]
)
def test_cut_short_and_resumed_is_as_if_never_cut(
    options: list[str],
    name: str,
    trained: Toy,
    cut: Cut,
    tmp_path: Path,
) -> None:
    source = write_lines(tmp_path / "in", [*NEW[:7], "", *NEW[7:13]])
    assert translate(trained, source, tmp_path / f"whole-{name}", *options) == 0
    for blocks in (0, 2, 1, 1):
        cut(blocks)
        assert translate(trained, source, tmp_path / name, "--resume", *options) == 130
        assert not (tmp_path / name).exists()
    cut(99)
    assert translate(trained, source, tmp_path / name, "--resume", *options) == 0
    assert (tmp_path / name).read_bytes() == (tmp_path / f"whole-{name}").read_bytes()
    assert not list(tmp_path.glob(".*"))


@pytest.mark.usefixtures("blocks_of_three")
def test_what_is_whole_is_left_but_not_what_was_begun_anew_since(
    trained: Toy,
    cut: Cut,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = write_lines(tmp_path / "in", NEW[:6])
    assert translate(trained, source, tmp_path / "out") == 0
    old = (tmp_path / "out").read_bytes()
    assert translate(trained, source, tmp_path / "out", "--resume") == 0
    assert "out: is there already" in capsys.readouterr().err
    (tmp_path / ".out.partial").touch()  # begun anew, and killed within its first block
    assert translate(trained, source, tmp_path / "out", "--resume") == 0
    assert "is there already" not in capsys.readouterr().err
    assert not (tmp_path / ".out.partial").exists()
    write_lines(source, NEW[6:12])
    cut(1)
    assert translate(trained, source, tmp_path / "out") == 130
    assert (tmp_path / "out").read_bytes() == old
    cut(99)
    assert translate(trained, source, tmp_path / "out", "--resume") == 0
    assert translate(trained, source, tmp_path / "wanted") == 0
    assert (tmp_path / "out").read_bytes() == (tmp_path / "wanted").read_bytes() != old


@pytest.mark.usefixtures("blocks_of_three")
def test_what_a_link_leads_to_is_gone_on_with(trained: Toy, cut: Cut, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "in", NEW[:6])
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/file").write_text("older\n")
    (tmp_path / "out").symlink_to(tmp_path / "deep/file")
    cut(1)
    assert translate(trained, source, tmp_path / "out") == 130
    cut(99)
    assert translate(trained, source, tmp_path / "out", "--resume") == 0
    assert len((tmp_path / "deep/file").read_text().splitlines()) == 6


@pytest.mark.usefixtures("blocks_of_three")
def test_a_bundle_with_a_shortlist_does_not_go_on_with_what_its_run_began(
    trained: Toy,
    cut: Cut,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bundle = tmp_path / "bundle"
    assert main(["export", str(trained.run), "--shortlist", "5", "-o", str(bundle)]) == 0
    source = write_lines(tmp_path / "in", NEW[:6])
    cut(1)
    assert translate(trained, source, tmp_path / "out") == 130
    words = ["translate", str(bundle), "-i", str(source), "-o", str(tmp_path / "out"), "--resume"]
    assert main(words) == 2
    assert "expected --resume with shortlists [None], " in capsys.readouterr().err


@pytest.mark.usefixtures("blocks_of_three")
def test_resume_with_other_options_or_another_run_is_refused(
    trained: Toy,
    cut: Cut,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = write_lines(tmp_path / "in", NEW[:9])
    cut(2)
    translate(trained, source, tmp_path / "out")
    cut(99)
    capsys.readouterr()
    assert translate(trained, source, tmp_path / "out", "--resume", "--beam-size", 1) == 2
    assert "--resume with beam_size 3, " in capsys.readouterr().err
    other = replace(trained, folder=tmp_path)
    trained.another_run(other.run)
    assert translate(other, source, tmp_path / "out", "--resume") == 2
    assert "--resume with weights " in capsys.readouterr().err
    write_lines(source, NEW[1:9])
    assert translate(trained, source, tmp_path / "out", "--resume") == 2
    assert "found another in its first 6 lines" in capsys.readouterr().err


def test_bytes_that_are_not_utf8_are_replaced_and_counted(
    trained: Toy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = f"{NEW[0]}\n{NEW[1]}\n".encode() + b"\xff\xfe\n" + NEW[2].encode() + b"\x80\n"
    (tmp_path / "in").write_bytes(content)
    assert translate(trained, tmp_path / "in", tmp_path / "out") == 0
    assert (tmp_path / "out").read_bytes().count(b"\n") == 4
    assert "2 lines are not UTF-8, the first is line 3" in capsys.readouterr().err
    assert translate(trained, tmp_path / "in", tmp_path / "strict", "--strict") == 2
    assert "line 3: expected UTF-8" in capsys.readouterr().err
    assert not (tmp_path / "strict").exists()


def test_a_column_and_a_key_are_translated_in_their_place(trained: Toy, tmp_path: Path) -> None:
    plain = write_lines(tmp_path / "in", NEW[:3])
    translate(trained, plain, tmp_path / "out")
    wanted = (tmp_path / "out").read_text().splitlines()
    table = write_lines(tmp_path / "in.tsv", [f"{n}\t{line}" for n, line in enumerate(NEW[:3])])
    assert translate(trained, table, tmp_path / "out.tsv", "--field", 2) == 0
    rows = [line.split("\t") for line in (tmp_path / "out.tsv").read_text().splitlines()]
    expected = [list(row) for row in zip("012", NEW[:3], wanted, strict=True)]
    assert rows == expected
    packed = tmp_path / "in.jsonl.gz"
    packed.write_bytes(gzip.compress("".join(f'{{"t": "{line}"}}\n' for line in NEW[:3]).encode()))
    assert translate(trained, packed, tmp_path / "out.jsonl", "--field", "t") == 0
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [one["translation"] for one in found] == wanted


def test_a_pipe_is_read_but_once(trained: Toy, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "in")
    feeding = threading.Thread(
        target=lambda: (tmp_path / "in").write_text("".join(f"{line}\n" for line in NEW[:3]))
    )
    feeding.start()
    assert translate(trained, tmp_path / "in", tmp_path / "out") == 0
    feeding.join()
    assert (tmp_path / "out").read_text().count("\n") == 3


@pytest.mark.parametrize("newer", ["in", "run/model.safetensors"])
def test_an_output_older_than_what_it_is_made_of_is_made_again(
    newer: str, trained: Toy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_lines(tmp_path / "in", NEW[:2])
    shutil.copytree(trained.run, tmp_path / "run")
    (tmp_path / "out").write_text("of another input\n")
    # What is put in the place of an older file may have been written long before it.
    written = (tmp_path / "run/model.safetensors").stat().st_ctime + 100
    for name, when in (("out", written), (newer, written + 100)):
        os.utime(tmp_path / name, (when, when))
    words = ["-i", source, "-o", tmp_path / "out", "--workers", 1, "--resume"]
    assert main(["translate", str(tmp_path / "run"), *map(str, words)]) == 0
    assert f"is older than {tmp_path / newer}" in capsys.readouterr().err
    assert (tmp_path / "out").read_text().count("\n") == 2


def test_hidden_files_of_a_folder_are_passed_over(trained: Toy, tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    (source / ".git").mkdir(parents=True)
    write_lines(source / "a.txt", NEW[:2])
    for name in (".DS_Store", ".git/config"):
        (source / name).write_bytes(b"\0\1")
    assert translate(trained, source, out) == 0
    assert [path.name for path in out.rglob("*")] == ["a.txt"]


def test_the_report_has_a_file_of_its_own(
    trained: Toy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_lines(tmp_path / "in", NEW[:2])
    assert translate(trained, source, tmp_path / "out", "--health", tmp_path / "out") == 2
    assert "--health: expected another file than -o" in capsys.readouterr().err


def test_all_files_of_a_folder_are_translated_each_to_its_place(
    trained: Toy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    (source / "deep").mkdir(parents=True)
    plain = write_lines(source / "a.txt", NEW[:3])
    (source / "deep/b.txt.gz").write_bytes(gzip.compress(plain.read_bytes()))
    (source / "empty").write_bytes(b"")
    assert translate(trained, source, out) == 0
    names = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    assert names == ["a.txt", "deep/b.txt.gz", "empty"]
    assert gzip.decompress((out / "deep/b.txt.gz").read_bytes()) == (out / "a.txt").read_bytes()
    assert (out / "a.txt").read_text().count("\n") == 3
    (out / "a.txt").write_text("there already\n")
    (out / "deep/b.txt.gz").unlink()
    capsys.readouterr()
    assert translate(trained, source, out, "--resume") == 0
    assert "a.txt: is there already" in capsys.readouterr().err
    assert (out / "a.txt").read_text() == "there already\n" and (out / "deep/b.txt.gz").exists()


@pytest.mark.usefixtures("blocks_of_three")
@pytest.mark.parametrize(
    ("count", "name"),
    [(3, "out.txt"), (3, "out.txt.gz"), (3, "out"), (1, "out.txt.gz"), (7, "out.txt.gz")],
)
def test_parts_that_are_joined_are_the_whole(
    count: int,
    name: str,
    trained: Toy,
    cut: Cut,
    tmp_path: Path,
) -> None:
    source = write_lines(tmp_path / "in", NEW[:14])
    (tmp_path / "whole").mkdir()
    assert translate(trained, source, tmp_path / "whole" / name) == 0
    for number in range(1, count + 1):
        cut(1)  # the larger parts are cut short and resumed
        options = ["--shard", f"{number}/{count}", "--resume"]
        if translate(trained, source, tmp_path / name, *options) != 0:
            cut(99)
            assert main(["join", str(tmp_path / name)]) == 2
            assert translate(trained, source, tmp_path / name, *options) == 0
    assert main(["join", str(tmp_path / name)]) == 0
    assert content_of(tmp_path / name) == content_of(tmp_path / "whole" / name)


def test_processes_share_out_a_file(trained: Toy, tmp_path: Path) -> None:
    name = "out.gz"
    source = write_lines(tmp_path / "in", (NEW * 60)[: 2 * file_translation.BLOCK + 7])
    (tmp_path / "out.1-of-3.txt").write_text("left by others")
    words = ["translate", trained.run, "-i", source, "-o", tmp_path / name, "--beam-size", 1]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    torchrun += ["--nproc-per-node", "2", "-m", "nmt.cli", *map(str, words)]
    done = subprocess.run(torchrun, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and f"joined {tmp_path / name}: 2 parts" in done.stderr
    assert translate(trained, source, tmp_path / f"whole-{name}", "--beam-size", 1) == 0
    assert content_of(tmp_path / name) == content_of(tmp_path / f"whole-{name}")
    assert {path.name for path in tmp_path.iterdir()} == {
        "in",
        "out.1-of-3.txt",
        name,
        f"whole-{name}",
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-i", "in"], "share out one file: name it by -i, its output by -o"),
        (["-i", ".", "-o", "out"], "share out one file"),
        (["-i", "in", "-o", "out", "--shard", "1/2"], "--shard: torchrun's processes share out"),
        (["-i", "in.po", "-o", "out.po"], "in.po is a document, translated as a whole: leave"),
    ],
)
def test_what_processes_cannot_share_out_is_refused(
    options: list[str], message: str, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setattr(processes, "process_group", lambda silence: contextlib.nullcontext())
    assert message in answer("translate", "run", *options)


def content_of(path: Path) -> bytes:
    content = path.read_bytes()
    return gzip.decompress(content) if path.suffix == ".gz" else content


@pytest.mark.parametrize(
    ("lines", "free", "workers"), [(10, 4e9, [2]), (6, 4e9, []), (10, 1.9e9, []), (10, 0.5e9, [])]
)
def test_a_long_file_is_shared_by_as_many_processes_as_threads_and_memory_allow(
    lines: int,
    free: float,
    workers: list[int],
    trained: Toy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []

    def here(load: Any, blocks: Any, workers: int, threads: int) -> Any:
        asked.append(workers)
        assert threads == 2 // workers
        return map(load(), blocks)

    monkeypatch.setattr(file_translation, "BLOCK", 2)
    monkeypatch.setattr(file_translation, "map_in_processes", here)
    monkeypatch.setattr(file_translation, "free", lambda device: free)
    source = write_lines(tmp_path / "in", NEW[:lines])
    words = ["translate", trained.run, "-i", source, "-o", tmp_path / "out", "--threads", 2]
    assert main([str(word) for word in words]) == 0
    assert asked == workers


def test_standard_input_is_translated_again_for_nobody_knows_its_age(
    trained: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["translate", str(trained.run), "-o", str(tmp_path / "out"), "--resume"]
    for count in (2, 3):
        text = "".join(f"{line}\n" for line in NEW[:count])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        assert main(words) == 0
        assert (tmp_path / "out").read_text().count("\n") == count


@pytest.mark.usefixtures("blocks_of_three")
def test_wrong_bytes_are_counted_in_the_shard_alone(
    trained: Toy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "in"
    source.write_bytes(b"\xff\n" * 3 + b"ba\n" * 2 + b"\xfe\n")
    told = []
    for part in ("1/2", "2/2"):
        assert translate(trained, source, tmp_path / "out", "--shard", part) == 0
        told.append(capsys.readouterr().err)
    assert "3 lines are not UTF-8, the first is line 1:" in told[0]
    assert "1 lines are not UTF-8, the first is line 6:" in told[1]


@pytest.mark.usefixtures("blocks_of_three")
def test_a_part_that_is_being_made_anew_is_not_joined(
    trained: Toy,
    cut: Cut,
    tmp_path: Path,
    answer: Answer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = write_lines(tmp_path / "in", NEW[:12])
    for part in ("1/2", "2/2"):
        assert translate(trained, source, tmp_path / "out", "--shard", part) == 0
    cut(1)
    assert translate(trained, source, tmp_path / "out", "--shard", "1/2") == 130
    capsys.readouterr()
    contains(answer("join", tmp_path / "out"), "out.1-of-2: is being made anew")
    assert not (tmp_path / "out").exists()


def test_the_current_folder_is_no_output(
    trained: Toy, answer: Answer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_lines(tmp_path / "in", NEW[:1])
    monkeypatch.chdir(tmp_path)
    words = ["translate", trained.run, "-i", source, "-o", "."]
    contains(answer(*words, "--resume"), "expected the name of a file to write, found a folder")
    contains(answer(*words, "--shard", "1/2"), "--shard: expected one file")
    contains(answer("join", "."), "expected the name of the whole file, found a folder")


def test_a_folder_above_the_input_leads_back_to_no_input(
    trained: Toy, answer: Answer, tmp_path: Path
) -> None:
    for name in ("in", "in/in"):
        (tmp_path / name).mkdir()
        write_lines(tmp_path / name / "text", ["bae dei"])
    told = answer("translate", trained.run, "-i", tmp_path / "in", "-o", tmp_path)
    contains(told, f"{tmp_path / 'in' / 'text'}: expected a place outside {tmp_path / 'in'}")
    assert (tmp_path / "in" / "text").read_text() == "bae dei\n"


def test_a_wrong_setting_is_told_once_for_a_folder(
    trained: Toy, answer: Answer, tmp_path: Path
) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for name in ("a", "b"):
        write_lines(source / name, NEW[:1])
    told = answer("translate", trained.run, "-i", source, "-o", tmp_path / "out", "--beam-size", 0)
    contains(told, "beam_size", "found 0")
    assert "could not be translated" not in told


def test_parts_of_two_divisions_or_a_missing_one_are_not_joined(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = tmp_path / "out.txt"
    for there, message in (
        ([], "found none"),
        (["1-of-3", "3-of-3"], "out.2-of-3.txt: expected this part"),
        (["2-of-3", "1-of-2"], "found parts of 2, 3"),
    ):
        for name in there:
            (tmp_path / f"out.{name}.txt").write_text("a\n")
        assert main(["join", str(whole)]) == 2
        assert message in capsys.readouterr().err
        assert not whole.exists()


def shouted(self: jobs.Job, progress: Any = None) -> jobs.Translate:
    """Stands in for a translator: upper case."""
    return lambda block: jobs.TranslatedBlock(
        block, [unchanged(line.text.upper()) for line in block], [[] for _ in block], []
    )


def lines_survive(content: bytes, folder: Path) -> None:
    (folder / "in").write_bytes(content)
    options = {"input": folder / "in", "output": folder / "out", "runs": [], "workers": 1}
    more = {
        "field": None,
        "format": "text",
        "strict": False,
        "resume": False,
        "shard": None,
        "health": None,
    }
    file_translation.translate_files(Namespace(**options, **more), lambda line: None)
    found = (folder / "out").read_bytes()
    assert found.count(b"\n") == content.count(b"\n")
    text = content.decode("utf-8", errors="replace").removeprefix("\ufeff")
    endings = [line.endswith("\r") for line in text.split("\n")]
    assert [line.endswith("\r") for line in found.decode().split("\n")] == endings
    assert found.decode() == text.upper()


@pytest.mark.parametrize(
    "examples", [150, pytest.param(10_000, marks=pytest.mark.slow)], ids=["few", "many"]
)
def test_no_byte_loses_a_line(
    examples: int, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs.Job, "load", shouted)
    monkeypatch.setattr(file_translation, "BLOCK", 2)
    folder = tmp_path_factory.mktemp("fuzz")

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(TEXTS)
    def survive(content: bytes) -> None:
        lines_survive(content, folder)

    survive()


def test_an_input_is_never_written_over(tmp_path: Path, trained: Toy, answer: Answer) -> None:
    write_lines(tmp_path / "in.txt", NEW)
    before = (tmp_path / "in.txt").read_bytes()
    place = ["-o", tmp_path / "in.txt"]
    # The parts of a sharded output have other names, until they are joined.
    for words in (place, [*place, "--shard", "1/2"], ["-o", "o", "--health", tmp_path / "in.txt"]):
        told = answer("translate", trained.run, "-i", tmp_path / "in.txt", *words)
        contains(told, "in.txt: expected another file than the input, which would be lost")
    assert (tmp_path / "in.txt").read_bytes() == before


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b'<?xml version="1.0"?>\n<a>x</a>\n', "looks like XML or HTML"),
        (b"\xef\xbb\xbf\n<!DOCTYPE html>\n", "looks like XML or HTML"),
        (b"\x89PNG\x00\n", "looks like a binary file"),
        (b"<htmlish> is a word\n", None),
        (b"", None),
    ],
)
def test_what_is_no_lines_of_text_is_told(
    content: bytes,
    told: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    trained: Toy,
) -> None:
    monkeypatch.setattr(jobs.Job, "load", shouted)
    (tmp_path / "in.html").write_bytes(content)
    words = ["translate", trained.run, "-i", tmp_path / "in.html", "-o", tmp_path / "out"]
    assert main(list(map(str, words))) == 0
    err = capsys.readouterr().err
    assert told in err if told else "looks like" not in err
    assert (tmp_path / "out").read_bytes().count(b"\n") == content.count(b"\n")


def test_a_line_of_a_megabyte_is_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs.Job, "load", shouted)
    lines_survive(b"a " * 500_000 + b"\nb\n", tmp_path)


def test_a_line_without_its_field_is_named_and_what_was_done_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs.Job, "load", shouted)
    monkeypatch.setattr(file_translation, "BLOCK", 1)
    (tmp_path / "in").write_text("".join(f"{n}\ta\n" for n in range(20)) + "short\n")
    options = {"input": tmp_path / "in", "output": tmp_path / "out", "runs": [], "workers": 1}
    more = {"field": "2", "format": "text", "strict": False, "resume": True, "shard": None}
    more["health"] = None
    with pytest.raises(UserError, match="in, line 21: expected a column 2"):
        file_translation.translate_files(Namespace(**options, **more), lambda line: None)
    assert not (tmp_path / "out").exists() and (tmp_path / ".out.journal").exists()
    text = (tmp_path / "in").read_text().replace("short", "20\ta")
    (tmp_path / "in").write_text(text)
    file_translation.translate_files(Namespace(**options, **more), lambda line: None)
    assert (tmp_path / "out").read_text() == "".join(f"{n}\ta\tA\n" for n in range(21))


@pytest.fixture
def looping(monkeypatch: pytest.MonkeyPatch) -> None:
    """A translator that loops wherever the source says so."""

    def job(self: jobs.Job, progress: Any = None) -> jobs.Translate:
        def translate(block: list[Line]) -> jobs.TranslatedBlock:
            reasons = [["loop"] if "loop" in line.text else [] for line in block]
            return jobs.TranslatedBlock(
                block, [unchanged(line.text) for line in block], reasons, []
            )

        return translate

    monkeypatch.setattr(jobs.Job, "load", job)


@pytest.mark.usefixtures("looping")
def test_what_looks_wrong_is_counted_and_listed_also_of_a_run_that_was_cut_short(
    trained: Toy,
    cut: Cut,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(file_translation, "BLOCK", 2)
    source = write_lines(tmp_path / "in", ["loop", "b", "c", "d", "loop", "loop", "g"])
    listed = tmp_path / "ill.jsonl"
    cut(2)
    assert translate(trained, source, tmp_path / "out", "--resume", "--health", listed) == 130
    assert not listed.exists()
    cut(99)
    assert translate(trained, source, tmp_path / "out", "--resume", "--health", listed) == 0
    found = [json.loads(line) for line in listed.read_text().splitlines()]
    assert found == [{"line": line, "reasons": ["loop"]} for line in (1, 5, 6)]
    assert "in: 3 of 7 translations look wrong: loop 3\n" in capsys.readouterr().err
    for shard in ("1/2", "2/2"):
        options = ("--shard", shard, "--health", listed, "--resume")
        assert translate(trained, source, tmp_path / "parts", *options) == 0
    assert main(["join", str(tmp_path / "ill.jsonl")]) == 0
    assert [json.loads(line) for line in listed.read_text().splitlines()] == found
    (tmp_path / "texts").mkdir()
    write_lines(tmp_path / "texts/one", ["a", "loop"])
    assert translate(trained, tmp_path / "texts", tmp_path / "o", "--health", tmp_path / "ill") == 0
    assert (tmp_path / "ill/one.jsonl").read_text() == '{"line": 2, "reasons": ["loop"]}\n'
