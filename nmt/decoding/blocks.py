"""A file's lines in blocks that depend on nothing but the file."""

import hashlib
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

from nmt.files import errors_named
from nmt.lines import Invalid, Line, read_lines, reading

MOST = 4_000_000
"""Number of characters with which a block is full, however few lines they are: several blocks are
in memory at once."""


def in_blocks(lines: Iterable[Line], size: int) -> Iterator[list[Line]]:
    """Lines in blocks of `size`, or of fewer that have `MOST` characters; the last is what is left.

    Resuming and sharing out a file rely on the blocks being the same each time.
    """
    block: list[Line] = []
    characters = 0
    for line in lines:
        block.append(line)
        characters += len(line.whole)
        if len(block) == size or characters >= MOST:
            yield block
            block, characters = [], 0
    if block:
        yield block


def count_lines(path: Path) -> int:
    """The number of lines of a file, so that progress can show a total."""
    with errors_named(path), reading(path) as stream:
        count, last = 0, b"\n"
        while chunk := stream.read(1 << 20):
            count += chunk.count(b"\n")
            last = chunk[-1:]
    return count + (last != b"\n")


def block_sizes(path: Path, size: int) -> list[int]:
    """The number of lines of each of a file's blocks."""
    with errors_named(path), reading(path) as stream:
        return [len(block) for block in in_blocks(read_lines(stream, str(path), Invalid()), size)]


class Blocks:
    """A file's lines in blocks, with a digest of everything read up to the end of each.

    Args:
        lines: the lines of the file.
        size: number of lines of a block; see `in_blocks`.
    """

    def __init__(self, lines: Iterable[Line], size: int) -> None:
        self.left = sys.maxsize  # maximum number of blocks still to read
        self.first = 0  # number of lines before the shard
        self.start = ""  # the digest of those lines
        self.count = 0  # number of lines read so far, those before the shard included
        self.digests: deque[str] = deque()  # of blocks that are read but not yet written
        self._blocks = in_blocks(lines, size)
        self._read = hashlib.sha256()

    def __iter__(self) -> Iterator[list[Line]]:
        while self.left and (block := next(self._blocks, None)):
            self.left -= 1
            self.count += len(block)
            for line in block:
                self._read.update(f"{line.whole}{line.ending}".encode())
            self.digests.append(self._read.hexdigest())
            yield block

    def enter(self, sizes: list[int], part: range) -> None:
        """Skips to a shard and stops at its end.

        Args:
            sizes: the number of lines of each block.
            part: the indices of the shard's blocks.
        """
        self.first = sum(sizes[: part.start])
        self.start = self.pass_over(self.first)
        self.left = len(part)

    def pass_over(self, lines: int) -> str:
        """Skips the blocks of the next `lines` lines; returns the digest of all read so far."""
        end, digest = self.count + lines, ""
        while self.count < end and next(iter(self), None):
            digest = self.digests.pop()
        return digest
