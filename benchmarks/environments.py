"""An environment of its own for each toolkit, made on demand and never mixed with the project's."""

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from nmt.errors import Say, UserError
from nmt.files import write_json

TORCH = "torch==2.13.0"
"""One version for every toolkit. Which build of it, `--pip-args` says: without, pip's own choice,
which on Linux may be one for GPUs of several gigabytes."""

STAMP = "recipe.json"


@dataclass(frozen=True)
class Recipe:
    """What goes into an environment.

    Args:
        steps: arguments of `pip install`, one call after another.
        stand_ins: empty modules for what a toolkit imports and never uses here.
        report: the packages whose versions a result depends on.
    """

    steps: Sequence[Sequence[str]]
    stand_ins: Sequence[str] = ()
    report: Sequence[str] = ()


def install(folder: Path, recipe: Recipe, pip_args: Sequence[str], say: Say) -> None:
    """Makes an environment unless it is there already, from this very recipe.

    Raises:
        UserError: pip could not install something.
    """
    python = folder / "bin" / "python"
    wanted = json.loads(json.dumps({**asdict(recipe), "python": platform.python_version()}))
    stamp = folder / STAMP
    if python.exists() and stamp.exists() and json.loads(stamp.read_text()) == wanted:
        return
    say(f"making {folder} (minutes: PyTorch alone is a large download)")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    log = folder / "install.log"
    _run([sys.executable, "-m", "venv", str(folder)], log)
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", *pip_args]
    for step in recipe.steps:
        _run([*pip, *step], log)
    packages = _ask(python, "import sysconfig; print(sysconfig.get_path('purelib'))")
    for name in recipe.stand_ins:
        content = '"""Stands in for a package that is not needed here."""\n'
        (Path(packages) / f"{name}.py").write_text(content)
    write_json(stamp, wanted)  # last: an interrupted installation is made again


def versions(python: Path, recipe: Recipe) -> Mapping[str, str]:
    """The versions of the packages that a recipe reports."""
    code = "import sys, importlib.metadata as m; print(*map(m.version, sys.argv[1:]))"
    return dict(zip(recipe.report, _ask(python, code, *recipe.report).split(), strict=True))


def _run(words: Sequence[str], log: Path) -> None:
    with log.open("ab") as file:
        done = subprocess.run(words, stdout=file, stderr=file, env=_clean(), check=False)
    if done.returncode:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        raise UserError(f"cannot be installed: {lines[-1].strip()[:300]} (all of it: {log})")


def _ask(python: Path, code: str, *words: str) -> str:
    """What a line of Python prints in an environment."""
    done = subprocess.run(
        [str(python), "-c", code, *words], capture_output=True, text=True, env=_clean(), check=True
    )
    return done.stdout.strip()


def _clean() -> dict[str, str]:
    """Our own environment without what would lead an interpreter to our own packages."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
