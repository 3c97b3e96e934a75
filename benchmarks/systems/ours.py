"""This project: the matched model, and the default one at its default settings."""

import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import yaml

from benchmarks.systems.contract import Bench, Length, Search
from benchmarks.watching import REPOSITORY, Command, Progress, number, watch
from nmt.checkpoint import MANIFEST, versions
from nmt.data.batching import BatchPlan
from nmt.data.datamodule import lengths_of, open_dataset
from nmt.errors import UserError
from nmt.files import read_json, read_yaml

NMT = (sys.executable, "-m", "nmt.cli")
STARTED = re.compile(r" ([\d,]+) parameters, .* ([\d,]+) updates an epoch, ")
PROGRESS = re.compile(r"^update ([\d,]+) of ")


@dataclass(frozen=True)
class Mode:
    """A way to compute.

    Args:
        training: the precision to train in; None for a mode that is decoded with only.
        run: the training mode whose model is decoded with. All decode with the same one, so that
            the difference in BLEU is that of decoding.
        precision: of the decoder's products; None is what the loaded folder says.
        export: the words after `nmt export RUN -o BUNDLE` that make the folder which is loaded;
            none where it is the run itself.
    """

    training: str | None
    run: str
    precision: str | None = None
    export: Sequence[str] = ()


def _limits(length: Length) -> dict[str, int | None]:
    """What ends a training; one that is counted in updates is validated at its end alone.

    The peers are not validated at all: no time of ours goes into it while updates are timed, and
    what is decoded is the last model, as theirs is, not the best of several.
    """
    if length.updates is None:
        return {"max_epochs": length.epochs, "max_steps": None}
    updates = length.updates
    return {"max_epochs": updates, "max_steps": updates, "validate_every": updates}


class Ours:
    """The matched model: the batches hold as many sentences as the others', on average."""

    name: ClassVar[str] = "ours"
    note: ClassVar[str] = ""
    reusable = False
    config: ClassVar[str] = "benchmarks/matched.yaml"
    modes: ClassVar[Mapping[str, Mode]] = {
        "fp32": Mode(training="fp32", run="fp32", precision="fp32"),
        "bf16": Mode(training="bf16", run="fp32", precision="bf16"),
        "int8_shortlist": Mode(None, run="fp32", export=["--int8", "--shortlist", "50"]),
    }

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.folder = bench.work.resolve() / self.name
        self.training_modes = [name for name, mode in self.modes.items() if mode.training]
        self.models = list(dict.fromkeys(mode.run for mode in self.modes.values()))
        self.decoding_modes = list(self.modes)
        self.prepared = bench.data.prepared.resolve()

    def install(self) -> Mapping[str, str]:
        # Nothing of an earlier run is used again: this code may have changed since.
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        return versions()

    def train(self, mode: str, folder: Path, length: Length) -> Command:
        """With the settings of the YAML file, but for the data, the place and the length."""
        settings = read_yaml(REPOSITORY / self.config)
        data = read_json(self.prepared / MANIFEST)["settings"]
        settings["data"] = {**data, "folder": str(self.prepared)}
        settings["training"] |= {
            "folder": str(folder.resolve()),
            **_limits(length),
            "precision": self.modes[mode].training,
            "threads": self.bench.threads,
            **self.batches(),
        }
        path = self.folder / f"{folder.name}.yaml"
        path.write_text(yaml.safe_dump(settings), encoding="utf-8")
        return self.command([*NMT, "train", path, "--fresh"])

    def batches(self) -> Mapping[str, int]:
        """The setting of the batches' size."""
        return {"batch_tokens": positions(self.prepared, self.bench.updates_an_epoch)}

    def progress(self, line: str) -> Progress | None:
        found = PROGRESS.match(line)
        return Progress(number(found[1])) if found else None

    def updates_an_epoch(self, log: str) -> int:
        return self._started(log, 2)

    def parameters(self, folder: Path, log: str) -> int:
        return self._started(log, 1)

    def _started(self, log: str, group: int) -> int:
        found = STARTED.search(log)
        if found is None:
            raise UserError("ours: expected the line with which a training starts in its log")
        return number(found[group])

    def decode(self, mode: str, folders: Mapping[str, Path], search: Search) -> Command:
        model, batch = self._loaded(mode, folders), self.decoding_batch
        python, lines = Path(sys.executable), f"{search.split}.txt"
        words = self.bench.driver(python, "ours", model, lines, search, batch)
        precision = self.modes[mode].precision
        return self.command([*words, "--precision", precision] if precision else words)

    @property
    def decoding_batch(self) -> int:
        return self.bench.batch

    def _loaded(self, mode: str, folders: Mapping[str, Path]) -> Path:
        run = folders[self.modes[mode].run].resolve()
        if not self.modes[mode].export:
            return run
        bundle = run.with_name(f"{mode}-bundle")
        if not bundle.exists():
            options = self.modes[mode].export
            export = self.command([*NMT, "export", run, "-o", bundle, *options])
            watch(export, self.folder / f"{mode}-export.log")
        return bundle

    def command(self, words: Sequence[str | Path]) -> Command:
        """A program with this project at hand."""
        environment = {**self.bench.threads_environment, "PYTHONPATH": str(REPOSITORY)}
        return Command(words, self.folder, environment)

    def text(self, lines: Sequence[str]) -> list[str]:
        return list(lines)


class OursByDefault(Ours):
    """The default model at its default settings, with its own vocabularies, on the same text.

    Its tokens are counted in the pieces that the others see: a target sentence is as many tokens
    for it as for them.
    """

    name = "ours_default"
    note = "another model, with separate vocabularies of 4,000; tokens are counted as the others'"
    config = "configs/multi30k-de-en.yaml"
    modes: ClassVar[Mapping[str, Mode]] = {"default": Mode(training="auto", run="default")}

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self.prepared = self.folder / "data"

    def install(self) -> Mapping[str, str]:
        super().install()
        data = self.bench.data
        settings = read_json(data.prepared / MANIFEST)["settings"]
        words: list[str | Path] = [*NMT, "prepare", REPOSITORY / self.config]
        words += ["--data.folder", self.prepared, "--data.corpus.kind", "files"]
        words += ["--data.corpus.columns", "source", "target"]
        for name in ("train", "validation", "test"):
            words += [f"--data.corpus.{name}", data.path(f"{name}.jsonl")]
        for key in ("source_language", "target_language"):
            words += [f"--data.{key}", settings[key]]
        watch(self.command(words), self.folder / "prepare.log")
        return {}

    def batches(self) -> Mapping[str, int]:
        return {}

    @property
    def decoding_batch(self) -> int:
        return 0  # its own


def positions(prepared: Path, updates: int) -> int:
    """The budget of positions that cuts an epoch into a number of updates, or just more."""
    split = open_dataset(prepared)["train"]
    source, target = (lengths_of(split, column) for column in ("source_ids", "target_ids"))
    least, most = 1, int(sum(source) + sum(target)) + 2 * len(source)
    while least < most:
        middle = (least + most) // 2
        if len(BatchPlan(source, target, middle, seed=1)) > updates:
            least = middle + 1
        else:
            most = middle
    return least
