"""What holds for every test: few threads, no network, no progress bars, a cache of its own."""

import os
import tempfile

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Settles the environment before anything imports torch or datasets, which read it once."""
    cache = tempfile.TemporaryDirectory(prefix="nmt-tests-")
    config.add_cleanup(cache.cleanup)
    os.environ |= {
        "HF_HOME": cache.name,
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }


@pytest.fixture(scope="session", autouse=True)
def few_threads() -> None:
    """Tiny tensors gain nothing from many threads, and timings stay alike on every machine."""
    import torch

    torch.set_num_threads(min(2, torch.get_num_threads()))
