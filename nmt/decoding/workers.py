"""An ordered parallel map: several processes apply a function to a stream of items."""

import os
import signal
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from multiprocessing import get_context, parent_process
from queue import SimpleQueue
from threading import Thread
from typing import Any, Generic, TypeVar

import torch

from nmt.errors import UserError
from nmt.ram import keep_freed_memory

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_in_processes(
    make: Callable[[], Callable[[Item], Result]],
    items: Iterable[Item],
    workers: int,
    threads: int = 1,
) -> Iterator[Result]:
    """The result for each item, in order; only a few items are in memory at once.

    A step of search consists of many small operations, which the threads of one process cannot
    share well. The threads are therefore divided among several processes.

    Args:
        make: builds the function, once in each process; must be picklable.
        items: each must be picklable.
        workers: number of processes.
        threads: number of threads of each.

    Raises:
        UserError: a process died. What `make` or the function raise there is raised here.
    """
    crew: list[_Worker[Item, Result]] = []
    idle: SimpleQueue[_Worker[Item, Result]] = SimpleQueue()
    waiting = ThreadPoolExecutor(workers)  # a thread for each process, which waits for its result

    def apply(item: Item) -> Result:
        worker = idle.get()
        try:
            return worker(item)
        finally:
            idle.put(worker)

    ahead: deque[Future[Result]] = deque()
    try:
        for _ in range(workers):
            crew.append(_Worker(make, threads))
            idle.put(crew[-1])
        for item in items:
            ahead.append(waiting.submit(apply, item))
            if len(ahead) > 2 * workers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:  # after Ctrl-C, or if nobody takes the results any more, in the midst of their work
        for worker in crew:
            worker.process.kill()
        waiting.shutdown(cancel_futures=True)
        for worker in crew:
            worker.process.join()


class _Worker(Generic[Item, Result]):
    """A process with a pipe of its own: if it is killed, no other waits for what it had to say."""

    def __init__(self, make: Callable[[], Callable[[Item], Result]], threads: int) -> None:
        context = get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, make, threads), daemon=True)
        self.process.start()
        theirs.close()  # else reading from a process that died would never end

    def __call__(self, item: Item) -> Result:
        try:
            self.pipe.send(item)
            found, error = self.pipe.recv()
        except (EOFError, OSError):  # in the midst of an answer, too
            raise UserError(
                "a process that translates died, perhaps for want of memory; run again with fewer "
                "--workers"
            ) from None
        if error is not None:
            raise error
        result: Result = found
        return result


def _work(pipe: Any, make: Callable[[], Callable[[Any], Any]], threads: int) -> None:
    """What a process does: answers each item with a result or an error."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    keep_freed_memory()
    function: Callable[[Any], Any] | None = None
    with suppress(EOFError, ConnectionError):  # the parent is gone
        while True:
            item = pipe.recv()
            answer: tuple[Any, Exception | None]
            try:
                function = function or make()
                answer = function(item), None
            except Exception as error:
                error.add_note(traceback.format_exc())  # of this process
                answer = None, error
            pipe.send(answer)


def _end_with_parent() -> None:
    """Exits when the parent is gone: a killed parent cannot stop a process that is at work."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
