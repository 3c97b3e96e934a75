"""What holds for every test: few threads, no network, no progress bars, a cache of its own."""

import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING
from unittest.mock import patch

import hypothesis
import pytest

from tests.toy import Answer, Toy, command, make

if TYPE_CHECKING:
    from tests.patience import Cut


def pytest_configure(config: pytest.Config) -> None:
    """Settles the environment before anything imports torch or datasets, which read it once."""
    cache = tempfile.TemporaryDirectory(prefix="nmt-tests-")
    config.add_cleanup(cache.cleanup)
    os.environ |= {
        "HF_HOME": cache.name,
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
    if "PYTEST_XDIST_WORKER" in os.environ:  # a process for each core: a thread for each process
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    hypothesis.settings.register_profile("tests", deadline=None)  # machines have neighbours
    hypothesis.settings.load_profile("tests")


@pytest.fixture(scope="session", autouse=True)
def no_waiting_for_the_disk() -> Iterator[None]:
    """Tests of what is on disk, and when, watch `os.fsync` themselves; the others only wait."""
    with patch("os.fsync"):
        yield


@pytest.fixture(scope="session")
def threads() -> int:
    """Tiny tensors gain nothing from many threads, and timings stay alike on every machine."""
    import torch

    return min(2, torch.get_num_threads())


@pytest.fixture(autouse=True)
def few_threads(threads: int) -> None:
    """However many the test before has left."""
    import torch

    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """A small project whose data are prepared; tests change nothing in it."""
    made = make(tmp_path_factory.mktemp("toy"))
    return _after("prepare", made)


@pytest.fixture(scope="session")
def trained(toy: Toy) -> Toy:
    """The same project with a finished run; tests change nothing in it."""
    return _after("train", toy)


def _after(verb: str, project: Toy) -> Toy:
    done = command([verb, str(project.config)])
    assert done.returncode == 0, done.stderr
    return replace(project, said=done.stderr, answered=done.stdout)


@pytest.fixture
def answer(capsys: pytest.CaptureFixture[str]) -> Answer:
    """Runs a command that must be refused; gives the one line that says why."""

    def run(*words: object) -> str:
        # Imported late: the environment comes first.
        from nmt.cli import main

        status = main([str(word) for word in words])
        out, err = capsys.readouterr()
        assert status == 2
        assert out == ""
        assert "Traceback" not in err
        # Evaluation may say that it is translating before it finds out.
        lines = [line for line in err.splitlines() if not line.startswith("translating ")]
        assert err.endswith("\n") and len(lines) == 1, err
        return lines[0]

    return run


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> "Cut":
    """Lets the user lose patience after so many blocks: `cut(2)`."""
    from tests.patience import Cut

    return Cut(monkeypatch)
