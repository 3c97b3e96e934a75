"""Output of any length: written in order, complete or resumed."""

import contextlib
import gzip
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from nmt.decoding.blocks import Blocks
from nmt.errors import UserError
from nmt.files import errors_named, expect_closed, lock, read_json, rename, write_json
from nmt.lines import is_packed


def place_of(path: Path) -> Path:
    """Resolves a symbolic link, so that its target is replaced and not the link itself; also `.`,
    which has no name.
    """
    return path.resolve() if path.is_symlink() or not path.name else path


WHOLE = "whole"
"""Set in a journal once its files are complete and only have to be renamed."""
SHARD = "shard"
"""Among the settings of a part of a file, whose journal is kept: `nmt join` compares them all."""


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
    found = read_json(journal) if journal.exists() else {}
    if found.get(WHOLE):
        for path, size in zip(places, found["bytes"], strict=False):
            partial = partial_of(path)  # renamed already, or begun anew since
            if partial.exists() and partial.stat().st_size == size:
                rename(partial, path)
        _put_away(found, places)


def _put_away(journal: Mapping[str, Any], places: Sequence[Path]) -> None:
    """Removes the journal of complete files; each file of a shard keeps one instead."""
    for place in places:
        if SHARD in journal["made_with"]:
            write_json(journal_of(place), journal)
        else:
            journal_of(place).unlink(missing_ok=True)


def _expect_writable(path: Path) -> None:
    """Checks that there is no file at a path, or one that may be replaced."""
    if path.exists() and not path.is_file():
        what = "a folder" if path.is_dir() else "a device or a pipe (-o may be left out)"
        raise UserError(f"{path}: expected the name of a file to write, found {what}")
    if path.exists() and not os.access(path, os.W_OK):
        raise UserError(f"{path}: is write-protected; choose another name, or allow writing to it")
    expect_closed(path)


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
        resume: continue existing partial files; without it they are refused.

    Raises:
        UserError: a file cannot be written, or was begun with other settings.
    """

    def __init__(
        self, paths: Sequence[Path], made_with: Mapping[str, Any] | None, *, resume: bool = False
    ) -> None:
        for path in paths:
            _expect_writable(path)
        self.paths = list(map(place_of, paths))
        self.partials = list(map(partial_of, self.paths))
        self.journal = journal_of(self.paths[0])
        self.made_with = None if made_with is None else dict(made_with)
        self.lines, self.sizes, self.digest, self.start = 0, [0] * len(paths), "", ""
        self.tally: Counter[str] = Counter()
        self.threads: int | None = None
        self.streams: list[BinaryIO] = []
        try:
            for path, partial in zip(self.paths, self.partials, strict=True):
                self.streams.append(_open_alone(path, partial))
            # Without content in the files, a journal is of files that were completed.
            if self.journal.exists() and any(map(_size, self.partials)):
                self._go_on_with(read_json(self.journal), resume)
        except BaseException:
            for stream, partial in zip(self.streams, self.partials, strict=False):
                begun = _size(partial) > 0
                with _closed(stream):
                    if not begun:
                        partial.unlink(missing_ok=True)
            raise
        for stream, size in zip(self.streams, self.sizes, strict=True):
            stream.truncate(size)
            stream.seek(size)

    def _go_on_with(self, found: Mapping[str, Any], resume: bool) -> None:
        anew = f"remove {self.journal} to begin anew"
        if not resume:
            raise UserError(
                f"{self.paths[0]}: {found['lines']:,} lines are done; --resume goes on after them, "
                f"or {anew}"
            )
        for key, now in (self.made_with or {}).items():
            was = found["made_with"].get(key)
            if was != now:
                raise UserError(
                    f"{self.paths[0]}: expected --resume with {key} {was!r}, with which it was "
                    f"begun, found {now!r}; set it back, or {anew}"
                )
        least = dict(zip(self.partials, found["bytes"], strict=False))
        for path, partial in zip(self.paths, self.partials, strict=True):
            if partial not in least or _size(partial) < least[partial]:
                raise UserError(
                    f"{path}: expected --resume with what was begun, found no whole {partial.name} "
                    f"beside it; name the files as before, or {anew}"
                )
        self.lines, self.sizes, self.digest = found["lines"], found["bytes"], found["digest"]
        self.threads = found.get("threads")
        self.tally.update(found["tally"])

    def go_on(self, blocks: Blocks) -> None:
        """Skips the input of the existing output.

        Raises:
            UserError: the existing output was made from another input.
        """
        self.start = blocks.start
        if not self.lines:
            self.digest = self.start
        elif blocks.pass_over(self.lines) != self.digest:
            raise UserError(
                f"{self.paths[0]}: expected --resume with the same input, found another in its "
                f"first {self.lines:,} lines; remove {self.journal} to begin anew"
            )

    def add(self, contents: Sequence[bytes], lines: int, digest: str) -> None:
        """Appends a block's output to each file and updates the journal: the block is now safe."""
        if not self.lines:  # until now a journal is of the files that these will replace
            for path in self.paths:
                journal_of(path).unlink(missing_ok=True)
        for number, (path, content) in enumerate(zip(self.paths, contents, strict=False)):
            packed = gzip.compress(content, mtime=0) if is_packed(path) else content
            self.sizes[number] += len(packed)
            with errors_named(path):
                self.streams[number].write(packed)
                self.streams[number].flush()
                # The journal must not reach the disk before the content that it describes.
                os.fsync(self.streams[number].fileno())
        done = self.lines + lines
        if self.made_with is not None:
            self._write_journal({"lines": done, "digest": digest})
        self.lines, self.digest = done, digest

    def _write_journal(self, more: Mapping[str, Any]) -> Mapping[str, Any]:
        """Records how much of the files is valid, and all that it depends on."""
        names = ("made_with", "tally", "threads", "lines", "start", "digest")
        journal = {**{name: vars(self)[name] for name in names}, "bytes": self.sizes, **more}
        write_json(self.journal, journal)
        return journal

    def finish(self) -> None:
        """Gives the complete files their final names."""
        for stream, path in zip(self.streams, self.paths, strict=True):
            with errors_named(path):
                if is_packed(path) and not stream.tell():  # zero bytes are not valid gzip
                    stream.write(gzip.compress(b"", mtime=0))
                stream.flush()
                os.fsync(stream.fileno())
        self.sizes = [stream.tell() for stream in self.streams]
        journal = self._write_journal({WHOLE: True}) if self.made_with is not None else None
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
        if journal:
            _put_away(journal, self.paths)

    def give_up(self) -> None:
        """Closes incomplete files and removes those that cannot be resumed."""
        for stream, partial in zip(self.streams, self.partials, strict=True):
            # Closing may fail: a full disk, already reported.
            with contextlib.suppress(OSError), _closed(stream):
                if not self.lines or self.made_with is None:
                    partial.unlink(missing_ok=True)


def _size(file: Path) -> int:
    return file.stat().st_size


@contextmanager
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
        self.threads: int | None = None

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
