"""What a command does not need, it does not import: seconds of waiting at every start."""

import json
import subprocess
import sys

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


def test_translating_needs_no_trainer() -> None:
    loaded = imported_by("from nmt import Translator")
    assert {"nmt.decoding.translator", "torch"} <= loaded
    assert not loaded & {"pytorch_lightning", "datasets", "data_prep", "matplotlib", "sacrebleu"}


def test_translate_verb_needs_no_trainer() -> None:
    loaded = imported_by(call(["translate", "--help"]))
    optional = {"matplotlib", "lxml", "polib"}
    assert not loaded & {"pytorch_lightning", "datasets", "data_prep", *optional}
