"""A file cut into parts for several machines, and their translations joined again.

Part i of n has the blocks from (i - 1) B / n to i B / n of the file's B blocks. A part thus depends
only on the file, i and n, and is reproducible.
"""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from nmt.decoding.streams import SHARD, WHOLE, Growing, growing, journal_of, partial_of, place_of
from nmt.errors import Say, UserError
from nmt.files import errors_named, read_json

MAY_DIFFER = (SHARD, "device")
"""The settings of parts that may differ: machines may have other devices."""


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


def join(whole: Path, say: Say, count: int | None = None) -> list[Path]:
    """Joins the parts of a file once all of them exist.

    Args:
        whole: the file.
        say: prints a line for the user.
        count: the number of parts; None reads it from their names.

    Returns:
        The parts and their journals, which stay, so that a part can be made anew and joined again.

    Raises:
        UserError: a part is missing or still being made, or there are parts of different divisions,
            or parts that were made in another way or of another input than the first.
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
    _expect_alike(paths)
    with growing([whole]) as out, errors_named(whole):
        assert isinstance(out, Growing)
        for path in paths:
            with path.open("rb") as part:
                shutil.copyfileobj(part, out.streams[0])
    say(f"joined {whole}: {count} parts")
    return paths + [journal_of(place_of(path)) for path in paths]


def _expect_alike(paths: Sequence[Path]) -> None:
    """Checks by their journals that parts belong together; each begins where the last one ended."""
    first, end = _journal(paths[0]), ""
    for path in paths:
        journal = _journal(path)
        for key, wanted in first["made_with"].items():
            found = journal["made_with"].get(key)
            if found != wanted and key not in MAY_DIFFER:
                raise UserError(
                    f"{path}: expected a part made with {key} {wanted!r} as {paths[0].name}, found "
                    f"{found!r}; translate one of them again"
                )
        if journal["start"] != end:
            raise UserError(
                f"{path}: expected a part of the same input as those before it, found one of "
                "another version of the input; translate the parts of the other version again"
            )
        end = journal["digest"]


def _journal(path: Path) -> dict[str, Any]:
    file = journal_of(place_of(path))
    found = read_json(file) if file.exists() else {}
    if WHOLE not in found:
        raise UserError(
            f"{path}: expected {file.name} beside it, which tells what it was made with, found "
            "none; copy it from where the part was made, or translate the part again"
        )
    journal: dict[str, Any] = found
    return journal


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
