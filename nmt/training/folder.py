"""A run's folder: what belongs in it, how it begins, and an old run put aside for a new one."""

import re
import shutil
from functools import partial
from pathlib import Path

from nmt import checkpoint
from nmt.config import Config
from nmt.errors import UserError
from nmt.files import FURNITURE, rename, write_atomically
from nmt.training.states import BEFORE_LAST, LAST, states_of
from nmt.vocab import JOINT, SEPARATE, tokenizer_files

OWN = {
    *(checkpoint.CONFIG, checkpoint.MANIFEST, checkpoint.METRICS, checkpoint.WEIGHTS),
    *(LAST, BEFORE_LAST, JOINT, *SEPARATE, "curves.png", "logs", *FURNITURE),
}
"""The names of a run's files; its evaluations, whose names begin so, are its own too."""


def check_folder(folder: Path, prepared: Path, init_from: Path | None) -> None:
    """Keeps a run out of the folders that it reads.

    Raises:
        UserError: the run's folder is one of them or holds one, or is not a folder.
    """
    for name, other in (("data.folder", prepared), ("--init-from", init_from)):
        if other and other.resolve().is_relative_to(folder.resolve()):
            raise UserError(f"training.folder: {folder} is {name} too, or holds it; choose another")
    if folder.exists() and not folder.is_dir():
        raise UserError(f"training.folder: expected {folder} to be a folder, found a file")


def expect_own(folder: Path) -> None:
    """Keeps a new run from settling among other files, and from deleting them with an old one.

    Raises:
        UserError: the folder holds something that is not a run's.
    """
    for path in sorted(folder.iterdir()) if folder.exists() else ():
        hidden = path.name.startswith(".") and path.suffix != ".journal"  # of a translation
        report = path.name.startswith("evaluation") and path.is_dir()
        if path.name not in OWN and not hidden and not report:
            raise UserError(
                f"training.folder: expected {folder} to be new or a run, found {path.name} in it; "
                "move that away or choose another training.folder"
            )


def begin(folder: Path, origin: Path, config: Config) -> None:
    """Begins a run's folder: its settings and its own copy of the tokenizer.

    Raises:
        UserError: the folder holds something else.
    """
    expect_own(folder)
    checkpoint.write_config(folder, config)
    for file in tokenizer_files(folder):  # left by a start that failed
        file.unlink()
    for file in tokenizer_files(origin):
        write_atomically(folder / file.name, partial(shutil.copyfile, file))


def put_aside(folder: Path) -> None:
    """Makes room for a new run; the old one is kept beside the folder until that has begun.

    Raises:
        UserError: the folder holds something else, which is not deleted.
    """
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not (folder / checkpoint.CONFIG).exists() or not tokenizer_files(folder):
        raise UserError(
            f"training.folder: expected {folder} to be new or a run, found something else, which "
            "--fresh does not delete; remove it by hand or choose another training.folder"
        )
    expect_own(folder)
    place = folder.resolve()
    rename(place, _aside(folder))
    place.mkdir()  # a link to the folder stays valid


def settle(folder: Path) -> None:
    """Deletes the run that was put aside if a new one has begun, else puts it back."""
    aside = _aside(folder)
    if not aside.exists():
        return
    if states_of(folder) or (folder / checkpoint.WEIGHTS).exists():
        shutil.rmtree(aside, ignore_errors=True)
    else:
        place = folder.resolve()
        shutil.rmtree(place, ignore_errors=True)
        rename(aside, place)


def _aside(folder: Path) -> Path:
    place = folder.resolve()
    return place.with_name(f".{place.name}.deleted")


def clear_partial(folder: Path) -> None:
    """Removes what a killed process had not finished writing of a run."""
    for path in folder.glob(".*.partial"):
        written = re.fullmatch(r"\.(.+)\.\d+\.partial", path.name)
        if written and written[1] in OWN:  # not a translation that somebody writes here
            path.unlink(missing_ok=True)
        elif path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
