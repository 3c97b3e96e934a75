"""How much is free; and the allocator keeps what is freed, so that the next batch has it."""

import ctypes
import platform
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from nmt.ram import _groups, free, keep_freed_memory

KEPT = """
import os
import torch
from nmt.ram import keep_freed_memory
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
def kept():
    before = resident()
    some = torch.ones(7_500_000)
    del some
    return resident() - before
child = os.fork()
if not child:
    keep_freed_memory()
    print(kept(), flush=True)
    os._exit(0)
os.waitpid(child, 0)
print(kept())
"""
"""MB that stay with a process which has freed 30: with the call and without.

Each is the first to free so much: glibc itself keeps more from then on.
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has the settings")
def test_what_is_freed_is_kept() -> None:
    command = [sys.executable, "-c", KEPT]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    kept, freed = map(float, done.stdout.split())
    assert freed < 5 and kept > 25


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: None) -> None:
        pytest.fail("the C library was called")

    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(ctypes, "CDLL", refuse)
    keep_freed_memory()


def group(folder: Path, limit: str, used: int, cached: int = 0, version: int = 2) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    names = {
        2: ("memory.max", "memory.current"),
        1: ("memory.limit_in_bytes", "memory.usage_in_bytes"),
    }
    for name, content in zip(names[version], (limit, used), strict=True):
        (folder / name).write_text(f"{content}\n")
    rows = {2: f"inactive_file {cached}", 1: f"inactive_file 1\ntotal_inactive_file {cached}"}
    (folder / "memory.stat").write_text(f"anon 5\n{rows[version]}\n")


def test_the_narrowest_control_group_counts(tmp_path: Path) -> None:
    table, root = tmp_path / "cgroup", tmp_path / "root"
    table.write_text("0::/user/job\n")
    group(root / "user", "1000", 400)
    group(root / "user/job", "max", 300)
    assert list(_groups(table, root)) == [600]
    group(root / "user/job", "500", 300, cached=50)
    assert sorted(_groups(table, root)) == [250, 600]


def test_control_groups_of_the_first_version_count_too(tmp_path: Path) -> None:
    table, root = tmp_path / "cgroup", tmp_path / "root"
    table.write_text("7:cpu,cpuacct:/job\n6:memory:/job\n")
    group(root / "memory/job", "900", 400, cached=10, version=1)
    assert list(_groups(table, root)) == [510]


def test_without_control_groups_what_is_free_is_the_machines(tmp_path: Path) -> None:
    assert list(_groups(tmp_path / "none")) == []
    assert 1e6 < free("cpu") < psutil.virtual_memory().total
