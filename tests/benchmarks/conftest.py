"""Data for whole commands."""

from pathlib import Path

import pytest

from data_prep.pipeline import prepare
from nmt import config
from tests.toy import make, settings


@pytest.fixture(scope="session")
def joint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toy corpus, prepared with a joint vocabulary."""
    folder = tmp_path_factory.mktemp("joint")
    make(folder)
    raw = settings(folder)
    raw["data"]["tokenizer"] = {"vocabulary_size": 300, "joint": True}
    return prepare(config.from_dict(raw, "toy").data, lambda _: None)
