"""How long, how much memory, on which machine, and as a table."""

import hashlib
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from nmt.ram import processor_name

MIB = 1 << 20


def seconds(call: Callable[[], object], budget: float) -> float:
    """The median time of a call: at least three are timed, for `budget` seconds, after two more."""
    return statistics.median(durations(call, budget, least=3, warm_up=2))


def durations(
    call: Callable[[], object], budget: float, *, least: int, warm_up: int
) -> list[float]:
    """Seconds of each call.

    Args:
        call: what to time.
        budget: seconds to spend on it.
        least: timed calls, however long they take.
        warm_up: calls before them.
    """
    for _ in range(warm_up):
        call()
    taken: list[float] = []
    started = time.perf_counter()
    while len(taken) < least or time.perf_counter() - started < budget:
        before = time.perf_counter()
        call()
        taken.append(time.perf_counter() - before)
    return taken


def peak_memory() -> float:
    """The most resident memory that this process has had, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():
        # `getrusage` counts what the parent held before the process became this one.
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) / 1024
    if sys.platform == "win32":
        import psutil

        return float(psutil.Process().memory_info().peak_wset / MIB)
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MIB


def machine(threads: int) -> dict[str, Any]:
    """What a measurement depends on besides the code."""
    return {
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "threads": threads,
        "system": platform.platform(),
    }


def code() -> str:
    """What tells one version of the program from another: a digest of `nmt/` and `data_prep/`."""
    found = hashlib.sha256()
    root = Path(__file__).parents[1]
    for folder in ("nmt", "data_prep"):
        for path in sorted((root / folder).rglob("*.py")):
            found.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:12]


def with_spread(values: Sequence[float], digits: int = 1) -> str:
    """The median, and the range where there are several."""
    median = f"{statistics.median(values):,.{digits}f}"
    if len(values) < 2:
        return median
    return f"{median} ({min(values):,.{digits}f}-{max(values):,.{digits}f})"


def table(rows: Sequence[dict[str, str]]) -> str:
    """Rows of the same keys as aligned text; the first column to the left, others to the right."""
    names = list(rows[0])
    widths = [max(len(name), *(len(row[name]) for row in rows)) for name in names]

    def line(cells: Sequence[str]) -> str:
        first, *rest = (
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "  ".join([first, *rest]).rstrip()

    return "\n".join([line(names), *(line([row[name] for name in names]) for row in rows)])
