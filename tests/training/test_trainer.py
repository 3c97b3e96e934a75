"""How training ends when it is told to from outside."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nmt.checkpoint import METRICS
from nmt.cli import main
from nmt.errors import UserError
from nmt.files import read_json
from nmt.training.callbacks import RunFolder
from nmt.training.states import LAST
from tests.toy import Toy
from tests.training.scripted import Script, assert_alike, settings

NUMBERS = {"SIGINT": 130, "SIGTERM": 143}


def status_of(words: list[str]) -> int:
    try:
        return main(words)
    except SystemExit as leaving:
        return int(leaving.code or 0)


@pytest.mark.parametrize("name", NUMBERS)
def test_a_signal_saves_and_leaves_with_its_own_status(
    name: str, toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = signal.Signals[name]
    before = signal.getsignal(number)
    _raise_after(monkeypatch, number, update=7)
    words = ["train", str(toy.config), "--training.folder", str(tmp_path / "run")]
    assert status_of(words) == NUMBERS[name]
    assert signal.getsignal(number) is before
    assert LAST in {path.name for path in (tmp_path / "run").iterdir()}
    state = _state(tmp_path / "run")
    assert state["global_step"] == 7  # the update in which the signal came is whole


@pytest.mark.parametrize("update", [1, 4, 6, 12])
def test_a_run_that_a_signal_has_ended_goes_on_as_if_nothing_had_been(
    update: int,
    toy: Toy,
    whole: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cut = settings(toy, tmp_path / "cut")
    with monkeypatch.context() as patched:
        _raise_after(patched, signal.SIGINT, update)
        with pytest.raises(KeyboardInterrupt):
            Script().run(cut)
    script = Script()
    run = script.run(cut)
    # Where a validation is due, it comes before the end.
    assert min(script.updated, default=13) == update + 1
    assert_alike(run, whole())


@pytest.mark.parametrize("every", [4, 8])
def test_a_run_does_not_end_with_an_update_that_is_not_validated(
    toy: Toy, tmp_path: Path, every: int
) -> None:
    start = settings(toy, tmp_path / "run", training__validate_every=every)
    with pytest.MonkeyPatch.context() as patched:
        _raise_after(patched, signal.SIGINT, 6)
        with pytest.raises(KeyboardInterrupt):
            Script().run(start)
    less = settings(toy, tmp_path / "run", training__max_steps=5, training__validate_every=5)
    with pytest.raises(UserError, match=r"6 updates are done, .* not validated yet.*found 5"):
        Script().run(less)
    script = Script()
    run = script.run(start)
    assert [row["step"] for row in read_json(run / METRICS)["history"]][-1] == max(script.updated)


def test_a_second_signal_ends_the_process_at_once(toy: Toy, tmp_path: Path) -> None:
    program = """
import signal, sys
from nmt.cli import main
from nmt.training.callbacks import RunFolder
def twice(self, trainer, *args):
    signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGINT)
    print("still here")
RunFolder.on_train_batch_end = twice
main(sys.argv[1:])
"""
    words = ["train", str(toy.config), "--training.folder", str(tmp_path / "run")]
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGINT
    assert "once more to leave at once" in done.stderr and "still here" not in done.stdout
    assert _state(tmp_path / "run")["global_step"] == 0


def test_work_is_saved_now_and_then(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nmt.training.states.SAVE_SECONDS", 0.0)
    run = Script().run(settings(toy, tmp_path / "run", training__max_steps=4))
    assert _state(run, "before-last.ckpt")["global_step"] == 3


def _raise_after(monkeypatch: pytest.MonkeyPatch, number: int, update: int) -> None:
    def end(self: Any, trainer: Any, *args: Any) -> None:
        learnt(self, trainer, *args)
        if trainer.global_step == update:
            signal.raise_signal(number)

    learnt = RunFolder.on_train_batch_end
    monkeypatch.setattr(RunFolder, "on_train_batch_end", end)


def _state(run: Path, name: str = LAST) -> Any:
    import torch

    return torch.load(run / name, weights_only=True)
