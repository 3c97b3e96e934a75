"""Coordination of several processes: their ranks, shared values and common end.

Their starter (`nmt.launcher` on one machine, torchrun on several) gives each its rank through
environment variables.
"""

import io
import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, NoReturn, TypeVar

from nmt.errors import UserError

Made = TypeVar("Made")

SILENCE = timedelta(minutes=10)
"""How long a process waits for another, which may be validating or saving, before it gives up."""

LONG_SILENCE = timedelta(days=7)
"""The same where each first does its whole part, under torchrun's supervision."""

SIGN_SECONDS = 30.0
"""How often process 0 lets the others know that it is still at work."""

LOST_STATUS = 75
"""Exit status of a process that has lost another: EX_TEMPFAIL of sysexits.h, "try again"."""

LOST = (
    "another process died or cannot be reached: see its messages; the same command (train: without "
    "--fresh, translate: with --resume) goes on from what was saved last"
)

OWN = "nmt"
"""The run id of a group that `nmt.launcher` has started."""

ENDINGS = (signal.SIGINT, signal.SIGTERM)
"""Signals that request an end."""

PARENT = os.getppid()


class Lost(UserError):
    """Another process is gone, so this one cannot continue."""


class _Joined:
    """Holds the key-value store that all processes share once they have joined."""

    store: Any = None


def open_streams() -> None:
    """Sets up the three standard streams, even in a process without them, such as a daemon.

    Output to a file or a pipe is UTF-8, whatever the system's default encoding. What cannot be
    written, such as a file's name that is not UTF-8, is escaped.
    """
    for name, flags in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, flags, encoding="utf-8"))  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and not stream.closed:
            chosen = stream.isatty() or "PYTHONIOENCODING" in os.environ
            stream.reconfigure(encoding=None if chosen else "utf-8", errors="backslashreplace")


def world() -> int:
    """The number of processes."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1


def rank() -> int:
    """The rank of this process; rank 0 is the one that reports and writes."""
    return int(os.environ["RANK"]) if world() > 1 else 0


def local_world() -> int:
    """The number of processes on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if world() > 1 else 1


def is_own() -> bool:
    """Whether `nmt.launcher` started this process."""
    return os.environ.get("TORCHELASTIC_RUN_ID") == OWN


def is_orphan() -> bool:
    """Whether this is one of several processes and their supervisor is gone."""
    return world() > 1 and "TORCHELASTIC_RUN_ID" in os.environ and os.getppid() != PARENT


@contextmanager
def process_group(silence: timedelta = SILENCE) -> Iterator[None]:
    """Joins the processes, if there are several, for the duration of the context.

    Args:
        silence: how long one waits for another.

    Raises:
        Lost: another has died, or has not been heard from for that long.
    """
    if world() == 1:
        yield
        return
    if missing := {"LOCAL_RANK", "LOCAL_WORLD_SIZE"} - os.environ.keys():
        raise UserError(f"expected {missing.pop()} beside RANK, found none; start by torchrun")
    from torch import cuda, distributed
    from torch.distributed.rendezvous import rendezvous

    # CPU tensors (numbers, objects) always go through gloo.
    on_gpu = cuda.is_available() and distributed.is_nccl_available()
    backend = "cpu:gloo,cuda:nccl" if on_gpu else "gloo"
    try:
        store, number, count = next(rendezvous("env://", timeout=silence))
        distributed.init_process_group(
            backend, store=store, rank=number, world_size=count, timeout=silence
        )
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise Lost(f"the {world()} processes expected to meet, and have not: {reason}") from None
    _Joined.store = store
    if (local := int(os.environ["LOCAL_RANK"])) < cuda.device_count():
        cuda.set_device(local)  # one process per device
    try:
        yield
        distributed.destroy_process_group()
    except RuntimeError as error:
        # gloo raises plain RuntimeErrors, even from within a backward pass.
        if isinstance(error, distributed.DistError) or "gloo" in str(error):
            raise Lost(LOST) from None
        raise


def from_first(make: Callable[[], Made]) -> Made:
    """Runs `make` in process 0 and returns its result, or raises its UserError, in all of them."""
    if world() == 1:
        return make()
    import torch

    made: list[Any] = [None, None]
    if rank() == 0:
        try:
            made[0] = make()
        except UserError as error:
            made[1] = str(error)
    torch.distributed.broadcast_object_list(made, device=torch.device("cpu"))
    if made[1] is not None:
        raise UserError(made[1])
    found: Made = made[0]
    return found


def long_from_first(make: Callable[[], object]) -> None:
    """As `from_first`, of what may take hours: the others hear from process 0 all the while."""
    if world() == 1:
        make()
        return
    pool = ThreadPoolExecutor(1)
    doing = pool.submit(make) if rank() == 0 else None

    def is_done() -> bool:
        assert doing is not None
        wait([doing], timeout=SIGN_SECONDS)
        if not doing.done():
            return False
        doing.result()  # or its error
        return True

    try:
        while not from_first(is_done):
            pass
    finally:
        pool.shutdown(wait=False)


def barrier() -> None:
    """Waits until all processes have arrived here."""
    _reduced((0.0,), "SUM")


def all_sum(*numbers: float) -> list[float]:
    """The sum of each number over all processes."""
    return _reduced(numbers, "SUM")


def all_max(*numbers: float) -> list[float]:
    """The largest of each number over all processes."""
    return _reduced(numbers, "MAX")


def all_min(*numbers: float) -> list[float]:
    """The smallest of each number over all processes."""
    return _reduced(numbers, "MIN")


def _reduced(numbers: tuple[float, ...], how: str) -> list[float]:
    if world() == 1:
        return list(numbers)
    import torch

    found = torch.tensor(numbers, dtype=torch.double)
    torch.distributed.all_reduce(found, getattr(torch.distributed.ReduceOp, how))
    return found.tolist()


def leave(status: int) -> NoReturn:
    """Exits; with several processes, without finalising the interpreter.

    All output is written by then, and finalisation alongside gloo's threads sometimes aborts.
    """
    if world() == 1:
        sys.exit(status)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def is_first_to_say(sentence: str) -> bool:
    """Whether no other process has said this, so that a common finding is reported only once."""
    if _Joined.store is None:
        return True
    try:
        return bool(_Joined.store.add(sentence, 1) == 1)
    except RuntimeError:  # the process that held the store is gone
        return True
