"""Input and output of any length: read once, written in order, complete or resumed."""

import contextlib
import gzip
import hashlib
import os
import sys
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from nmt.errors import UserError
from nmt.files import errors_named, expect_closed, lock, read_json, rename, write_json
from nmt.lines import PACKED, Line, reading


def count_lines(path: Path) -> int:
    """The number of lines of a file, so that progress can show a total."""
    with reading(path) as stream:
        count, last = 0, b"\n"
        while chunk := stream.read(1 << 20):
            count += chunk.count(b"\n")
            last = chunk[-1:]
    return count + (last != b"\n")


class Blocks:
    """A file's lines in blocks, with a digest of everything read up to the end of each.

    Args:
        lines: the lines of the file.
        size: number of lines of a block; the last block may be shorter.
    """

    def __init__(self, lines: Iterable[Line], size: int) -> None:
        self.lines = iter(lines)
        self.size = size
        self.left = sys.maxsize  # maximum number of blocks still to read
        self.first = 0  # number of lines before the shard
        self.digests: deque[str] = deque()  # of blocks that are read but not yet written
        self._read = hashlib.sha256()

    def __iter__(self) -> Iterator[list[Line]]:
        while self.left and (block := list(islice(self.lines, self.size))):
            self.left -= 1
            for line in block:
                self._read.update(f"{line.whole}{line.ending}".encode())
            self.digests.append(self._read.hexdigest())
            yield block

    def pass_over(self, count: int) -> str:
        """Skips the blocks of the next `count` lines; returns the digest of all read so far."""
        for _ in range(-(-count // self.size)):
            next(iter(self), None)
        digest = self.digests[-1] if self.digests else ""
        self.digests.clear()
        return digest


def place_of(path: Path) -> Path:
    """Resolves a symbolic link, so that its target is replaced and not the link itself; also `.`,
    which has no name.
    """
    return path.resolve() if path.is_symlink() or not path.name else path


WHOLE = "whole"
"""Set in a journal once its files are complete and only have to be renamed."""


def partial_of(path: Path) -> Path:
    """The partial file, which holds the content of a file while it grows."""
    return path.with_name(f".{path.name}.partial")


def journal_of(path: Path) -> Path:
    """The journal, which records how much of a growing file is valid."""
    return path.with_name(f".{path.name}.journal")


def settle(paths: Sequence[Path]) -> None:
    """Renames complete files whose process was killed before it could do so."""
    places = list(map(place_of, paths))
    journal = journal_of(places[0])
    if journal.exists() and read_json(journal).get(WHOLE):
        for path in places:
            with contextlib.suppress(FileNotFoundError):  # renamed already
                rename(partial_of(path), path)
        journal.unlink(missing_ok=True)


def _open_alone(path: Path, partial: Path) -> BinaryIO:
    """Opens the partial file to append to it, locked against other processes."""
    try:
        stream = partial.open("ab")
    except OSError as error:
        reason = (error.strerror or "cannot be written").lower()
        raise UserError(f"{path}: expected a place to write to ({reason})") from None
    try:
        lock(stream)
    except BlockingIOError:
        stream.close()
        raise UserError(f"{path}: another process is writing it; wait for it or end it") from None
    except OSError:  # some file systems have no locks
        pass
    if sys.platform != "win32":  # where an open file cannot be renamed
        opened = os.fstat(stream.fileno())
        if not partial.exists() or not os.path.samestat(opened, partial.stat()):
            stream.close()  # the other process has just finished
            raise UserError(f"{path}: another process has just written it; run again")
    return stream


class Growing:
    """Files that grow together, in order, and get their final names only once complete.

    Until then, each file's content is in `.NAME.partial`; `.NAME.journal` of the first file records
    how much of each is valid, a digest of the input, and the settings. After an interruption all of
    them are kept for `--resume`.

    Args:
        paths: the files; those that end in `.gz` are compressed.
        made_with: the settings that the content depends on, by name; None for files made in one go.
        resume: continue existing partial files.

    Raises:
        UserError: a file cannot be written, or was begun with other settings.
    """

    def __init__(
        self, paths: Sequence[Path], made_with: Mapping[str, Any] | None, *, resume: bool = False
    ) -> None:
        for path in paths:
            if path.exists() and not path.is_file():
                what = "a folder" if path.is_dir() else "a device or a pipe (-o may be left out)"
                raise UserError(f"{path}: expected the name of a file to write, found {what}")
            expect_closed(path)
        self.paths = list(map(place_of, paths))
        self.partials = list(map(partial_of, self.paths))
        self.journal = journal_of(self.paths[0])
        self.made_with = None if made_with is None else dict(made_with)
        self.lines, self.sizes, self.digest = 0, [0] * len(paths), ""
        self.tally: Counter[str] = Counter()
        self.streams: list[BinaryIO] = []
        try:
            for path, partial in zip(self.paths, self.partials, strict=True):
                self.streams.append(_open_alone(path, partial))
            if resume and self.journal.exists():
                self._read_journal(self.made_with or {})
            else:  # the content that the journal describes is about to be truncated
                with contextlib.suppress(OSError):
                    self.journal.unlink()
        except BaseException:
            for stream, partial in zip(self.streams, self.partials, strict=False):
                begun = partial.stat().st_size > 0
                with _closed(stream):
                    if not begun:
                        partial.unlink(missing_ok=True)
            raise
        for stream, size in zip(self.streams, self.sizes, strict=True):
            stream.truncate(size)
            stream.seek(size)

    def _read_journal(self, made_with: Mapping[str, Any]) -> None:
        found = read_json(self.journal)
        for key, now in made_with.items():
            was = found["made_with"].get(key)
            if was != now:
                raise UserError(
                    f"{self.paths[0]}: expected --resume with {key} {was!r}, with which it was "
                    f"begun, found {now!r}; set it back, or leave --resume out to begin anew"
                )
        least = dict(zip(self.partials, found["bytes"], strict=False))
        for path, partial in zip(self.paths, self.partials, strict=True):
            if partial not in least or partial.stat().st_size < least[partial]:
                raise UserError(
                    f"{path}: expected --resume with what was begun, found no whole {partial.name} "
                    "beside it; name the files as before, or leave --resume out to begin anew"
                )
        self.lines, self.sizes, self.digest = found["lines"], found["bytes"], found["digest"]
        self.tally.update(found["tally"])

    def go_on(self, blocks: Blocks) -> None:
        """Skips the input of the existing output.

        Raises:
            UserError: the existing output was made from another input.
        """
        if self.lines and blocks.pass_over(self.lines) != self.digest:
            raise UserError(
                f"{self.paths[0]}: expected --resume with the same input, found another in its "
                f"first {self.lines:,} lines; leave --resume out to begin anew"
            )

    def add(self, contents: Sequence[bytes], lines: int, digest: str) -> None:
        """Appends a block's output to each file and updates the journal: the block is now safe."""
        for number, (path, content) in enumerate(zip(self.paths, contents, strict=False)):
            packed = gzip.compress(content, mtime=0) if path.suffix == PACKED else content
            self.sizes[number] += len(packed)
            with errors_named(path):
                self.streams[number].write(packed)
                self.streams[number].flush()
                # The journal must not reach the disk before the content that it describes.
                os.fsync(self.streams[number].fileno())
        self.lines += lines
        if self.made_with is not None:
            whole = {"lines": self.lines, "bytes": self.sizes, "digest": digest}
            write_json(self.journal, {"made_with": self.made_with, "tally": self.tally, **whole})

    def finish(self) -> None:
        """Gives the complete files their final names."""
        for stream, path in zip(self.streams, self.paths, strict=True):
            with errors_named(path):
                if path.suffix == PACKED and not stream.tell():  # zero bytes are not valid gzip
                    stream.write(gzip.compress(b"", mtime=0))
                stream.flush()
                os.fsync(stream.fileno())
        if self.journal.exists():
            write_json(self.journal, {**read_json(self.journal), WHOLE: True})
        for stream, partial, path in zip(self.streams, self.partials, self.paths, strict=True):
            own = os.fstat(stream.fileno())
            with _closed(stream):
                try:
                    rename(partial, path)
                except FileNotFoundError:  # is it that another process has renamed it?
                    if not (path.exists() and os.path.samestat(own, path.stat())):
                        raise UserError(
                            f"{partial}: expected what was written until now, found it removed; "
                            "begin anew"
                        ) from None
        self.journal.unlink(missing_ok=True)

    def give_up(self) -> None:
        """Closes incomplete files and removes those that cannot be resumed."""
        for stream, partial in zip(self.streams, self.partials, strict=True):
            # Closing may fail: a full disk, already reported.
            with contextlib.suppress(OSError), _closed(stream):
                if not self.lines or self.made_with is None:
                    partial.unlink(missing_ok=True)


@contextlib.contextmanager
def _closed(stream: BinaryIO) -> Iterator[None]:
    """Closes a file that is about to be renamed or removed.

    Until that is done its lock keeps other processes out, except on Windows, where an open file
    can be neither renamed nor removed.
    """
    if sys.platform == "win32":
        stream.close()
    try:
        yield
    finally:
        stream.close()


class Standard:
    """Standard output, in place of a file."""

    lines = 0

    def __init__(self) -> None:
        self.tally: Counter[str] = Counter()

    def go_on(self, blocks: Blocks) -> None:
        """Starts at the beginning: there is nothing to resume."""

    def add(self, contents: Sequence[bytes], lines: int, digest: str) -> None:
        """Writes a block's output."""
        with errors_named(None):
            sys.stdout.buffer.write(contents[0])
            sys.stdout.buffer.flush()

    def finish(self) -> None:
        """Does nothing: there is no file to rename."""

    def give_up(self) -> None:
        """Does nothing: there is no file to remove."""


Out = Growing | Standard


@contextmanager
def growing(
    paths: Sequence[Path], made_with: Mapping[str, Any] | None = None, *, resume: bool = False
) -> Iterator[Out]:
    """The output that blocks are added to: `Growing` files, or standard output if no paths."""
    out: Out = Growing(paths, made_with, resume=resume) if paths else Standard()
    try:
        yield out
        out.finish()
    except BaseException:
        out.give_up()
        raise
