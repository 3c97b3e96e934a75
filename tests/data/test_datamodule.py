"""A prepared folder as training reads it."""

import shutil
from pathlib import Path

import pytest

from nmt.data.datamodule import open_dataset
from nmt.errors import UserError
from tests.toy import Toy


def test_a_damaged_folder_is_named(toy: Toy, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(toy.prepared, tmp_path / "copied"))
    [file] = (folder / "dataset" / "train").glob("*.arrow")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(UserError, match=r"copied: expected whole prepared data, found damaged"):
        open_dataset(folder)
