"""Several processes, one order."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from nmt.decoding.workers import map_in_processes
from nmt.errors import UserError
from tests.toy import lives


def wait_until(true: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def make_doubler(folder: Path) -> Callable[[int], tuple[int, int]]:
    """A process waits for the other: how soon each one starts is the machine's affair."""

    def double(number: int) -> tuple[int, int]:
        (folder / str(os.getpid())).touch()
        wait_until(lambda: len(list(folder.iterdir())) == 2)
        time.sleep(0.05 * (number % 2))  # odd ones are overtaken
        return 2 * number, os.getpid()

    return double


def make_mortal() -> Callable[[int], int]:
    def mortal(number: int) -> int:
        if number == 3:
            os._exit(1)
        return number

    return mortal


def test_processes_work_at_once_in_order_and_take_only_a_few_items_ahead(tmp_path: Path) -> None:
    taken = []

    def items() -> Iterator[int]:
        for number in range(20):
            taken.append(number)
            yield number

    results = map_in_processes(partial(make_doubler, tmp_path), items(), 2)
    first = next(results)
    assert len(taken) <= 6
    doubled, processes = zip(first, *results, strict=True)
    assert doubled == tuple(2 * number for number in range(20))
    met = {int(process.name) for process in tmp_path.iterdir()}
    assert set(processes) == met and len(met) == 2 and os.getpid() not in met


def test_a_process_that_dies_ends_the_work_with_a_sentence() -> None:
    with pytest.raises(UserError, match="a process that translates died"):
        list(map_in_processes(make_mortal, range(10), 2))


PROGRAM = """
import sys
from functools import partial
from pathlib import Path
from nmt.decoding.workers import map_in_processes
from tests.decoding.test_workers import make_doubler

if __name__ == "__main__":
    for result in map_in_processes(partial(make_doubler, Path(sys.argv[1])), iter(int, 1), 2):
        pass
"""


def test_no_process_outlives_one_that_is_killed(tmp_path: Path) -> None:
    program, met = tmp_path / "program.py", tmp_path / "met"
    program.write_text(PROGRAM)
    met.mkdir()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, str(program), str(met)], env=environment) as parent:
        try:
            wait_until(lambda: len(list(met.iterdir())) == 2 or parent.poll() is not None)
            assert parent.poll() is None
        finally:
            parent.kill()
    wait_until(lambda: not any(lives(int(worker.name)) for worker in met.iterdir()))
