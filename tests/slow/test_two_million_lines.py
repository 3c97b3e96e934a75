"""Two million lines, five kills: the translation is that of a run that nobody disturbed."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nmt.files import sha256
from tests.toy import Toy, sentences, write_lines

LINES = 2_000_000
KILLS = 5


def started(trained: Toy, source: Path, out: Path) -> subprocess.Popen[bytes]:
    words = ["translate", trained.run, "-i", source, "-o", out, "--resume", "--beam-size", 1]
    return subprocess.Popen(
        [sys.executable, "-m", "nmt.cli", *map(str, words)],
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # its workers die with it
    )


def lines_done(out: Path) -> int:
    journal = out.with_name(f".{out.name}.journal")
    try:
        found: int = json.loads(journal.read_text())["lines"]
    except (OSError, ValueError):
        return 0
    return found


def resident(session: int) -> Iterator[int]:
    """Bytes that each process of a session holds."""
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdecimal() and os.getsid(int(folder.name)) == session:
                yield int((folder / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, ProcessLookupError):
            continue


@pytest.mark.slow
def test_five_kills_leave_no_trace_and_memory_is_flat(trained: Toy, tmp_path: Path) -> None:
    draw = random.Random(1)
    known = sentences(5000, seed=3)
    source = write_lines(tmp_path / "in", (draw.choice(known) for _ in range(LINES)))
    whole = started(trained, source, tmp_path / "whole")
    held: list[tuple[int, int]] = []  # lines done, bytes
    while whole.poll() is None:
        time.sleep(1)
        held.append((lines_done(tmp_path / "whole"), sum(resident(whole.pid))))
    assert whole.returncode == 0
    early = max(size for done, size in held if LINES // 10 < done < LINES // 5)
    late = max(size for done, size in held if done > LINES * 4 // 5)
    assert late < 1.1 * early
    for place in sorted(draw.sample(range(LINES // 10, LINES), KILLS)):
        process = started(trained, source, tmp_path / "killed")
        while lines_done(tmp_path / "killed") < place:
            assert process.poll() is None
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert not (tmp_path / "killed").exists()
    assert started(trained, source, tmp_path / "killed").wait() == 0
    assert sha256(tmp_path / "killed") == sha256(tmp_path / "whole")
    assert (tmp_path / "killed").read_bytes().count(b"\n") == LINES
