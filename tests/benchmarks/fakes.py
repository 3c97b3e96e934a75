"""Systems that are a few lines of Python each, and take milliseconds."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.systems.contract import Bench, Length, Search
from benchmarks.watching import REPOSITORY, Command, Progress

TRAINING = """
import sys, time
print("3 parameters")
for update in range(1, int(sys.argv[1]) + 1):
    time.sleep(0.005)
    print("update", update)
"""
COPYING = """
from benchmarks.drivers.clock import arguments, measure
given = arguments()
measure(given, lambda lines: lines)
"""


class Copying:
    """Says that it trains, and translates by copying."""

    note = "it does nothing"
    training_modes: Sequence[str] = ("fp32", "bf16")
    models: Sequence[str] = ("fp32",)
    decoding_modes: Sequence[str] = ("fp32", "int8_shortlist")
    reusable = True
    trained = 0

    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    def install(self) -> Mapping[str, str]:
        return {"copying": "1.0"}

    def train(self, mode: str, folder: Path, length: Length) -> Command:
        Copying.trained += 1
        updates = length.updates or length.epochs * self.bench.updates_an_epoch
        return self.command("-c", TRAINING, str(updates))

    def progress(self, line: str) -> Progress | None:
        return Progress(int(line.split()[1])) if line.startswith("update ") else None

    def updates_an_epoch(self, log: str) -> int:
        return self.bench.updates_an_epoch

    def parameters(self, folder: Path, log: str) -> int:
        return int(log.split()[0])

    def decode(self, mode: str, folders: Mapping[str, Path], search: Search) -> Command:
        words = [str(folders["fp32"]), "--input", str(self.bench.data.path(f"{search.split}.tgt"))]
        words += ["--output", str(search.output.resolve()), "--beam", str(search.beam)]
        return self.command("-c", COPYING, *words, "--batch", "8", "--threads", "1")

    def command(self, *words: str) -> Command:
        return Command([sys.executable, *words], self.bench.work, {"PYTHONPATH": str(REPOSITORY)})

    def text(self, lines: Sequence[str]) -> list[str]:
        return self.bench.data.text(lines)


class Breaking(Copying):
    """Trains, and cannot translate."""

    def decode(self, mode: str, folders: Mapping[str, Path], search: Search) -> Command:
        return self.command("-c", "raise SystemExit('out of memory')")
