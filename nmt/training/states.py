"""The state from which a run is resumed: saved atomically, kept twice, verified when read."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any
from zipfile import BadZipFile, ZipFile

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from nmt import processes
from nmt.errors import Say, UserError
from nmt.files import rename, write_atomically
from nmt.processes import ENDINGS

LAST = "last.ckpt"
BEFORE_LAST = f"before-{LAST}"
"""The state before the last, in case the last is damaged."""

SAVE_SECONDS = 600.0
"""The longest time that work goes unsaved between two validations."""

LEAVING = b"\nsaving after this update or validation; once more to leave at once\n"

KEYS = ("state_dict", "optimizer_states", "lr_schedulers", "callbacks", "loops", "global_step")
"""The keys of a run's state."""


class Interrupted(BaseException):
    """A signal has asked for an end of training, and the state is saved."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class Signals:
    """Ctrl-C and SIGTERM as requests, which are honoured between two updates.

    An interrupt inside an optimiser's step would leave half an update. A second signal ends the
    process at once, as it would any other.
    """

    def __init__(self) -> None:
        self.asked: int | None = None

    def listen(self) -> None:
        """Handles both signals from now on; only a program's main thread can."""
        if threading.current_thread() is threading.main_thread():
            for number in ENDINGS:
                signal.signal(number, self._ask)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked is not None:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self.asked = number
        if processes.rank() == 0:
            os.write(2, LEAVING)  # Python's streams may be in the middle of a line

    def wish(self) -> int:
        """The signal that was received, or 0; the death of the launcher counts as SIGTERM."""
        return self.asked or (signal.SIGTERM if processes.is_orphan() else 0)


@contextmanager
def exits() -> Iterator[None]:
    """Lets Ctrl-C and SIGTERM end the program with their usual exit status."""
    handlers = {number: signal.getsignal(number) for number in ENDINGS}
    try:
        yield
    except Interrupted as leaving:
        if leaving.number == signal.SIGINT:
            raise KeyboardInterrupt from None
        raise SystemExit(128 + leaving.number) from None
    except SystemExit as leaving:
        # Before the first update, Lightning handles the signals: it exits with status 1 on Ctrl-C
        # and 0 on SIGTERM.
        if isinstance(leaving.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise SystemExit(128 + signal.SIGTERM) from None
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in handlers.items():
                signal.signal(number, handler)


class SavedState(Callback):
    """Saves the state: at the start, after each validation, periodically, and when asked to end.

    It comes after the callbacks whose state it saves, since what they do at the end of an update
    belongs to that update. Several processes save and end after the same update, whichever of them
    received the signal; one writes.

    Args:
        folder: the run's folder.
        every: updates between validations. A state from just before one would miss it.
        signals: the requests to end.
        began: called by the process that writes, once a new run can be resumed.
    """

    def __init__(
        self, folder: Path, every: int, signals: Signals, began: Callable[[], object]
    ) -> None:
        self.folder = folder
        self.every = every
        self.signals = signals
        self.began = began
        self._saved = 0.0

    def on_sanity_check_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if processes.world() > 1:
            self.signals.listen()  # Lightning would stop one process alone

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.signals.listen()  # after Lightning, which also listens
        if trainer.global_step == 0:
            self._save(trainer)
            if processes.rank() == 0:
                self.began()
        self._saved = time.monotonic()

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        if trainer.global_step % self.every == 0:
            return
        late = time.monotonic() - self._saved >= SAVE_SECONDS
        wish, save = processes.all_max(self.signals.wish(), late)
        if wish or save:
            self._save(trainer)
        self._leave(wish)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.sanity_checking:
            self._save(trainer)
            self._leave(*processes.all_max(self.signals.wish()))

    def _save(self, trainer: pl.Trainer) -> None:
        last = self.folder / LAST
        if processes.rank() > 0:
            trainer.save_checkpoint(last)  # waits for the one that writes
        else:
            if last.exists():
                rename(last, self.folder / BEFORE_LAST)
            write_atomically(last, trainer.save_checkpoint)
        self._saved = time.monotonic()

    def _leave(self, wish: float) -> None:
        if wish:
            raise Interrupted(int(wish))


def states_of(folder: Path) -> list[Path]:
    """The states from which a run can be resumed, the last first; a run that was killed while
    saving has only the one before."""
    return [path for path in (folder / LAST, folder / BEFORE_LAST) if path.exists()]


def newest_state(folder: Path, say: Say) -> Path | None:
    """The state to resume from; None if there never was one.

    A damaged state is reported and skipped. The one before takes its place, so that the next save
    does not replace the only intact state by a damaged one.

    Raises:
        UserError: all states are damaged.
    """
    found = states_of(folder)
    for path in found:
        fault = _fault(path)
        if fault is None:
            rename(path, folder / LAST)
            return folder / LAST
        say(f"{path}: passed over, for it is {fault}")
    if found:
        raise UserError(
            f"{found[0]}: expected the state of a training run, found a damaged file; restore it "
            "from a copy of the run, or start over with --fresh"
        )
    return None


def _fault(path: Path) -> str | None:
    """What is wrong with a state, as an adjective or a noun; None if it is intact."""
    try:
        with ZipFile(path) as archive:
            if archive.testzip() is not None:  # reads all of it and checks the checksums
                return "damaged"
        state = torch.load(path, map_location="meta", weights_only=True)
    except (BadZipFile, OSError, EOFError, RuntimeError, ValueError, KeyError):
        return "damaged"
    except Exception as error:  # an unpickler may raise anything on foreign bytes
        return f"not a state of ours ({type(error).__name__})"
    whole = isinstance(state, dict) and all(key in state for key in KEYS)
    return None if whole else "not the state of a training run"
