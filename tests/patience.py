"""A user who loses patience while a translator is at work."""

import pytest

from nmt.decoding.jobs import Job, Progress, Translate, TranslatedBlock
from nmt.lines import Line


class Cut:
    """Ctrl-C after so many blocks; `left` tells how many of them are still to come."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = 0
        self.monkeypatch = monkeypatch
        self.whole = Job.load

    def __call__(self, blocks: int) -> None:
        self.left = blocks

        def job(one: Job, progress: Progress | None = None) -> Translate:
            work = self.whole(one, progress)

            def translate(block: list[Line]) -> TranslatedBlock:
                self.left -= 1
                if self.left < 0:
                    raise KeyboardInterrupt
                return work(block)

            return translate

        self.monkeypatch.setattr(Job, "load", job)
