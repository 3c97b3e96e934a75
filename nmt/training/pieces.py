"""Training on a corpus that is too large for the disk: each epoch has a piece of its own."""

import shutil
from collections.abc import Callable
from pathlib import Path

import datasets

from nmt import processes
from nmt.config import Training
from nmt.data.datamodule import MakePiece, lengths_of, open_dataset
from nmt.data.shortening import SIDES, shortened
from nmt.errors import Say
from nmt.files import errors_named

WritePiece = Callable[[int, Path, Path], None]
"""Writes a prepared piece of the corpus: its number from 0, where, the folder of the tokenizers."""

OpenCorpus = Callable[[], WritePiece]
"""Opens a corpus to be read in pieces."""

MEMORY = 2e9
"""Bytes that the writing of a piece may take: 1.6 GB were measured in `nmt prepare`."""


def memory_beside(free: float) -> float:
    """Bytes of the free memory that batches leave to the writing of pieces."""
    return min(MEMORY, free / 2)


def clear_pieces(folder: Path) -> None:
    """Removes the pieces in a run's folder."""
    for old in folder.glob(".piece-*.partial"):
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
