"""A file cut into parts for several machines, and their translations joined again.

Part i of n has the blocks from (i - 1) B / n to i B / n of the file's B blocks, so a part depends
on nothing but the file, i and n: made again, it is the same.
"""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from nmt.errors import UserError
from nmt.files import write_atomically


class Shard(NamedTuple):
    """Part `number` (from 1) of so many."""

    number: int
    parts: int

    def blocks(self, total: int) -> range:
        """Those of so many blocks that are in this part."""
        return range((self.number - 1) * total // self.parts, self.number * total // self.parts)

    def path(self, whole: Path) -> Path:
        """Where the part of a file lies: `out.2-of-4.txt` of `out.txt`."""
        name, dot, rest = whole.name.partition(".")
        return whole.with_name(f"{name}.{self.number}-of-{self.parts}{dot}{rest}")


def join(whole: Path, say: Callable[[str], None]) -> None:
    """Makes a file of its parts, once all of them are there; they are left where they are.

    Raises:
        UserError: a part is missing, or there are parts of different divisions.
    """
    _join(whole, _division(whole), say)


def join_and_remove(whole: Path, count: int, say: Callable[[str], None]) -> None:
    """Makes a file of its so many parts and removes them.

    Raises:
        UserError: a part is missing.
    """
    for path in _join(whole, count, say):
        path.unlink()


def _division(whole: Path) -> int:
    """Of how many parts one is there."""
    counts = {shard.parts for shard in _parts(whole)}
    if len(counts) != 1:
        what = "none" if not counts else f"parts of {', '.join(map(str, sorted(counts)))}"
        raise UserError(
            f"{whole}: expected the parts of one division beside it, as "
            f"{Shard(1, 2).path(whole).name}, found {what}"
        )
    return counts.pop()


def _join(whole: Path, count: int, say: Callable[[str], None]) -> list[Path]:
    """The parts of which the file is now made."""
    paths = [Shard(number, count).path(whole) for number in range(1, count + 1)]
    for path in paths:
        if not path.exists():
            raise UserError(
                f"{path}: expected this part of {whole.name}, found none; translate it with --shard"
            )

    def write(file: Path) -> None:
        with file.open("wb") as out:
            for path in paths:
                with path.open("rb") as part:
                    shutil.copyfileobj(part, out)

    write_atomically(whole, write)
    say(f"joined {whole}: {count} parts")
    return paths


def _parts(whole: Path) -> list[Shard]:
    name, dot, rest = whole.name.partition(".")
    pattern = re.compile(rf"{re.escape(name)}\.(\d+)-of-(\d+){re.escape(dot + rest)}")
    matches = map(pattern.fullmatch, (path.name for path in whole.parent.glob("*")))
    return [Shard(int(match[1]), int(match[2])) for match in matches if match]
