"""Runs that several files compare with or go on from.

Each is trained when it is first asked for: a test asks before it patches anything.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.toy import Toy
from tests.training.scripted import PowerCut, Script, settings


@pytest.fixture(scope="session")
def whole(toy: Toy, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Runs that nothing interrupted; tests leave them as they are."""

    @cache
    def train(decay: float = 0.4) -> Path:
        folder = tmp_path_factory.mktemp("whole") / "run"
        return Script().run(settings(toy, folder, training__average_decay=decay))

    return train


@pytest.fixture(scope="session")
def cut_at(toy: Toy, tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Runs that were cut in an update; tests go on from copies, and leave these as they are."""

    @cache
    def train(step: int) -> Path:
        folder = tmp_path_factory.mktemp("cut") / "run"
        with pytest.raises(PowerCut):
            Script(cut=("update", step)).run(settings(toy, folder))
        return folder

    return train
