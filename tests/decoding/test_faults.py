"""What goes wrong in days of translating files: nothing is lost, mixed or passed over silently."""

import errno
import gzip
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from nmt.cli import main
from nmt.decoding import blocks, file_translation, jobs
from nmt.decoding.fields import Whole
from nmt.decoding.jobs import Job
from nmt.errors import UserError
from nmt.translation import unchanged
from tests.patience import Cut
from tests.toy import Answer, Toy, contains, sentences, write_lines

NEW = sentences(14, seed=5)


@pytest.fixture(autouse=True)
def blocks_of_three(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of a few lines are several blocks."""
    monkeypatch.setattr(file_translation, "BLOCK", 3)


def translate(trained: Toy, source: Path, out: Path, *options: object) -> int:
    words = ["translate", trained.run, "-i", source, "-o", out, "--workers", 1, *options]
    return main([str(word) for word in words])


def test_what_is_done_is_kept_and_not_replaced_without_resume(
    trained: Toy, cut: Cut, tmp_path: Path, answer: Answer, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = write_lines(tmp_path / "in", NEW), tmp_path / "out"
    cut(2)
    assert translate(trained, source, out) == 130
    told = "in: 6 lines are done and kept; the same command with --resume goes on after them"
    contains(capsys.readouterr().err, told)
    begun = (tmp_path / ".out.partial").read_bytes()
    refused = answer("translate", trained.run, "-i", source, "-o", out)
    contains(refused, "out: 6 lines are done; --resume goes on after them, or remove ", ".journal")
    assert (tmp_path / ".out.partial").read_bytes() == begun
    (tmp_path / ".out.journal").unlink()
    cut(99)
    assert translate(trained, source, out) == 0
    assert cut.left == 99 - 5


def parts(trained: Toy, source: Path, out: Path, *options: object) -> None:
    for part in ("1/2", "2/2"):
        assert translate(trained, source, out, "--shard", part, *options) == 0


def test_parts_that_do_not_belong_together_are_not_joined(
    trained: Toy, tmp_path: Path, answer: Answer, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = write_lines(tmp_path / "in", NEW), tmp_path / "out.txt"
    parts(trained, source, out)
    assert main(["join", str(out)]) == 0
    whole = out.read_bytes()
    capsys.readouterr()
    # They stay, and so does what is known of them: one can be made anew, and all joined again.
    assert translate(trained, source, out, "--shard", "2/2", "--beam-size", 1) == 0
    contains(
        answer("join", out), "out.2-of-2.txt: expected a part made with beam_size 3", "found 1"
    )
    write_lines(source, ["ba", *NEW[1:]])
    assert translate(trained, source, out, "--shard", "2/2") == 0
    contains(answer("join", out), "out.2-of-2.txt: expected a part of the same input as those")
    assert translate(trained, source, out, "--shard", "1/2", "--resume") == 0  # it is newer
    capsys.readouterr()
    (tmp_path / ".out.2-of-2.txt.journal").rename(tmp_path / "journal")
    contains(answer("join", out), "expected .out.2-of-2.txt.journal beside it", "copy it from")
    (tmp_path / "journal").rename(tmp_path / ".out.2-of-2.txt.journal")
    assert out.read_bytes() == whole
    assert main(["join", str(out)]) == 0
    assert out.read_text().splitlines()[1:] == whole.decode().splitlines()[1:]
    assert not list(tmp_path.glob(".*partial"))


def test_parts_with_blocks_of_few_long_lines_are_the_whole(
    trained: Toy, cut: Cut, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "MOST", 20)
    pair = ["ba be bi bo da de", "fa fe"]
    source = write_lines(tmp_path / "in", ["ba " * 8, "", "bo", *pair * 3, "", "", "ba", ""])
    assert blocks.block_sizes(source, 3) == [1, 3, 2, 2, 3, 2]
    assert translate(trained, source, tmp_path / "whole") == 0
    for part in ("1/3", "2/3", "3/3"):
        cut(1)
        assert translate(trained, source, tmp_path / "out", "--shard", part) == 130
        cut(99)
        assert translate(trained, source, tmp_path / "out", "--shard", part, "--resume") == 0
    assert main(["join", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out").read_bytes() == (tmp_path / "whole").read_bytes()


def test_a_run_that_is_trained_meanwhile_is_refused(trained: Toy, tmp_path: Path) -> None:
    run = trained.copy_of_run(tmp_path / "run")
    job = Job([run])
    shutil.copytree(trained.another_run(tmp_path / "other"), run, dirs_exist_ok=True)
    with pytest.raises(UserError, match="run: has changed since this translation began; `nmt exp"):
        job.load()


def shouting(monkeypatch: pytest.MonkeyPatch, stop: int = 99) -> list[int]:
    """Stands in for a translator, until Ctrl-C; notes its number of threads for each block."""
    threads: list[int] = []

    def load(self: Job, progress: Any = None) -> jobs.Translate:
        def shout(block: list[Any]) -> jobs.TranslatedBlock:
            if len(threads) == stop:
                raise KeyboardInterrupt
            threads.append(torch.get_num_threads())
            found = [unchanged(line.text.upper()) for line in block]
            return jobs.TranslatedBlock(block, found, [[] for _ in block], [])

        return shout

    monkeypatch.setattr(Job, "load", load)
    return threads


def test_what_is_resumed_keeps_the_number_of_threads(
    trained: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = write_lines(tmp_path / "in", NEW), tmp_path / "out"
    used = shouting(monkeypatch, stop=2)
    assert translate(trained, source, out, "--threads", 2) == 130
    assert json.loads((tmp_path / ".out.journal").read_text())["threads"] == 2
    resumed = shouting(monkeypatch)
    assert translate(trained, source, out, "--threads", 1, "--resume") == 0
    assert (used, resumed) == ([2, 2], [2, 2, 2])
    assert torch.get_num_threads() == 1


def test_a_write_protected_output_is_not_replaced(
    trained: Toy, tmp_path: Path, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = write_lines(tmp_path / "in", NEW), tmp_path / "out"
    parts(trained, source, out)
    out.write_text("dear\n")
    monkeypatch.setattr(os, "access", lambda path, mode: path != out)  # root may write anything
    for words in (["translate", trained.run, "-i", source, "-o", out], ["join", out]):
        contains(answer(*words), "out: is write-protected; choose another name")
    assert out.read_text() == "dear\n"


def test_what_is_missing_of_a_folder_is_told(
    trained: Toy, tmp_path: Path, answer: Answer, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    shouting(monkeypatch)
    source, out, scan = tmp_path / "in", tmp_path / "out", os.scandir
    for place in (source / "deep", source / ".git", out):
        place.mkdir(parents=True)
    for name in ("a", "deep/b", "z"):
        write_lines(source / name, NEW[:1])
    (source / "link").symlink_to(tmp_path)
    (out / "deep").write_text("a file\n")
    assert translate(trained, source, out) == 2
    told = capsys.readouterr().err
    contains(told, "in: links to folders are passed over: 1\n", "1 of its files could not be")
    contains(told, "out/deep/b: expected a place to write to (not a directory)")
    assert sorted(path.name for path in out.iterdir()) == ["a", "deep", "z"]

    def closed(place: Any) -> Any:
        if Path(place).name in ("deep", ".git"):
            raise PermissionError(errno.EACCES, "Permission denied", str(place))
        return scan(place)

    monkeypatch.setattr(os, "scandir", closed)
    told = answer("translate", trained.run, "-i", source, "-o", out)
    contains(told, "in/deep: expected a folder that can be read (permission denied)")


def test_a_packed_file_is_known_by_capitals_too(
    trained: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shouting(monkeypatch)
    (tmp_path / "IN.GZ").write_bytes(gzip.compress(b"ba\n"))
    assert translate(trained, tmp_path / "IN.GZ", tmp_path / "OUT.GZ") == 0
    assert gzip.decompress((tmp_path / "OUT.GZ").read_bytes()) == b"BA\n"


def test_lines_that_end_in_carriage_returns_alone_are_refused(
    trained: Toy, tmp_path: Path, answer: Answer
) -> None:
    (tmp_path / "in").write_bytes(b"ba\rbe\rbi\r")
    told = answer("translate", trained.run, "-i", tmp_path / "in", "-o", tmp_path / "out")
    contains(told, "in: expected lines that end in a line feed", "3 carriage returns")


def test_an_error_of_the_disk_is_told_by_the_input_s_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def worn(path: Path) -> Iterator[Iterator[bytes]]:
        def lines() -> Iterator[bytes]:
            yield b"ba\n"
            raise OSError(errno.EIO, "Input/output error")

        yield lines()

    monkeypatch.setattr(file_translation, "reading", worn)
    lines = file_translation._lines_of(tmp_path / "in", str(tmp_path / "in"), Whole(), None)
    assert next(lines).text == "ba"
    with pytest.raises(OSError, match=r"Input/output error: .*in'"):
        next(lines)


def test_an_input_that_changes_meanwhile_is_told(
    trained: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    shouting(monkeypatch)
    source = write_lines(tmp_path / "in", NEW)
    monkeypatch.setattr(file_translation, "count_lines", lambda path: 15)
    assert translate(trained, source, tmp_path / "out") == 2
    contains(capsys.readouterr().err, "in: expected 15 lines as when this began, found 14; it has")
    assert not (tmp_path / "out").exists()
    monkeypatch.undo()
    assert translate(trained, source, tmp_path / "out", "--resume") == 0


def test_a_part_that_could_not_be_made_anew_is_joined_as_it_was(
    trained: Toy, tmp_path: Path
) -> None:
    source, out = write_lines(tmp_path / "in", NEW), tmp_path / "out.txt"
    parts(trained, source, out)
    good = source.read_bytes()
    source.write_bytes(b"\xff\n" + good)
    assert translate(trained, source, out, "--shard", "1/2", "--strict") == 2
    source.write_bytes(good)
    assert main(["join", str(out)]) == 0
    assert out.read_text().count("\n") == len(NEW)


def test_a_project_that_was_copied_keeps_its_outputs(
    trained: Toy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = write_lines(tmp_path / "in", NEW[:2]), tmp_path / "out"
    assert translate(trained, source, out) == 0
    run = shutil.copytree(trained.run, tmp_path / "run")
    for path in (*run.rglob("*"), source, out):  # they arrive now, and were written long ago
        written = 86400 * (2 if path == out else 1)
        os.utime(path, (written, written))
    words = ["translate", run, "-i", source, "-o", out, "--resume"]
    assert main([str(word) for word in words]) == 0
    contains(capsys.readouterr().err, "out: is there already")
