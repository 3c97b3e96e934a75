"""Twenty kills, one run: what comes out is what an undisturbed run comes to, bit for bit."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nmt.checkpoint import METRICS, WEIGHTS
from tests.toy import Toy, command

KILLS = 20
SESSION = """
import os, signal, sys
from pathlib import Path

from nmt.cli import main
from nmt.training.module import TranslationModule

place, left = sys.argv[1], int(sys.argv[2])


def deadly(owner, name, before):
    function = getattr(owner, name)

    def call(*arguments, **options):
        global left
        left -= 1
        if before and left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        found = function(*arguments, **options)
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    setattr(owner, name, call)


if place == "half written":  # the bytes are there, but not yet on the disk
    deadly(os, "fsync", before=True)
elif place == "not renamed":
    deadly(Path, "replace", before=True)
elif place == "validation":
    deadly(TranslationModule, "validation_step", before=True)
elif place == "optimizer":  # the gradients are there, the weights are old
    deadly(TranslationModule, "on_before_optimizer_step", before=False)
sys.exit(main(sys.argv[3:]))
"""
PLACES = {"half written": 12, "not renamed": 12, "validation": 3, "optimizer": 60, "any time": 0}
"""Where a session is killed, and at most after how many passes there."""


@pytest.mark.slow
def test_twenty_kills_leave_no_trace(toy: Toy, tmp_path: Path) -> None:
    words = ["train", str(toy.config), "--training.max_steps", "4000"]
    words += ["--training.validate_every", "100", "--training.patience", "100"]
    words += ["--model.dropout", "0.2", "--training.precision", "fp32", "--training.folder"]
    whole = command([*words, str(tmp_path / "whole")])
    assert whole.returncode == 0, whole.stderr
    draw, kills = random.Random(1), 0
    while kills < KILLS:
        place = list(PLACES)[kills % len(PLACES)]
        passes = draw.randint(1, max(1, PLACES[place]))
        status = _session(place, passes, [*words, str(tmp_path / "killed")], draw)
        assert status == -signal.SIGKILL, f"kill {kills} ({place}, {passes}) ended with {status}"
        kills += 1
    last = command([*words, str(tmp_path / "killed")])
    assert last.returncode == 0, last.stderr
    for name in (WEIGHTS, METRICS):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert not list((tmp_path / "killed").glob(".*"))


def _session(place: str, passes: int, words: list[str], draw: random.Random) -> int:
    """Trains until it is killed; its exit status."""
    program = [sys.executable, "-c", SESSION, place, str(passes), *words]
    process = subprocess.Popen(program, stderr=subprocess.DEVNULL)
    if place == "any time":
        time.sleep(draw.uniform(3, 10))
        process.kill()
    return process.wait()
