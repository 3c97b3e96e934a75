"""What is common to the toolkits that are installed into environments of their own."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from benchmarks import environments
from benchmarks.environments import Recipe
from benchmarks.systems.contract import Bench, Search
from benchmarks.watching import REPOSITORY, Command, Progress, number
from nmt.errors import UserError


class Toolkit:
    """A peer; what it does not say itself is the same for all of them.

    Args:
        bench: what is the same for every system.
    """

    name: ClassVar[str]
    recipe: ClassVar[Recipe]
    note: ClassVar[str] = ""
    training_modes: Sequence[str] = ("fp32",)
    models: Sequence[str] = ("fp32",)
    decoding_modes: Sequence[str] = ("fp32",)
    reusable = True
    progress_line: ClassVar[re.Pattern[str]]
    """Groups `update` and, where the log has it, `mean`; see `Progress`."""
    parameters_line: ClassVar[re.Pattern[str]]
    model: ClassVar[str] = ""
    """What the driver is told to load, within the folder of a model."""
    dictionary: ClassVar[str] = ""
    """And what beside it, within the toolkit's own folder."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.folder = bench.work.resolve() / self.name
        self.python = self.folder / "environment" / "bin" / "python"

    def install(self) -> Mapping[str, str]:
        bench = self.bench
        environments.install(self.folder / "environment", self.recipe, bench.pip_args, bench.say)
        self.make_data()
        return environments.versions(self.python, self.recipe)

    def make_data(self) -> None:
        """The files that the toolkit wants besides those of `Segmented`."""

    def progress(self, line: str) -> Progress | None:
        found = self.progress_line.search(line)
        if found is None:
            return None
        mean = found.groupdict().get("mean")
        return Progress(number(found["update"]), None if mean is None else float(mean))

    def updates_an_epoch(self, log: str) -> int:
        return self.bench.updates_an_epoch

    def parameters(self, folder: Path, log: str) -> int:
        found = self.parameters_line.search(log)
        if found is None:
            raise UserError(f"{self.name}: expected the number of parameters in its log")
        return number(found[1])

    def decode(self, mode: str, folders: Mapping[str, Path], search: Search) -> Command:
        model = self.loaded(folders[mode])
        lines = f"{search.split}.src"
        words = self.bench.driver(self.python, self.name, model, lines, search)
        words += ["--data", self.dictionary] if self.dictionary else []
        return self.command(words, str(REPOSITORY))

    def loaded(self, folder: Path) -> Path:
        """What the driver is told to load."""
        return folder.resolve() / self.model

    def command(self, words: Sequence[str | Path], python_path: str = "") -> Command:
        """A program in the toolkit's environment."""
        environment = {
            **self.bench.threads_environment,
            "PYTHONPATH": python_path,
            # Their checkpoints hold more than tensors, which newer versions of torch refuse.
            "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1",
        }
        return Command(words, self.folder, environment)

    def text(self, lines: Sequence[str]) -> list[str]:
        return self.bench.data.text(lines)
