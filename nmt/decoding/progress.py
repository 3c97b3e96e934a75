"""The progress of a long translation, as lines for a log where no terminal shows a bar."""

import sys
import time

from nmt.errors import Say

EVERY = 60.0
"""Minimum number of seconds between two lines."""


class Pulse:
    """Reports progress and the time left, at most once a minute.

    Args:
        name: the name of what is translated.
        say: receives each report; None turns reports off.
        done: number of lines already done.
        total: total number of lines, if known.
    """

    def __init__(self, name: str, say: Say | None, done: int, total: int | None) -> None:
        self.name, self.before, self.total = name, done, total
        self.say = None if sys.stderr.isatty() else say
        self.started = self.told = time.monotonic()

    def __call__(self, done: int) -> None:
        """Called with the number of lines done so far."""
        now = time.monotonic()
        if self.say is None or now - self.told < EVERY or done <= self.before:
            return
        self.told = now
        rate = (done - self.before) / (now - self.started)
        of, left = "", ""
        if self.total:
            of = f" of {self.total:,}"
            left = f", {_clock((self.total - done) / rate)} left"
        self.say(f"{self.name}: {done:,}{of} lines, {rate:,.1f} lines/s{left}")


def _clock(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60}:{minutes % 60:02} h" if minutes >= 60 else f"{minutes} min"
