import sys
from pathlib import Path

import pytest

from benchmarks.watching import Command, Mark, Progress, tokens_per_second, watch
from nmt.errors import UserError


def python(code: str, folder: Path) -> Command:
    return Command([sys.executable, "-c", code], folder, {})


def test_lines_are_timed_as_they_arrive(tmp_path: Path) -> None:
    code = "import sys, time; print('a'); time.sleep(1); print('b', file=sys.stderr)"
    lines = watch(python(code, tmp_path / "new"), tmp_path / "log")
    assert [line.text for line in lines] == ["a", "b"]
    assert lines[1].seconds - lines[0].seconds > 0.5
    assert (tmp_path / "log").read_text() == "a\nb\n"


def test_a_program_that_fails_is_told_in_its_own_words(tmp_path: Path) -> None:
    code = "print('first'); raise SystemExit('no such option: --hiden')"
    with pytest.raises(UserError, match="ended with status 1: no such option: --hiden"):
        watch(python(code, tmp_path), tmp_path / "log")


def marks(*progress: Progress) -> list[Mark]:
    """Ten seconds apart."""
    return [Mark(100.0 + 10 * i, one) for i, one in enumerate(progress)]


@pytest.mark.parametrize(
    ("progress", "expected"),
    [
        # Without counts in the log: 20 updates of 50 tokens in 20 seconds.
        ([Progress(10), Progress(20), Progress(30), Progress(40)], 50.0),
        # With the mean of each interval: 10 * 30 and 10 * 40 in 20 seconds.
        ([Progress(10, 99), Progress(20, 20), Progress(30, 30), Progress(40, 40)], 35.0),
        # With the sum of each interval: 200 + 400 in 20 seconds.
        (
            [
                Progress(10, since=90),
                Progress(20, since=300),
                Progress(30, since=200),
                Progress(40, since=400),
            ],
            30.0,
        ),
    ],
)
def test_tokens_between_two_updates(progress: list[Progress], expected: float) -> None:
    assert tokens_per_second(marks(*progress), 11, 40, 50.0) == pytest.approx(expected)


def test_no_update_outside_the_window_counts() -> None:
    slow_outside = [
        Mark(0.0, Progress(1)),
        *marks(Progress(10), Progress(20)),
        Mark(900, Progress(30)),
    ]
    assert tokens_per_second(slow_outside, 10, 20, 50.0) == pytest.approx(50.0)


def test_too_few_lines_are_refused() -> None:
    with pytest.raises(UserError, match="found 1; more --timed-updates give more"):
        tokens_per_second(marks(Progress(10), Progress(20)), 11, 20, 50.0)
