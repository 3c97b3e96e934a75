"""The allocator keeps what is freed, so that the next batch need not fetch it again."""

import subprocess
import sys

import pytest

from nmt.memory import keep_freed_memory

FRESH = """
import torch
from nmt.memory import keep_freed_memory
{call}
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 2**20
before = resident()
some = torch.ones(7_500_000)
del some
print(resident() - before)
"""


def kept_mb(call: str) -> float:
    """MB that stay with a fresh process which has freed 30."""
    command = [sys.executable, "-c", FRESH.format(call=call)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc has the settings")
def test_what_is_freed_is_kept() -> None:
    assert kept_mb("") < 5
    assert kept_mb("keep_freed_memory()") > 25


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    keep_freed_memory()
