"""Other programs at work: what they say, and when they say it."""

import os
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from nmt.errors import UserError

REPOSITORY = Path(__file__).resolve().parent.parent


class Line(NamedTuple):
    """A line of a program's output and when it arrived, in seconds of a steady clock."""

    seconds: float
    text: str


class Progress(NamedTuple):
    """What a line of a training log tells.

    Args:
        update: updates done so far.
        mean: real target tokens of an update since the line before, where the log has it.
        since: real target tokens since the line before, where the log has it.
    """

    update: int
    mean: float | None = None
    since: float | None = None


class Mark(NamedTuple):
    """A program's progress at a point of time."""

    seconds: float
    progress: Progress


def number(text: str) -> int:
    """A whole number of a log, with or without commas."""
    return int(text.replace(",", ""))


@dataclass(frozen=True)
class Command:
    """A program with its arguments, where it runs, and what its environment holds besides ours."""

    words: Sequence[str | Path]
    folder: Path
    environment: Mapping[str, str]


def watch(command: Command, log: Path) -> list[Line]:
    """Runs a program to its end; what it writes goes to a log file too.

    Raises:
        UserError: it ended with another status than 0.
    """
    command.folder.mkdir(parents=True, exist_ok=True)
    lines: list[Line] = []
    with (
        log.open("w", encoding="utf-8", buffering=1) as file,
        subprocess.Popen(
            [str(word) for word in command.words],
            cwd=command.folder,
            # Lines must not wait in a buffer: their arrival is what is measured.
            env={**os.environ, "PYTHONUNBUFFERED": "1", **command.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
        ) as process,
    ):
        assert process.stdout is not None
        try:
            for text in process.stdout:
                lines.append(Line(time.monotonic(), text.rstrip("\n")))
                file.write(text)
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        last = next((line.text.strip() for line in reversed(lines) if line.text.strip()), "")
        raise UserError(
            f"{' '.join(map(str, command.words[:4]))} ... ended with status "
            f"{process.returncode}: {last[:300]} (all of it: {log})"
        )
    return lines


def tokens_per_second(marks: Iterable[Mark], first: int, last: int, tokens: float) -> float:
    """Real target tokens a second between two updates.

    Args:
        marks: in order.
        first: what happens before this update is start-up.
        last: no mark after this update counts.
        tokens: of an update on average, for logs that do not say.

    Raises:
        UserError: fewer than two marks in between.
    """
    inside = [mark for mark in marks if first <= mark.progress.update <= last]
    if len(inside) < 2:
        raise UserError(
            f"expected at least two lines of progress between the updates {first} and {last}, "
            f"found {len(inside)}; more --timed-updates give more"
        )
    learnt = sum(
        _learnt(before.progress, after.progress, tokens) for before, after in pairwise(inside)
    )
    return learnt / (inside[-1].seconds - inside[0].seconds)


def _learnt(before: Progress, after: Progress, tokens: float) -> float:
    if after.since is not None:
        return after.since
    return (after.update - before.update) * (tokens if after.mean is None else after.mean)
