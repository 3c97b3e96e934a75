"""How far a translation is, in lines for a log."""

import pytest

from nmt.decoding import progress
from nmt.decoding.progress import Pulse


def test_a_line_a_minute_with_the_rate_and_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    said: list[str] = []
    pulse = Pulse("in.txt", said.append, 2000, 12_000)
    for clock[0], done in ((1030.0, 2300), (1065.0, 3300), (1100.0, 3600), (1130.0, 4600)):
        pulse(done)
    assert said == [
        "in.txt: 3,300 of 12,000 lines, 20.0 lines/s, 7 min left",
        "in.txt: 4,600 of 12,000 lines, 20.0 lines/s, 6 min left",
    ]


def test_where_the_end_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    said: list[str] = []
    pulse = Pulse("standard input", said.append, 0, None)
    clock[0] = 100.0
    pulse(0)
    pulse(50)
    assert said == ["standard input: 50 lines, 0.5 lines/s"]


def test_hours() -> None:
    assert progress._clock(2 * 3600 + 5 * 60) == "2:05 h"
