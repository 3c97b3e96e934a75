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


def make_doubler() -> Callable[[int], tuple[int, int]]:
    def double(number: int) -> tuple[int, int]:
        time.sleep(0.05 * (number % 2))  # odd ones are overtaken
        return 2 * number, os.getpid()

    return double


def make_meeting(folder: Path) -> Callable[[int], int]:
    def meet(number: int) -> int:
        (folder / str(os.getpid())).touch()
        end = time.monotonic() + 60
        while len(list(folder.iterdir())) < 2 and time.monotonic() < end:
            time.sleep(0.01)
        return number

    return meet


def make_mortal() -> Callable[[int], int]:
    def mortal(number: int) -> int:
        if number == 3:
            os._exit(1)
        return number

    return mortal


def test_results_come_in_order() -> None:
    results = list(map_in_processes(make_doubler, range(20), 2))
    assert [result for result, _ in results] == [2 * number for number in range(20)]
    assert os.getpid() not in {process for _, process in results}


def test_several_processes_work_at_once(tmp_path: Path) -> None:
    # A process waits for the other: how soon each one starts is the machine's affair.
    assert list(map_in_processes(partial(make_meeting, tmp_path), range(4), 2)) == [*range(4)]
    assert len(list(tmp_path.iterdir())) == 2


def test_only_a_few_items_are_taken_ahead() -> None:
    taken = []

    def items() -> Iterator[int]:
        for number in range(50):
            taken.append(number)
            yield number

    results = map_in_processes(make_doubler, items(), 2)
    next(results)
    assert len(taken) <= 6
    results.close()  # type: ignore[attr-defined]


def test_a_process_that_dies_ends_the_work_with_a_sentence() -> None:
    with pytest.raises(UserError, match="a process that translates died"):
        list(map_in_processes(make_mortal, range(10), 2))


PROGRAM = """
import sys
from functools import partial
from pathlib import Path
from nmt.decoding.workers import map_in_processes
from tests.decoding.test_workers import make_meeting

if __name__ == "__main__":
    for number in map_in_processes(partial(make_meeting, Path(sys.argv[1])), iter(int, 1), 2):
        pass
"""


def test_no_process_outlives_one_that_is_killed(tmp_path: Path) -> None:
    program, met = tmp_path / "program.py", tmp_path / "met"
    program.write_text(PROGRAM)
    met.mkdir()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, str(program), str(met)], env=environment) as parent:
        while len(list(met.iterdir())) < 2:
            assert parent.poll() is None
            time.sleep(0.02)
        parent.kill()
    end = time.monotonic() + 60
    while any(lives(int(worker.name)) for worker in met.iterdir()):
        assert time.monotonic() < end
        time.sleep(0.02)
