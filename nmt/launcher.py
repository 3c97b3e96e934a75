"""Starts and supervises the processes on one machine, in the manner of torchrun.

Why not Lightning's launcher or torchrun itself: Lightning starts the other processes only when
training begins, after the first has prepared the folder, and kills itself silently when one dies;
torchrun adds a report and a traceback to every exit, and kills half a minute after a signal.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from types import FrameType

from nmt import processes
from nmt.errors import UserError
from nmt.processes import ENDINGS, LOST, LOST_STATUS, OWN, Lost

GRACE = 20.0
"""Seconds for the others to end by themselves after one has died."""

POLL = 0.1
"""Seconds between polls."""


def in_processes(count: int, words: Sequence[str], work: Callable[[], object]) -> None:
    """Does the work in this process, or in several.

    Args:
        count: how many processes, unless torchrun has started this one already.
        words: the command line; each started process runs it and thus calls this function again.
        work: what they do together.

    Raises:
        UserError: torchrun has started a different number of processes.
        Lost: a process died.
        SystemExit: they ended with a status other than 0.
    """
    if (world := processes.world()) > 1 and count not in (1, world):
        raise UserError(
            f"training.processes: expected 1, or {world} as torchrun has started, found {count}; "
            "leave it out"
        )
    if count > 1 and sys.platform == "win32":
        raise UserError(
            "training.processes: expected 1 on Windows, where PyTorch lacks what several meet by, "
            f"found {count}; one uses all cores by its threads"
        )
    if count == 1 or world > 1:
        with processes.process_group():
            work()
    elif status := _Processes(count).run(words):
        raise SystemExit(status)


class _Processes:
    """Several processes with the same command line."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.started: list[subprocess.Popen[bytes]] = []
        self.ended: dict[int, int] = {}  # rank to exit status, in the order they ended
        self.asked: int | None = None

    def run(self, words: Sequence[str]) -> int:
        """Runs the processes; returns their common exit status."""
        from torch import get_num_threads
        from torch.distributed import TCPStore  # type: ignore[attr-defined]

        # The group's rendezvous store is kept here, so that it outlives any of the processes; port
        # 0 lets the system choose a free one.
        book = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        book.add(LOST, 1)  # silences this message there: more is known here
        common = {
            "WORLD_SIZE": self.count,
            "LOCAL_WORLD_SIZE": self.count,
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": book.port,
            "TORCHELASTIC_RUN_ID": OWN,
            "TORCHELASTIC_USE_AGENT_STORE": True,
            "OMP_NUM_THREADS": max(1, get_num_threads() // self.count),
            "PYTHONPATH": os.pathsep.join(sys.path),  # the same modules as here
        }
        handlers = {number: signal.signal(number, self._pass_on) for number in ENDINGS}
        try:
            for rank in range(self.count):
                place = {**common, "RANK": rank, "LOCAL_RANK": rank, "GROUP_RANK": 0}
                self._start(words, {name: str(value) for name, value in place.items()})
            self._watch()
        finally:
            for process in self.started:
                process.kill()
                process.wait()
            for number, handler in handlers.items():
                signal.signal(number, handler)
        return self._status()

    def _start(self, words: Sequence[str], place: dict[str, str]) -> None:
        # In a session of its own, so that Ctrl-C reaches it only once, through `_pass_on`.
        command = [sys.executable, "-P", "-m", "nmt.cli", *words]
        environment = os.environ | place
        self.started.append(subprocess.Popen(command, env=environment, start_new_session=True))

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        self.asked = number
        for process in self.started:
            process.send_signal(number)  # does nothing if it has ended

    def _watch(self) -> None:
        """Waits until all have ended, but only `GRACE` seconds once one has died."""
        quiet = {0, *(128 + number for number in ENDINGS)}  # statuses that all end with together
        until = float("inf")
        while len(self.ended) < self.count:
            time.sleep(POLL)
            for rank, process in enumerate(self.started):
                if rank not in self.ended and process.poll() is not None:
                    self.ended[rank] = process.returncode
            if until == float("inf") and set(self.ended.values()) - quiet:
                until = time.monotonic() + GRACE
            if time.monotonic() > until:
                for process in self.started:
                    process.kill()

    def _status(self) -> int:
        own = ((rank, it) for rank, it in self.ended.items() if it not in (0, LOST_STATUS))
        rank, status = next(own, (-1, LOST_STATUS if any(self.ended.values()) else 0))
        if status >= 0 and status != LOST_STATUS:
            return status  # the process itself has said why
        if self.asked is not None:
            return 128 + self.asked
        if rank < 0:
            raise Lost(LOST)
        raise Lost(
            f"process {rank + 1} of {self.count} died ({signal.Signals(-status).name}), perhaps "
            "for want of memory, and the others have ended; the same command, without --fresh, "
            "goes on from what was saved last"
        )
