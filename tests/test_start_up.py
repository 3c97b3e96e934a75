"""What a command does not need, it does not import: seconds of waiting at every start."""

import json
import subprocess
import sys
from pathlib import Path

from tests.toy import Toy, write_lines

HEAVY = {
    "datasets",
    "lxml",
    "matplotlib",
    "numpy",
    "polib",
    "pyarrow",
    "pydantic",
    "pytorch_lightning",
    "sacrebleu",
    "tokenizers",
    "torch",
    "yaml",
}
REPORT = "import json, sys; print(json.dumps(list(sys.modules)), file=sys.stderr)"


def imported_by(code: str) -> set[str]:
    """The modules that a fresh interpreter holds after running some code."""
    command = [sys.executable, "-c", f"{code}\n{REPORT}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(json.loads(done.stderr.splitlines()[-1]))


def call(arguments: list[str]) -> str:
    """Code that calls the command line and goes on after it has left."""
    return (
        f"from nmt.cli import main\n"
        f"try:\n"
        f"    status = main({arguments!r})\n"
        f"except SystemExit as leaving:\n"
        f"    status = leaving.code\n"
        f"assert not status, status"
    )


def test_help_imports_nothing_heavy() -> None:
    assert not imported_by(call(["--help"])) & HEAVY


def test_the_package_alone_imports_nothing_heavy() -> None:
    assert not imported_by("import nmt") & HEAVY


def test_translating_needs_no_trainer(trained: Toy, tmp_path: Path) -> None:
    source, out = write_lines(tmp_path / "in", ["ba be bi"]), tmp_path / "out"
    words = ["translate", trained.run, "-i", source, "-o", out]
    loaded = imported_by(call([str(word) for word in words]))
    assert out.read_text().count("\n") == 1
    assert {"nmt.decoding.translator", "torch"} <= loaded
    optional = {"matplotlib", "lxml", "polib"}
    assert not loaded & {"pytorch_lightning", "datasets", "data_prep", "sacrebleu", *optional}
