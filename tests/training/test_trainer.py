"""How training ends when it is told to from outside."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nmt.cli import main
from nmt.training.callbacks import RunFolder
from tests.toy import Toy


def test_ctrl_c_leaves_with_its_own_status(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = signal.getsignal(signal.SIGINT)
    _cut_soon(monkeypatch, KeyboardInterrupt)
    assert main(["train", str(toy.config), "--training.folder", str(tmp_path / "run")]) == 130
    assert capsys.readouterr().err.splitlines()[-1].startswith("nmt train: interrupted")
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_terminated_run_does_not_look_like_a_finished_one(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _cut_soon(monkeypatch, lambda: signal.raise_signal(signal.SIGTERM))
    with pytest.raises(SystemExit) as leaving:
        main(["train", str(toy.config), "--training.folder", str(tmp_path / "run")])
    assert leaving.value.code == 143


def _cut_soon(monkeypatch: pytest.MonkeyPatch, happen: Callable[[], Any]) -> None:
    def update(self: Any, trainer: Any, *args: Any) -> None:
        found = happen()
        if found is not None:
            raise found

    monkeypatch.setattr(RunFolder, "on_train_batch_end", update)
