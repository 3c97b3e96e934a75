import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks import environments
from benchmarks.environments import Recipe, install, versions
from nmt.errors import UserError

RECIPE = Recipe(steps=[["one==1.0", "two"], ["--no-deps", "three"]], stand_ins=["spacy_stand_in"])


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What would be run; an environment without pip is made instead of one with it."""

    def run(words: Sequence[str], log: Path) -> None:
        found.append([*words])
        if words[1:3] == ["-m", "venv"]:
            real([sys.executable, "-m", "venv", "--without-pip", words[-1]], log)

    found: list[list[str]] = []
    real = environments._run
    monkeypatch.setattr(environments, "_run", run)
    return found


def test_an_environment_is_made_once_and_anew_when_its_recipe_changes(
    tmp_path: Path, calls: list[list[str]]
) -> None:
    folder, said = tmp_path / "environment", list[str]()
    install(folder, RECIPE, ["--no-cache-dir"], said.append)
    assert [call[4:] for call in calls[1:]] == [
        ["install", "--no-cache-dir", "one==1.0", "two"],
        ["install", "--no-cache-dir", "--no-deps", "three"],
    ]
    python = folder / "bin" / "python"
    subprocess.run([python, "-c", "import spacy_stand_in"], check=True)
    install(folder, RECIPE, ["--no-cache-dir"], said.append)
    assert len(calls) == 3 and len(said) == 1
    install(folder, Recipe(steps=[["four"]]), [], said.append)
    assert calls[-1][-1] == "four" and len(said) == 2
    assert subprocess.run(
        [python, "-c", "import spacy_stand_in"], check=False, stderr=-3
    ).returncode


def test_a_package_that_cannot_be_installed_is_told_in_pip_s_words(tmp_path: Path) -> None:
    code = "print('ERROR: No matching distribution found for joeynmt==99'); raise SystemExit(1)"
    with pytest.raises(UserError, match="cannot be installed: ERROR: No matching distribution"):
        environments._run([sys.executable, "-c", code], tmp_path / "install.log")


def test_versions_are_those_of_the_environment() -> None:
    found = versions(Path(sys.executable), Recipe(steps=[], report=["pytest"]))
    assert found == {"pytest": pytest.__version__}
