"""A toy language that is translated word by word, and a project that learns it in seconds."""

import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import yaml

WORDS = dict(
    zip(
        [a + b for a in "bdf" for b in "aeio"],
        [a + b for a in "kmp" for b in "uoie"],
        strict=True,
    )
)
"""Short enough for each word to become one token of the smallest vocabulary."""


Answer = Callable[..., str]
"""Runs a command that must be refused; gives the one line that says why."""


def translated(sentence: str) -> str:
    """What a perfect translator says."""
    return " ".join(WORDS[word] for word in sentence.split())


def sentences(count: int, seed: int) -> list[str]:
    """Different sentences of three to five words."""
    draw = random.Random(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        found[" ".join(draw.choices(list(WORDS), k=draw.randint(3, 5)))] = None
    return list(found)


def write_lines(path: Path, lines: Iterable[str]) -> Path:
    """A text file with an end to each line, whatever the system."""
    path.write_bytes("".join(f"{line}\n" for line in lines).encode())
    return path


def settings(folder: Path) -> dict[str, Any]:
    """A project whose files all lie in one folder."""
    return {
        "data": {
            "folder": str(folder / "prepared"),
            "source_language": "xx",
            "target_language": "yy",
            "corpus": {"kind": "files", "train": [str(folder / "all.xx"), str(folder / "all.yy")]},
            "split": {"validation_size": 20, "test_size": 20},
            "tokenizer": {"vocabulary_size": 300},
        },
        "model": {
            "embedding_size": 16,
            "encoder": {"kind": "recurrent", "hidden_size": 16},
            "decoder": {"hidden_size": 16, "attention": {"kind": "additive", "hidden_size": 16}},
            "dropout": 0.0,
        },
        "training": {
            "folder": str(folder / "run"),
            "max_epochs": 1000,
            "max_steps": 90,
            "validate_every": 30,
            "batch_tokens": 300,
            "learning_rate": 0.03,
            "warmup_steps": 5,
            "schedule": "constant",
            "label_smoothing": 0.0,
            "average_decay": 0.4,
            "log_every": 10,
            "threads": 1,
            "precision": "fp32",  # auto is a timing: not every run would be the same
        },
        "decoding": {"beam_size": 3},
    }


@dataclass(frozen=True)
class Toy:
    """A project on the disk.

    Args:
        folder: that holds all of it.
        said: what its last command wrote to the error stream.
        answered: what its last command wrote to standard output.
    """

    folder: Path
    said: str = ""
    answered: str = ""

    @property
    def config(self) -> Path:
        return self.folder / "toy.yaml"

    @property
    def prepared(self) -> Path:
        return self.folder / "prepared"

    @property
    def run(self) -> Path:
        return self.folder / "run"

    def another_run(self, folder: Path) -> Path:
        """A run of another model, which says other things; as good as untrained."""
        import torch

        from nmt import checkpoint

        run = self.copy_of_run(folder)
        model = checkpoint.load_run(run).model
        noise = torch.Generator().manual_seed(1)
        bias = model.output.projection.bias
        bias.data += 3 * torch.randn(len(bias), generator=noise)
        checkpoint.write_weights(run, model)
        checkpoint.write_manifest(run, checkpoint.read_manifest(run))
        return run

    def copy_of_run(self, folder: Path) -> Path:
        """A copy of the run, to be changed or broken."""
        return Path(shutil.copytree(self.run, folder))


def make(folder: Path) -> Toy:
    """A project with nothing but its corpus and its settings."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = sentences(300, seed=1)
    write_lines(folder / "all.xx", lines)
    write_lines(folder / "all.yy", map(translated, lines))
    toy = Toy(folder)
    toy.config.write_text(yaml.safe_dump(settings(folder)), encoding="utf-8")
    return toy


def command(words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Runs the command line in a process of its own, as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "nmt.cli", *words], capture_output=True, text=True, check=False
    )


def contains(text: str, *parts: object) -> None:
    """Says which part of an answer is missing."""
    assert not [part for part in parts if str(part) not in text], text


def lives(number: int) -> bool:
    """Whether there is such a process; one that waits for its parent to ask of it is not there."""
    try:
        return psutil.Process(number).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
