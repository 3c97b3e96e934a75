"""The data that runs were trained on, if it still exists unchanged."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from datasets import DatasetDict

from nmt import checkpoint
from nmt.data.datamodule import encoded_for, open_dataset
from nmt.errors import Say, UserError
from nmt.files import read_json


def training_data(
    runs: Sequence[Path], otherwise: str = "name a test set by --src and --ref"
) -> DatasetDict:
    """The data set that all these runs were trained on.

    Args:
        runs: the folders of the runs.
        otherwise: what the user can do if the data is not available, for error messages.

    Raises:
        UserError: the runs were trained on different data, or the data is missing or has changed.
    """
    hashes = [checkpoint.read_manifest(run)["data_hash"] for run in runs]
    folders = [Path(checkpoint.read_config(run).data.folder) for run in runs]
    found = {
        data_hash: f"{run} on {folder}"
        for data_hash, run, folder in zip(hashes, runs, folders, strict=True)
    }
    if len(found) > 1:
        raise UserError(
            f"expected runs that were trained on the same data, found {', '.join(found.values())}, "
            f"of different content; {otherwise}"
        )
    [data_hash], folder = found, folders[0]
    if not folder.exists():
        raise UserError(
            f"{folder}: expected the data of {runs[0]} here (data.folder, from where you are), "
            f"found none; go to the project's folder, or {otherwise}"
        )
    dataset = open_dataset(folder)
    if read_json(folder / checkpoint.MANIFEST)["data_hash"] != data_hash:
        raise UserError(
            f"{folder}: expected the data that {runs[0]} was trained on, found other data (its "
            f"test split may hold sentences that the run has learnt); {otherwise}"
        )
    return dataset


def training_data_encoded(run: Path, otherwise: str, say: Say) -> DatasetDict:
    """The data set that a run was trained on, encoded with the run's own tokenizer.

    Raises:
        UserError: as `training_data`.
    """
    folder = Path(checkpoint.read_config(run).data.folder)
    # Not into the run's folder, where somebody may be training.
    place = Path(tempfile.gettempdir())
    return encoded_for(run, folder, training_data([run], otherwise), say, place)
