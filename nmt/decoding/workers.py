"""An ordered parallel map: several processes apply a function to a stream of items."""

import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import Any, TypeVar

import torch

from nmt.errors import UserError
from nmt.ram import keep_freed_memory

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_in_processes(
    make: Callable[[], Callable[[Item], Result]], items: Iterable[Item], workers: int
) -> Iterator[Result]:
    """The result for each item, in order; only a few items are in memory at once.

    A step of search consists of many small operations, which the threads of one process cannot
    share well. The threads are therefore divided among several processes.

    Args:
        make: builds the function, once in each process; must be picklable.
        items: each must be picklable.
        workers: number of processes.

    Raises:
        UserError: a process died.
    """
    threads = max(1, torch.get_num_threads() // workers)
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _open, (make, threads))
    ahead: deque[Future[Result]] = deque()
    try:
        for item in items:
            ahead.append(pool.submit(_apply, item))
            if len(ahead) > 2 * workers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    except BrokenProcessPool:
        raise UserError(
            "a process that translates died, perhaps for want of memory; run again with fewer "
            "--workers"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


class _Made:
    """The function that each process of the pool has built."""

    function: Callable[[Any], Any]


def _open(make: Callable[[], Callable[[Any], Any]], threads: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    keep_freed_memory()
    _Made.function = make()


def _end_with_parent() -> None:
    """Exits when the parent is gone: a killed parent cannot stop a process that waits for work."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _apply(item: Any) -> Any:
    return _Made.function(item)
