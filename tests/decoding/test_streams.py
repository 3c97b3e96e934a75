"""A long file is read once, written in order, and gone on with where it was cut short."""

import errno
import gzip
import io
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.decoding.blocks import Blocks, count_lines
from nmt.decoding.streams import Growing, growing, settle
from nmt.errors import UserError
from nmt.lines import read_lines, reading


def blocks_of(text: str, size: int) -> Blocks:
    return Blocks(read_lines(io.BytesIO(text.encode()), "in"), size)


@given(st.text(alphabet="ab\n\r"), st.integers(1, 4))
def test_blocks_are_the_lines_in_order(text: str, size: int) -> None:
    blocks = blocks_of(text, size)
    found = list(blocks)
    assert [len(block) for block in found[:-1]] == [size] * (len(found) - 1)
    assert "".join(line.text + line.ending for block in found for line in block) == text
    assert len(blocks.digests) == len(set(blocks.digests)) == len(found)


@given(st.text(alphabet="ab\n", min_size=1), st.integers(1, 4), st.integers(0, 9))
def test_what_is_passed_over_has_the_digest_that_it_had_when_it_was_read(
    text: str, size: int, done: int
) -> None:
    before, after = blocks_of(text, size), blocks_of(text, size)
    read = list(before)
    done = min(done, len(read))
    digest = after.pass_over(sum(len(block) for block in read[:done]))
    assert digest == (before.digests[done - 1] if done else "")
    assert list(after) == read[done:]


def written(path: Path, text: str, size: int = 2, stop: int | None = None, **made: object) -> None:
    """Each line in upper case; is cut short before the block of that number."""
    blocks = blocks_of(text, size)
    with growing([path], made, resume=True) as out:
        out.go_on(blocks)
        for number, block in enumerate(blocks):
            if number == stop:
                raise KeyboardInterrupt
            content = "".join(line.text.upper() + line.ending for line in block)
            out.add([content.encode()], len(block), blocks.digests.popleft())


TEXT = "a\nb\nc\nd\ne\nf\ng"


@pytest.mark.parametrize("name", ["out.txt", "out.txt.gz"])
@pytest.mark.parametrize("stop", [0, 1, 2, 3])
def test_a_file_that_was_cut_short_is_gone_on_with(tmp_path: Path, stop: int, name: str) -> None:
    path = tmp_path / name
    with pytest.raises(KeyboardInterrupt):
        written(path, TEXT, stop=stop)
    assert not path.exists()
    partial = tmp_path / f".{name}.partial"
    assert partial.exists() == (stop > 0)
    if stop:
        with partial.open("ab") as file:
            file.write(b"half a bl")  # what the journal does not know was not whole
    written(path, TEXT)
    with reading(path) as stream:
        assert stream.read().decode() == TEXT.upper()
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_a_file_with_another_making_is_not_gone_on_with(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        written(tmp_path / "out", TEXT, stop=2, beam_size=5)
    with pytest.raises(UserError, match=r"--resume with beam_size 5, .*, found 4; set it back"):
        written(tmp_path / "out", TEXT, beam_size=4)
    with pytest.raises(UserError, match="found another in its first 4 lines"):
        written(tmp_path / "out", f"A{TEXT[1:]}", beam_size=5)
    journal = json.loads((tmp_path / ".out.journal").read_text())
    assert journal["lines"] == 4  # neither has harmed it
    written(tmp_path / "out", TEXT, beam_size=5)
    assert (tmp_path / "out").read_text() == TEXT.upper()


def test_no_journal_tells_of_what_is_not_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []

    def full(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino == (tmp_path / ".out.partial").stat().st_ino)
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="Input/output error"):
        written(tmp_path / "out", TEXT)
    assert synced == [True]  # the content before the journal
    assert not list(tmp_path.iterdir())


def test_what_was_taken_away_meanwhile_is_not_thought_finished(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("of last week\n")

    def taken() -> None:
        with growing([tmp_path / "out"]) as out:
            out.add([b"a\n"], 1, "")
            (tmp_path / ".out.partial").unlink()

    with pytest.raises(UserError, match=r"\.out\.partial: .* found it removed; begin anew"):
        taken()
    assert (tmp_path / "out").read_text() == "of last week\n"


def test_what_is_made_in_one_go_leaves_nothing_when_it_is_cut(tmp_path: Path) -> None:
    def cut() -> None:
        with growing([tmp_path / "out"]) as out:
            out.add([b"a\n"], 1, "")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut()
    assert not list(tmp_path.iterdir())


def test_what_is_done_is_not_replaced_unless_its_journal_is_removed(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        written(tmp_path / "out", TEXT, stop=2)
    begun = (tmp_path / ".out.partial").read_bytes()
    message = r"out: 4 lines are done; --resume goes on after them, or remove .*\.out\.journal"
    with pytest.raises(UserError, match=message), growing([tmp_path / "out"], {}):
        pass
    assert (tmp_path / ".out.partial").read_bytes() == begun
    (tmp_path / ".out.journal").unlink()
    with growing([tmp_path / "out"], {}) as out:
        out.add([b"new\n"], 1, "")
    assert (tmp_path / "out").read_bytes() == b"new\n"
    assert [file.name for file in tmp_path.iterdir()] == ["out"]


def test_what_was_begun_anew_and_killed_at_once_is_not_gone_on_with(tmp_path: Path) -> None:
    """A journal of the first session, and nothing in the file of the second."""
    with pytest.raises(KeyboardInterrupt):
        written(tmp_path / "out", TEXT, stop=2)
    os.truncate(tmp_path / ".out.partial", 0)
    begun = Growing([tmp_path / "out"], {})  # and killed: neither finished nor given up
    for stream in begun.streams:
        stream.close()
    written(tmp_path / "out", TEXT)
    assert (tmp_path / "out").read_text() == TEXT.upper()


def test_a_file_that_is_shorter_than_its_journal_says_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        written(tmp_path / "out", TEXT, stop=2)
    os.truncate(tmp_path / ".out.partial", 1)
    with pytest.raises(UserError, match=r"found no whole \.out\.partial beside it"):
        written(tmp_path / "out", TEXT)


def test_packed_files_are_unpacked_and_counted(tmp_path: Path) -> None:
    for text, count in (("", 0), ("one", 1), ("one\n", 1), ("one\n\ntwo", 3)):
        for name, content in (("a", text.encode()), ("a.gz", gzip.compress(text.encode()))):
            (tmp_path / name).write_bytes(content)
            assert count_lines(tmp_path / name) == count
            with reading(tmp_path / name) as stream:
                assert stream.read() == text.encode()


@pytest.mark.parametrize("content", [b"plain text", gzip.compress(b"text" * 99, mtime=0)[:-9]])
def test_what_is_named_gzip_must_be_that(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "in.gz").write_bytes(content)
    with (
        pytest.raises(UserError, match=r"in\.gz: expected a whole gzip file"),
        reading(tmp_path / "in.gz") as stream,
    ):
        stream.read()


def test_an_output_that_cannot_be_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(UserError, match=r"missing/out: expected a place to write to"),
        growing([tmp_path / "missing/out"], {}),
    ):
        pass


def test_an_error_of_another_file_is_not_told_as_the_input_s(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("a")
    with pytest.raises(FileNotFoundError, match="elsewhere"), reading(tmp_path / "in"):
        (tmp_path / "elsewhere").read_text()


def test_a_full_disk_is_told_by_the_output_s_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: .*out"):
        written(tmp_path / "out", TEXT)


def test_files_that_grow_together_are_cut_and_gone_on_with_together(tmp_path: Path) -> None:
    def grow(stop: int) -> None:
        blocks = blocks_of(TEXT, 2)
        with growing([tmp_path / "a", tmp_path / "b"], {}, resume=True) as out:
            out.go_on(blocks)
            for number, block in enumerate(blocks):
                if number == stop:
                    raise KeyboardInterrupt
                out.tally["lines"] += len(block)
                out.add([b"a" * len(block), b"b"], len(block), blocks.digests.popleft())
            assert out.tally["lines"] == 7  # of both sessions

    with pytest.raises(KeyboardInterrupt):
        grow(3)
    with (tmp_path / ".b.partial").open("ab") as file:
        file.write(b"half")
    grow(9)
    assert (tmp_path / "a").read_bytes() == b"a" * 7
    assert (tmp_path / "b").read_bytes() == b"b" * 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_only_a_file_is_written(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, what in (("", "a folder"), ("pipe", "a device or a pipe")):
        with (
            pytest.raises(UserError, match=f"expected the name of a file to write, found {what}"),
            growing([tmp_path / name]),
        ):
            pass


def test_a_packed_file_of_nothing_can_be_unpacked(tmp_path: Path) -> None:
    with growing([tmp_path / "out.gz"], None):
        pass
    assert gzip.decompress((tmp_path / "out.gz").read_bytes()) == b""
    assert (tmp_path / "out.gz").stat().st_size > 0


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "deep" / "file")
    written(tmp_path / "link", TEXT)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "deep" / "file").read_text() == TEXT.upper()


def test_two_processes_do_not_write_one_file(tmp_path: Path) -> None:
    with growing([tmp_path / "out"], {}) as first:
        first.add([b"one\n"], 1, "")
        for resume in (False, True):
            with (
                pytest.raises(UserError, match="out: another process is writing it"),
                growing([tmp_path / "out"], {}, resume=resume),
            ):
                pass
        first.add([b"two\n"], 1, "")
    assert (tmp_path / "out").read_text() == "one\ntwo\n"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("renamed", [0, 1, 2])
def test_a_kill_between_two_names_loses_nothing(
    renamed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths, replace = [tmp_path / "out", tmp_path / "ill"], Path.replace
    left = iter(range(renamed))

    def killed(path: Path, *target: Path) -> Path:
        ours = path.name in (".out.partial", ".ill.partial", ".out.journal")
        if ours and next(left, None) is None:
            raise KeyboardInterrupt
        return replace(path, *target)

    def grow() -> None:
        with growing(paths, {}) as out:
            out.add([b"one\n", b"1\n"], 1, "")
            monkeypatch.setattr(Path, "replace", killed)
            monkeypatch.setattr(Path, "unlink", lambda path, missing_ok=False: killed(path))

    with pytest.raises(KeyboardInterrupt):
        grow()
    monkeypatch.undo()
    settle(paths)
    assert [path.read_text() for path in paths] == ["one\n", "1\n"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ill", "out"]


class Full(io.BytesIO):
    """A stream onto a full disk: what was not written once fails again when it is closed."""

    def flush(self) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def close(self) -> None:
        super().close()
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_disk_that_stays_full_is_told_by_the_output_s_name(tmp_path: Path) -> None:
    def grow() -> None:
        with growing([tmp_path / "out"], {}) as out:
            assert isinstance(out, Growing)
            out.streams[0].close()
            out.streams = [Full()]
            out.add([b"more than fits\n"], 1, "")

    with pytest.raises(OSError, match=r"No space left on device: .*out"):
        grow()
    assert not list(tmp_path.iterdir())


def test_other_files_than_were_begun_are_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        written(tmp_path / "out", TEXT, stop=2)
    begun = (tmp_path / ".out.partial").read_bytes()
    with (
        pytest.raises(
            UserError, match=r"ill: expected --resume with .* found no whole \.ill\.partial"
        ),
        growing([tmp_path / "out", tmp_path / "ill"], {}, resume=True),
    ):
        pass
    assert (tmp_path / ".out.partial").read_bytes() == begun
