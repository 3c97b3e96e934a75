"""Training on a corpus that is too large for the disk: each epoch has a piece of its own."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets

from nmt import processes
from nmt.config import Training
from nmt.data.datamodule import MakePiece, lengths_of, open_dataset
from nmt.data.shortening import SIDES, shortened
from nmt.errors import Say
from nmt.files import errors_named
from nmt.training.precision import device

WritePiece = Callable[[int, Path, Path], None]
"""Writes a prepared piece of the corpus: its number from 0, where, the folder of the tokenizers."""

OpenCorpus = Callable[[], WritePiece]
"""Opens a corpus to be read in pieces."""

BLOCKS, EACH = 1e9, 100.0
"""Bytes that the writing of a piece may take: for its blocks of text, and for each of its pairs."""


def memory_beside(free: float, piece: int | None) -> float:
    """Bytes of the free memory of a device that batches leave to the writing of pieces, if any."""
    return min(BLOCKS + EACH * piece, free / 2) if piece and device() == "cpu" else 0.0


def corpus_in_pieces(manifest: dict[str, Any]) -> str | None:
    """A digest of the corpus that is read beyond what is prepared, wherever its files lie.

    Args:
        manifest: of the prepared data.
    """
    if not manifest["settings"].get("piece"):
        return None
    settings = {
        key: value
        for key, value in manifest["settings"]["corpus"].items()
        if key not in ("train", "validation", "test")  # files, which their content identifies
    }
    content = json.dumps([list(manifest["inputs"].values()), settings], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def clear_pieces(folder: Path) -> None:
    """Removes the pieces in a run's folder; of several processes, the first does."""
    for old in folder.glob(".piece-*.partial") if processes.rank() == 0 else ():
        shutil.rmtree(old, ignore_errors=True)  # Windows: mapped still, for the next time


def pieces(
    open_corpus: OpenCorpus, dataset: datasets.DatasetDict, training: Training, say: Say
) -> MakePiece:
    """What gives the training pairs of each epoch but the first.

    The piece of an epoch lies in the run's folder while it is trained on. As the model and the
    batches were tried on the first piece, pairs longer than its longest are shortened.

    Args:
        open_corpus: opens the corpus; called in the first of several processes.
        dataset: the prepared data, whose training split is the first piece, with its sentences
            shortened already if they are to be.
        training: the run's settings.
        say: prints a line for the user.

    Raises:
        UserError: the corpus is unavailable.
    """
    datasets.disable_progress_bars()  # training has its own
    folder = Path(training.folder)
    limit = max(int(lengths_of(dataset["train"], side).max()) for side in SIDES)
    opened: list[WritePiece] = []
    processes.long_from_first(lambda: opened.append(open_corpus()))

    def write(epoch: int, place: Path) -> None:
        clear_pieces(folder)
        with errors_named(place):
            opened[0](epoch, place, folder)

    def make(epoch: int) -> datasets.Dataset:
        place = folder / f".piece-{epoch + 1}.partial"
        processes.long_from_first(lambda: write(epoch, place))
        return shortened(open_dataset(place), limit, training.longer, say, place)["train"]

    return make
