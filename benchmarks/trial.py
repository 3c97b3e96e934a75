"""One system under measurement: trained once, then timed as often as there are rounds."""

import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from benchmarks.drivers.clock import PREFIX
from benchmarks.segmented import read
from benchmarks.systems.contract import Bench, Length, Search, System
from benchmarks.watching import Line, Mark, Progress, tokens_per_second, watch
from nmt.errors import UserError
from nmt.files import read_json, write_json

LINES = 20
"""Lines of progress in a timed run."""


class Trained(NamedTuple):
    """What the training of a model has shown."""

    tokens_per_second: float
    parameters: int


class Pace(NamedTuple):
    """How a training goes on: what its updates take, and what it takes besides them."""

    updates_per_second: float
    start_up: float


class Decoded(NamedTuple):
    """What a decoding run has shown."""

    sentences_per_second: float
    texts: list[str]


@dataclass(frozen=True)
class Trial:
    """A system with all that it takes to measure it.

    Args:
        name: its name.
        system: itself.
        bench: what is the same for every system.
        epochs: of the model that is decoded with.
        updates: of a timed training.
        identity: all that a trained model depends on, as plain data.
    """

    name: str
    system: System
    bench: Bench
    epochs: int
    updates: int
    identity: Sequence[object]

    @property
    def folder(self) -> Path:
        return self.bench.work / self.name

    def train(self, mode: str) -> Trained:
        """Trains the model of a mode, or finds it trained already with the same settings."""
        stamp = self.folder / f"{mode}.json"
        if self.system.reusable and stamp.exists():
            known = read_json(stamp)
            if known["identity"] == self.identity:
                return Trained(known["tokens_per_second"], known["parameters"])
        stamp.unlink(missing_ok=True)
        every = max(1, self.bench.updates_an_epoch // LINES)
        lines = self._run(mode, self._model(mode), Length(self.epochs, None, every))
        log = "\n".join(line.text for line in lines)
        an_epoch = self.system.updates_an_epoch(log)
        rate = self._rate(lines, an_epoch, an_epoch)
        trained = Trained(rate, self.system.parameters(self._model(mode), log))
        write_json(stamp, {"identity": self.identity, **trained._asdict()})
        return trained

    def time_training(self, mode: str) -> float:
        """Real target tokens per second of a short training from scratch."""
        lines = self._short(mode)
        log = "\n".join(line.text for line in lines)
        return self._rate(lines, self.updates, self.system.updates_an_epoch(log))

    def pace(self, mode: str) -> Pace:
        """What a short training from scratch tells of a longer one."""
        started = time.monotonic()
        lines = self._short(mode)
        taken = time.monotonic() - started
        marks = [Mark(mark.seconds, Progress(mark.progress.update)) for mark in self._marks(lines)]
        rate = tokens_per_second(marks, self.updates // 5, self.updates, 1.0)
        return Pace(rate, max(0.0, taken - self.updates / rate))

    def train_updates(self, mode: str, updates: int) -> None:
        """Trains the model of a mode for a number of updates, in place of what `train` made."""
        (self.folder / f"{mode}.json").unlink(missing_ok=True)
        self._run(mode, self._model(mode), self._length(updates, save=True))

    def _short(self, mode: str) -> list[Line]:
        folder = self.folder / f"{mode}-timed"
        lines = self._run(mode, folder, self._length(self.updates, save=False))
        shutil.rmtree(folder, ignore_errors=True)
        return lines

    def _length(self, updates: int, save: bool) -> Length:
        epochs = 1 + updates // self.bench.updates_an_epoch
        return Length(epochs, updates, max(1, updates // LINES), save)

    def time_decoding(self, mode: str, beam: int, split: str = "test") -> Decoded:
        """Sentences per second over a split, and its translations."""
        output = self.folder / f"{mode}-beam{beam}.txt"
        folders = {name: self._model(name) for name in self.system.models}
        command = self.system.decode(mode, folders, Search(beam, output, split))
        lines = watch(command, self.folder / f"{mode}-beam{beam}.log")
        found = next((line.text for line in lines if line.text.startswith(PREFIX)), None)
        if found is None:
            raise UserError(f"{self.name}: expected a line {PREFIX!r} from its driver, found none")
        measured = json.loads(found.removeprefix(PREFIX))
        texts = self.system.text(read(output))
        return Decoded(measured["sentences"] / measured["seconds"], texts)

    def _model(self, mode: str) -> Path:
        return self.folder / mode

    def _run(self, mode: str, folder: Path, length: Length) -> list[Line]:
        self.folder.mkdir(parents=True, exist_ok=True)
        command = self.system.train(mode, folder, length)
        return watch(command, self.folder / f"{folder.name}.log")

    def _rate(self, lines: Sequence[Line], last: int, an_epoch: int) -> float:
        """Over all updates up to the last but the first fifth, which warm up."""
        tokens = self.bench.data.pairs * self.bench.data.target_tokens / an_epoch
        return tokens_per_second(self._marks(lines), last // 5, last, tokens)

    def _marks(self, lines: Sequence[Line]) -> list[Mark]:
        found = ((line.seconds, self.system.progress(line.text)) for line in lines)
        return [Mark(seconds, progress) for seconds, progress in found if progress]
