"""Input and output of any length: read once, written in order, whole or gone on with."""

import gzip
import hashlib
import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from nmt.errors import UserError
from nmt.files import errors_named, read_json, write_json
from nmt.lines import PACKED, Line, reading


def count_lines(path: Path) -> int:
    """How many lines a file has, for a progress that knows its end."""
    with reading(path) as stream:
        count, last = 0, b"\n"
        while chunk := stream.read(1 << 20):
            count += chunk.count(b"\n")
            last = chunk[-1:]
    return count + (last != b"\n")


class Blocks:
    """The blocks of so many lines that a file falls into, and what has been read up to each.

    Args:
        lines: of the file.
        size: of a block; the last may be shorter.
        count: the most blocks that are read; None reads to the end.
    """

    def __init__(self, lines: Iterable[Line], size: int, count: int | None = None) -> None:
        self.lines = iter(lines)
        self.size = size
        self.left = sys.maxsize if count is None else count
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
        """Reads the blocks of so many lines, which are done already; the digest of all of them."""
        for _ in range(-(-count // self.size)):
            next(iter(self), None)
        digest = self.digests[-1] if self.digests else ""
        self.digests.clear()
        return digest


class Growing:
    """A file that grows in order and bears its name only when it is whole.

    What there is of it lies in `.NAME.partial`; `.NAME.journal` tells how much of that is whole,
    what it was made from and with. Both stay when the work is cut short, for `--resume`.

    Args:
        path: the file; `.gz` packs it.
        made_with: what would make the rest differ, by name; None for a file that is made in one go.
        resume: go on with what there is.

    Raises:
        UserError: it cannot be written, or was begun in another way.
    """

    def __init__(
        self, path: Path, made_with: Mapping[str, Any] | None, *, resume: bool = False
    ) -> None:
        self.path = path
        self.partial = path.with_name(f".{path.name}.partial")
        self.journal = path.with_name(f".{path.name}.journal")
        self.made_with = None if made_with is None else dict(made_with)
        self.lines, self.size, self.digest = 0, 0, ""
        if resume and self.journal.exists() and self.partial.exists():
            self._read_journal(self.made_with or {})
        try:
            self.stream = self.partial.open("r+b" if self.lines else "wb")
        except OSError as error:
            reason = (error.strerror or "cannot be written").lower()
            raise UserError(f"{path}: expected a place to write to ({reason})") from None
        self.stream.truncate(self.size)
        self.stream.seek(self.size)

    def _read_journal(self, made_with: Mapping[str, Any]) -> None:
        found = read_json(self.journal)
        for key, now in made_with.items():
            was = found["made_with"].get(key)
            if was != now:
                raise UserError(
                    f"{self.path}: expected --resume with {key} {was!r}, with which it was begun, "
                    f"found {now!r}; set it back, or leave --resume out to begin anew"
                )
        self.lines, self.size, self.digest = found["lines"], found["bytes"], found["digest"]

    def go_on(self, blocks: Blocks) -> None:
        """Passes over the input of what is there.

        Raises:
            UserError: that is not the input that it was made from.
        """
        if self.lines and blocks.pass_over(self.lines) != self.digest:
            raise UserError(
                f"{self.path}: expected --resume with the same input, found another in its first "
                f"{self.lines:,} lines; leave --resume out to begin anew"
            )

    def add(self, content: bytes, lines: int, digest: str) -> None:
        """A block's output: from here on it is not lost."""
        packed = gzip.compress(content, mtime=0) if self.path.suffix == PACKED else content
        self.stream.write(packed)
        self.stream.flush()
        os.fsync(
            self.stream.fileno()
        )  # the journal must not be on the disk before what it tells of
        self.lines, self.size = self.lines + lines, self.size + len(packed)
        if self.made_with is not None:
            journal = {"made_with": self.made_with, "lines": self.lines, "bytes": self.size}
            write_json(self.journal, {**journal, "digest": digest})

    def finish(self) -> None:
        """All is there: the file gets its name."""
        self.stream.close()
        self.partial.replace(self.path)
        self.journal.unlink(missing_ok=True)

    def give_up(self) -> None:
        """Nothing more will come in this session: what cannot be gone on with is removed."""
        self.stream.close()
        if not self.lines or self.made_with is None:
            self.partial.unlink(missing_ok=True)


class Standard:
    """Standard output, in place of a file."""

    lines = 0

    def go_on(self, blocks: Blocks) -> None:
        """Begins at the beginning."""

    def add(self, content: bytes, lines: int, digest: str) -> None:
        """A block's output."""
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()

    def finish(self) -> None:
        """There is nothing to be named."""

    def give_up(self) -> None:
        """What is written is written."""


Out = Growing | Standard


@contextmanager
def growing(
    path: Path | None, made_with: Mapping[str, Any] | None = None, *, resume: bool = False
) -> Iterator[Out]:
    """What blocks are added to: see `Growing`; None is standard output."""
    out: Out = Standard() if path is None else Growing(path, made_with, resume=resume)
    try:
        with errors_named(path):
            yield out
            out.finish()
    except BaseException:
        out.give_up()
        raise
