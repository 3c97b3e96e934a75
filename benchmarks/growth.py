"""Throughput and peak memory against the size of things.

    python -m benchmarks.growth --what corpus --sizes 10000 100000 --out growth.json

Text is made up (words by Zipf's law) and models are untrained. Such a model ends a sentence by
chance or never; here it never does, and the length limit is the length of the translation: `length`
tokens, or those of the source in `corpus`. Each point runs in a process of its own, so its peak
memory is its own: torch alone takes about 200 MiB of it. `corpus` is the preparation of a corpus
and the translation of a file by a small, greedy model; the others are steps of the configured model
on one batch.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import measure
from nmt.arguments import at_least

ROOT = Path(__file__).resolve().parent.parent
MATCHED = Path(__file__).resolve().with_name("matched.yaml")

AXES: dict[str, tuple[int, ...]] = {
    "corpus": (10_000, 100_000, 1_000_000),
    "length": (8, 16, 32, 64, 128),
    "beam": (1, 2, 5, 10, 20),
    "vocabulary": (1_000, 4_000, 8_000, 16_000, 32_000),
    "batch": (1, 4, 16, 64, 256),
}
"""What grows, and the sizes it is measured at."""
STANDARD = {"length": 16, "beam": 5, "batch": 64}
"""What the others stand at meanwhile; the vocabulary at the configured model's."""
UNITS = {
    "pairs_per_s": "pairs/s",
    "tokenizer_s": "tokenizer s",
    "lines_per_s": "lines/s",
    "tokens_per_s": "target tokens/s",
    "sentences_per_s": "sentences/s",
    "peak_mib": "peak MiB",
}


@dataclass(frozen=True)
class Point:
    """One job at one size; what it measured, or why it came to nothing."""

    axis: str
    size: int
    job: str
    measured: dict[str, float]
    failed: str | None = None


def run(job: str, threads: int, **settings: Any) -> dict[str, float]:
    """What a job measures, run in a fresh process.

    Raises:
        RuntimeError: it failed, or was killed as one that takes too much memory is.
    """
    content = json.dumps({"torch_threads": threads, **settings})
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.points", job, content],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or ["it said nothing"]
        raise RuntimeError(f"{job} ended with status {done.returncode}: {said[-1]}")
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def points(axis: str, size: int, arguments: argparse.Namespace) -> Iterator[Point]:
    """Every job of an axis at one size."""
    if axis == "corpus":
        yield from _corpus_points(size, arguments)
        return
    at = {**STANDARD, axis: size}
    settings = {
        "path": str(arguments.config.resolve()),
        "sizes": [at["batch"], at["length"], at["length"]],
        "vocabulary": at.get("vocabulary"),
        "precision": arguments.precision,
        "budget": arguments.seconds,
    }
    if axis != "beam" and arguments.precision != "int8":  # training has neither
        yield _point(axis, size, "train", arguments.threads, settings)
    yield _point(axis, size, "decode", arguments.threads, {**settings, "beam": at["beam"]})


def _corpus_points(lines: int, arguments: argparse.Namespace) -> Iterator[Point]:
    threads = arguments.threads
    with TemporaryDirectory() as folder:
        settings: dict[str, Any] = {"folder": folder, "lines": lines}
        made = _point("corpus", lines, "corpus", threads, settings)
        if made.failed:
            yield made
            return
        yield _point("corpus", lines, "prepare", threads, settings)
        settings["precision"] = arguments.precision
        yield _point("corpus", lines, "translate", threads, settings)


def _point(axis: str, size: int, job: str, threads: int, settings: dict[str, Any]) -> Point:
    try:
        return Point(axis, size, job, run(job, threads, **settings))
    except RuntimeError as error:  # one too large for this machine tells something too
        return Point(axis, size, job, {}, str(error))


def table(axis: str, found: Sequence[Point]) -> str:
    """One row for each point."""
    names = [name for name in UNITS if any(name in point.measured for point in found)]
    rows = []
    for point in found:
        row = {axis: f"{point.size:,}", "job": point.job}
        row |= {UNITS[name]: _shown(point.measured.get(name)) for name in names}
        if any(other.failed for other in found):
            row["failed"] = point.failed or ""
        rows.append(row)
    return measure.table(rows)


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.growth",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--what", nargs="+", choices=AXES, default=list(AXES), help="what grows")
    sizes = "for a single --what: these sizes"
    parser.add_argument("--sizes", nargs="+", type=at_least(1), help=sizes)
    parser.add_argument("--config", type=Path, default=MATCHED, help="whose model to measure")
    parser.add_argument("--precision", choices=("fp32", "bf16", "int8"), default="fp32")
    parser.add_argument("--threads", type=at_least(1), default=2)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each step and size")
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="all numbers as JSON")
    arguments = parser.parse_args(words)
    if arguments.sizes and len(arguments.what) > 1:
        parser.error(f"--sizes: expected a single --what beside it, found {len(arguments.what)}")
    if not arguments.config.is_file():
        parser.error(f"--config: expected a configuration file, found no {arguments.config}")
    return arguments


def main(words: Sequence[str] | None = None) -> int:
    """Measures each size in turn, prints a table for each axis, writes the JSON."""
    arguments = parse(words)
    found: list[Point] = []
    for axis in arguments.what:
        for size in arguments.sizes or AXES[axis]:
            for point in points(axis, size, arguments):
                print(f"{axis} {size:,}: {point.job} done", file=sys.stderr)
                found.append(point)
        print(table(axis, [point for point in found if point.axis == axis]), end="\n\n")
    if arguments.out:
        _write(arguments, found)
    return 1 if any(point.failed for point in found) else 0


def _write(arguments: argparse.Namespace, found: Sequence[Point]) -> None:
    from nmt import checkpoint  # with it comes torch, which nothing else here waits for
    from nmt.files import write_json

    content = {
        "machine": measure.machine(arguments.threads),
        "versions": checkpoint.versions(),
        "code": measure.code(),
        "config": str(arguments.config),
        "precision": arguments.precision,
        "points": [vars(point) for point in found],
    }
    write_json(arguments.out, content)


if __name__ == "__main__":
    sys.exit(main())
