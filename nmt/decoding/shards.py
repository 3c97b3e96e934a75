"""A file cut into parts for several machines, and their translations joined again.

Part i of n has the blocks from (i - 1) B / n to i B / n of the file's B blocks. A part thus depends
only on the file, i and n, and is reproducible.
"""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from nmt.decoding.streams import partial_of, place_of
from nmt.errors import UserError
from nmt.files import write_atomically


class Shard(NamedTuple):
    """Part `number` (from 1) of `parts`."""

    number: int
    parts: int

    def blocks(self, total: int) -> range:
        """The indices of the blocks in this part, out of `total` blocks."""
        return range((self.number - 1) * total // self.parts, self.number * total // self.parts)

    def path(self, whole: Path) -> Path:
        """The path of this part of a file: `out.2-of-4.txt` for `out.txt`."""
        name, dot, rest = whole.name.partition(".")
        return whole.with_name(f"{name}.{self.number}-of-{self.parts}{dot}{rest}")


def join(whole: Path, say: Callable[[str], None], count: int | None = None) -> list[Path]:
    """Joins the parts of a file once all of them exist; returns the parts, which stay.

    Args:
        whole: the file.
        say: prints a line for the user.
        count: the number of parts; None reads it from their names.

    Raises:
        UserError: a part is missing or still being made, or there are parts of different divisions.
    """
    if whole.is_dir():
        raise UserError(f"{whole}: expected the name of the whole file, found a folder")
    count = count or _division(whole)
    paths = [Shard(number, count).path(whole) for number in range(1, count + 1)]
    for path in paths:
        if not path.exists():
            raise UserError(
                f"{path}: expected this part of {whole.name}, found none; translate it with --shard"
            )
        if partial_of(place_of(path)).exists():
            raise UserError(
                f"{path}: is being made anew; join when that has ended, or finish what was "
                "interrupted with --shard and --resume"
            )

    def write(file: Path) -> None:
        with file.open("wb") as out:
            for path in paths:
                with path.open("rb") as part:
                    shutil.copyfileobj(part, out)

    write_atomically(whole, write)
    say(f"joined {whole}: {count} parts")
    return paths


def _division(whole: Path) -> int:
    """The number of parts that the file was divided into, read from the names of its parts."""
    counts = {shard.parts for shard in _parts(whole)}
    if len(counts) != 1:
        what = "none" if not counts else f"parts of {', '.join(map(str, sorted(counts)))}"
        raise UserError(
            f"{whole}: expected the parts of one division beside it, as "
            f"{Shard(1, 2).path(whole).name}, found {what}"
        )
    return counts.pop()


def _parts(whole: Path) -> list[Shard]:
    name, dot, rest = whole.name.partition(".")
    pattern = re.compile(rf"{re.escape(name)}\.(\d+)-of-(\d+){re.escape(dot + rest)}")
    matches = map(pattern.fullmatch, (path.name for path in whole.parent.glob("*")))
    return [Shard(int(match[1]), int(match[2])) for match in matches if match]
