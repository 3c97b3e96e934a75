"""What a system must offer to be measured: how to train it, read its log, and decode with it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmarks.segmented import Segmented
from benchmarks.watching import Command, Progress
from nmt.errors import Say


@dataclass(frozen=True)
class Bench:
    """What is the same for every system.

    Args:
        data: the files that all read.
        work: a folder with room for each system's own.
        threads: processor threads.
        batch: sentences of a batch, in training and in decoding.
        pip_args: handed to pip.
        say: takes a line for the user.
    """

    data: Segmented
    work: Path
    threads: int
    batch: int
    pip_args: Sequence[str]
    say: Say

    @property
    def updates_an_epoch(self) -> int:
        """For batches of a fixed number of sentences."""
        return math.ceil(self.data.pairs / self.batch)

    @property
    def threads_environment(self) -> dict[str, str]:
        """For the libraries that read their threads from the environment."""
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        return dict.fromkeys(names, str(self.threads))

    def driver(
        self,
        python: Path,
        name: str,
        model: Path,
        lines: str,
        search: "Search",
        batch: int | None = None,
    ) -> list[str | Path]:
        """The words that run a driver (see `benchmarks.drivers.clock`) over a file of the data."""
        words: list[str | Path] = [python, "-m", f"benchmarks.drivers.{name}", model]
        words += ["--input", self.data.path(lines), "--output", search.output.resolve()]
        sizes = {"--beam": search.beam, "--threads": self.threads}
        sizes["--batch"] = self.batch if batch is None else batch
        return [*words, *(word for name, size in sizes.items() for word in (name, str(size)))]


@dataclass(frozen=True)
class Length:
    """How long to train: `epochs`, or `updates` where they are given.

    Args:
        epochs: passes over the data.
        updates: in all, if that comes first.
        every: updates between lines of the log, for systems that can choose.
        save: whether the model is wanted; not all toolkits can leave it.
    """

    epochs: int
    updates: int | None
    every: int
    save: bool = True


@dataclass(frozen=True)
class Search:
    """One decoding run: `beam` hypotheses, 1 is greedy; the output goes to a file.

    `split` names what is translated: test or validation.
    """

    beam: int
    output: Path
    split: str = "test"


class System(Protocol):
    """A toolkit, with its own folder below `Bench.work`.

    The modes are names of ways to compute: fp32, bf16, int8_shortlist. A mode that is decoded with
    and not trained in uses the model of another.
    """

    def __init__(self, bench: Bench) -> None: ...

    @property
    def note(self) -> str:
        """In what its model differs from ours; empty where in nothing."""
        ...

    @property
    def training_modes(self) -> Sequence[str]: ...

    @property
    def models(self) -> Sequence[str]:
        """The training modes whose model is decoded with; the others are only timed."""
        ...

    @property
    def decoding_modes(self) -> Sequence[str]: ...

    @property
    def reusable(self) -> bool:
        """Whether a model trained by an earlier run of the benchmark may be used again.

        It may where the code that trained it cannot have changed.
        """
        ...

    def install(self) -> Mapping[str, str]:
        """Makes the environment and the data ready; the versions that a result depends on."""
        ...

    def train(self, mode: str, folder: Path, length: Length) -> Command:
        """A fresh training into a folder, which may hold an old one."""
        ...

    def progress(self, line: str) -> Progress | None:
        """What a line of the training log tells, if anything."""
        ...

    def updates_an_epoch(self, log: str) -> int:
        """By the log of a training."""
        ...

    def parameters(self, folder: Path, log: str) -> int:
        """Numbers learnt, by the log of a training or the model it left."""
        ...

    def decode(self, mode: str, folders: Mapping[str, Path], search: Search) -> Command:
        """A run of a driver (see `benchmarks.drivers.clock`) over a split.

        Args:
            mode: how to compute.
            folders: of each of the `models`.
            search: what to search for.
        """
        ...

    def text(self, lines: Sequence[str]) -> list[str]:
        """The driver's output as text."""
        ...
