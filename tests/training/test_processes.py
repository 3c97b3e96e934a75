"""Several processes train as one would, and end together."""

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nmt import options, processes
from nmt.batch import Batch
from nmt.checkpoint import METRICS, read_manifest
from nmt.cli import main
from nmt.config import Training
from nmt.data.datamodule import read_part
from nmt.errors import UserError
from nmt.launcher import in_processes
from nmt.model.seq2seq import Seq2Seq
from nmt.schema import Settings
from nmt.training.module import TranslationModule
from nmt.training.states import LAST
from nmt.training.trainer import _places
from tests.model.variants import over
from tests.toy import Toy, command, contains, lives
from tests.training.scripted import assert_alike

UPDATES, EVERY = 200, 50


def words(toy: Toy, folder: Path, *more: object) -> list[str]:
    """A training whose batches have one row to six, and whose gradients are clipped."""
    settings = {
        "training.folder": folder,
        "training.max_steps": UPDATES,
        "training.validate_every": EVERY,
        "training.patience": 100,
        "training.batch_tokens": 24,
        "training.learning_rate": 0.001,
        "training.label_smoothing": 0.1,
        "training.clip_norm": 0.1,
        "training.precision": "fp32",
        "model.encoder.dropout": 0.0,
    }
    options = [word for key, value in settings.items() for word in (f"--{key}", str(value))]
    return ["train", str(toy.config), *options, *map(str, more)]


TWO = ("--training.processes", 2)
FEW = ("--training.max_steps", 40, "--training.validate_every", 20)

GPU = "each process would need a GPU of its own: see test_cuda.py"

on_a_cpu = pytest.mark.skipif(torch.cuda.is_available(), reason=GPU)


@pytest.fixture(scope="module")
def pair(toy: Toy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two processes that nothing interrupted; tests leave it as it is."""
    if torch.cuda.is_available():
        pytest.skip(GPU)
    run = tmp_path_factory.mktemp("pair") / "run"
    done = command(words(toy, run, *TWO))
    assert done.returncode == 0, done.stderr
    return run


def state_of(run: Path) -> Any:
    return torch.load(run / LAST, weights_only=True)


def distance(one: Path, other: Path) -> float:
    left, right = (state_of(run)["current_model_state"] for run in (one, other))
    return max(float((left[name] - right[name]).abs().max()) for name in left)


@on_a_cpu
def test_two_processes_come_to_the_weights_of_one(toy: Toy, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    done = command(words(toy, two, *TWO, *FEW))
    assert done.returncode == 0, done.stderr
    contains(done.stderr, "1 threads on cpu in each of 2 processes", "finished after 40 updates")
    # What the libraries have to say of processes does not reach the user, who is told all once.
    assert "Warning" not in done.stderr and "sync_dist" not in done.stderr
    assert done.stderr.count("update 20: validation loss") == 1
    assert main(words(toy, one, *FEW)) == 0
    assert 0 < distance(one, two) < 1e-5
    assert read_manifest(two)["choices"] == {"precision": "fp32", "threads": 1, "processes": 2}


# a process's part of a batch


@given(st.integers(1, 20), st.integers(1, 8))
def test_the_parts_of_a_batch_are_the_batch(rows: int, world: int) -> None:
    ids = [[10 + row] for row in range(rows)]
    split = datasets.Dataset.from_dict({"source_ids": ids, "target_ids": ids})
    parts = [read_part(split, np.arange(rows), rank, world) for rank in range(world)]
    real = [part for part in parts if int(part.target_lengths.sum())]
    seen = [row for part in real for row in part.source[:, 0].tolist()]
    assert sorted(seen) == [10 + row for row in range(rows)]
    assert sum(int(part.target_mask.sum()) for part in parts) == 2 * rows
    sizes = [len(part.source) for part in parts]
    assert min(sizes) == max(1, rows // world) and max(sizes) == -(-rows // world)


@over(Seq2Seq)
def test_every_parameter_has_a_gradient_also_where_there_is_nothing_to_say(
    settings: Settings,
) -> None:
    """Else the process would wait for the others, and they for it."""
    model = options.build(Seq2Seq, settings, 20, 20, where="model")
    module = TranslationModule(model, Training(folder="run"), steps=1)
    loss, _, tokens = module.loss(Batch.of([[5, 6, 7]], [[5]]).silent(), smoothing=0.1)
    loss.backward()  # type: ignore[no-untyped-call]
    assert tokens == 0 and loss.item() == 0.0
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and not parameter.grad.any(), name


# how they end


class Session:
    """A training by several processes that is under way."""

    def __init__(self, words: list[str], until: Path, *program: str) -> None:
        program = program or (sys.executable, "-m", "nmt.cli")
        self.process = subprocess.Popen([*program, *words], stderr=subprocess.PIPE, text=True)
        wait_for(until)
        children = ["pgrep", "-P", str(self.process.pid)]
        found = subprocess.run(children, capture_output=True, text=True, check=True)
        self.ranks = sorted(int(number) for number in found.stdout.split())

    def end(self, number: int, rank: int | None = None) -> tuple[int, str, float]:
        """Sends a signal, to the first of them all by default: status, words and seconds."""
        os.kill(self.process.pid if rank is None else self.ranks[rank], number)
        started = time.monotonic()
        _, said = self.process.communicate(timeout=60)
        assert not any(map(lives, self.ranks))
        return self.process.returncode, said, time.monotonic() - started


def wait_for(path: Path) -> None:
    until = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < until, f"{path} has not come"
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_that_is_killed_ends_all_and_the_run_goes_on(
    rank: int, toy: Toy, pair: Path, tmp_path: Path
) -> None:
    again = words(toy, tmp_path / "run", *TWO)
    session = Session(again, until=tmp_path / "run" / METRICS)
    status, said, seconds = session.end(signal.SIGKILL, rank)
    assert status == processes.LOST_STATUS and seconds < 60
    assert said.splitlines()[-1] == (
        f"nmt train: process {rank + 1} of 2 died (SIGKILL), perhaps for want of memory, and the "
        "others have ended; the same command, without --fresh, goes on from what was saved "
        "last"
    )
    assert "Traceback" not in said and "Error" not in said
    done = command(again)
    assert done.returncode == 0 and done.stderr.startswith("resuming"), done.stderr
    assert_alike(tmp_path / "run", pair)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "status", "rank"),
    [
        (signal.SIGTERM, 143, None),
        (signal.SIGTERM, 143, 1),
        (signal.SIGINT, 130, None),
        (signal.SIGINT, 130, 0),
    ],
)
def test_a_signal_to_any_of_them_saves_and_ends_all(
    number: int, status: int, rank: int | None, toy: Toy, pair: Path, tmp_path: Path
) -> None:
    again = words(toy, tmp_path / "run", *TWO)
    session = Session(again, until=tmp_path / "run" / METRICS)
    found, said, _ = session.end(number, rank)
    assert found == status and "Traceback" not in said, said
    assert EVERY <= state_of(tmp_path / "run")["global_step"] < UPDATES
    assert command(again).returncode == 0
    assert_alike(tmp_path / "run", pair)


@pytest.mark.slow
@on_a_cpu
def test_three_processes_go_on_as_if_nothing_had_been(toy: Toy, tmp_path: Path) -> None:
    """Of two the sum is the same in either order, of three it is not."""
    three = ("--training.processes", 3)
    assert command(words(toy, tmp_path / "whole", *three)).returncode == 0
    session = Session(words(toy, tmp_path / "run", *three), until=tmp_path / "run" / METRICS)
    assert session.end(signal.SIGTERM)[0] == 143
    done = command(words(toy, tmp_path / "run", *three))
    assert done.returncode == 0 and "Warning" not in done.stderr
    assert_alike(tmp_path / "run", tmp_path / "whole")


@pytest.mark.slow
@on_a_cpu
def test_processes_that_nobody_watches_save_and_end(toy: Toy, tmp_path: Path) -> None:
    again = words(toy, tmp_path / "run", *TWO, "--training.max_steps", 100_000)
    session = Session(again, until=tmp_path / "run" / METRICS)
    session.process.kill()
    until = time.monotonic() + 60
    while any(map(lives, session.ranks)):
        assert time.monotonic() < until
        time.sleep(0.1)
    session.process.communicate()
    assert state_of(tmp_path / "run")["global_step"] >= EVERY


@pytest.mark.slow
def test_torchrun_trains_and_ends_as_well(toy: Toy, pair: Path, tmp_path: Path) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    torchrun += ["--nproc-per-node", "2", "-m", "nmt.cli"]
    again = words(toy, tmp_path / "run")
    session = Session(again, tmp_path / "run" / METRICS, *torchrun)
    status, said, seconds = session.end(signal.SIGKILL, rank=1)
    assert status != 0 and seconds < 60
    assert said.count("nmt train: another process died or cannot be reached: see its") == 1
    done = subprocess.run([*torchrun, *again], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert_alike(tmp_path / "run", pair)


@pytest.mark.slow
def test_a_run_goes_on_in_another_number_of_processes(toy: Toy, pair: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert main(words(toy, run, "--training.max_steps", 100)) == 0
    done = command(words(toy, run, *TWO))
    assert done.returncode == 0, done.stderr
    contains(done.stderr, f"{run}: goes on in 2 processes where it was 1: with the same batches")
    assert 0 < distance(run, pair) < 1e-5


# mistakes


def test_a_mistake_that_all_of_them_find_is_told_once(toy: Toy, tmp_path: Path) -> None:
    (tmp_path / "run").write_bytes(b"")
    done = command(words(toy, tmp_path / "run", *TWO))
    assert done.returncode == 2
    assert done.stderr == (
        f"nmt train: training.folder: expected {tmp_path / 'run'} to be a folder, found a file\n"
    )


def test_machines_of_torchrun_have_as_many_processes_each(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, number in {"WORLD_SIZE": 6, "RANK": 0, "LOCAL_WORLD_SIZE": 4}.items():
        monkeypatch.setenv(name, str(number))
    with pytest.raises(UserError, match=r"torchrun: .* each machine, found 4 here and 2 on others"):
        _places()


def test_another_number_than_that_of_torchrun_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(UserError, match=r"expected 1, or 3 as torchrun has started, found 2"):
        in_processes(2, [], lambda: None)


def test_windows_has_but_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(UserError, match=r"training\.processes: expected 1 on Windows.*found 2"):
        in_processes(2, [], lambda: None)


def test_what_goes_to_a_pipe_is_utf8_whatever_the_system_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pipe = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(pipe, encoding="cp1252", newline="\n"))
    processes.open_streams()
    print("44.9 ± 1.6 у", flush=True)
    assert pipe.getvalue().decode() == "44.9 ± 1.6 у\n"


@pytest.mark.parametrize("world", [1, 2])
def test_what_takes_long_in_the_first_is_waited_for(
    world: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    signs: list[bool] = []

    def tells(made: Callable[[], bool]) -> bool:
        signs.append(made())
        return signs[-1]

    def long() -> int:
        time.sleep(0.2)
        return 1

    def wrong() -> None:
        raise UserError("no such corpus")

    monkeypatch.setattr(processes, "world", lambda: world)
    monkeypatch.setattr(processes, "rank", lambda: 0)
    monkeypatch.setattr(processes, "from_first", tells)
    monkeypatch.setattr(processes, "SIGN_SECONDS", 0.02)
    processes.long_from_first(long)
    assert world == 1 or (len(signs) > 1 and signs[-1] and not any(signs[:-1]))
    with pytest.raises(UserError, match="no such corpus"):
        processes.long_from_first(wrong)
