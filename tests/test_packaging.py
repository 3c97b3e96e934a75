"""The built wheel holds every module, and git hides what is made, never what is written."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("nmt", "data_prep")


def sources() -> list[str]:
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    return sorted(path.relative_to(ROOT).as_posix() for path in files)


def ignored(folder: Path, paths: list[str]) -> set[str]:
    """Those of the paths that the rules of `.gitignore` hide, whether git tracks them or not."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    shutil.copy(ROOT / ".gitignore", folder)
    subprocess.run(["git", "init", "--quiet", folder], check=True)
    found = subprocess.run(
        ["git", "-C", folder, "check-ignore", "--stdin"],
        input="\n".join(paths),
        capture_output=True,
        text=True,
        check=False,  # it leaves with 1 when nothing is ignored
        env={  # the user's own rules are not the project's
            **os.environ,
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "XDG_CONFIG_HOME": str(folder),
        },
    )
    assert found.returncode in (0, 1), found.stderr
    return set(found.stdout.splitlines())


def test_the_wheel_holds_every_module(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with ZipFile(wheel) as archive:
        held = set(archive.namelist())
        (entry_points,) = (name for name in held if name.endswith("entry_points.txt"))
        assert "nmt = nmt.cli:main" in archive.read(entry_points).decode()
    assert {"nmt/data/__init__.py", "nmt/py.typed", *sources()} <= held
    assert not [name for name in held if name.split("/")[0] in ("tests", "benchmarks", "configs")]


def imports() -> set[str]:
    """The packages of others that ours import, at once or late."""
    found = set()
    for path in sources():
        for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - set(PACKAGES)


def test_what_is_imported_is_asked_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    asked = [
        *project["dependencies"],
        *(one for name in extras if name != "dev" for one in extras[name]),
    ]
    names = {re.split(r"[<>=\[]", one)[0].lower() for one in asked}
    brought_by = packages_distributions()
    for package in imports():
        assert {name.lower().replace("_", "-") for name in brought_by[package]} & names, package


def test_git_hides_no_source(tmp_path: Path) -> None:
    assert ignored(tmp_path, ["nmt/data/batching.py", "checkpoints/README.md", *sources()]) == set()


def test_git_hides_what_is_made(tmp_path: Path) -> None:
    made = ["data/run/train.arrow", "checkpoints/run/last.ckpt", ".venv/bin/python", "dist/a.whl"]
    assert ignored(tmp_path, made) == set(made)
