"""Files that are whole or absent, and their digests."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from nmt.errors import UserError

TRY_SECONDS = 60.0
"""How long is waited for a folder at a time."""


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Lets `write` fill a temporary file beside `path` and renames it once it is on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with errors_named(path):
            write(partial)
            with partial.open("rb+") as file:
                os.fsync(file.fileno())
            partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


@contextmanager
def alone(
    folder: Path,
    waiting: Callable[[], object],
    agreed: Callable[[Callable[[], bool]], bool] = lambda enter: enter(),
) -> Iterator[None]:
    """While another process works on the same folder, waits until it is done.

    Args:
        folder: that is made or changed; the lock lies beside it.
        waiting: called before it waits.
        agreed: makes one of several processes try for all, which wait for each other, but not
            without end: it tries again and again.
    """
    with ExitStack() as stack:

        def enter(seconds: float) -> bool:
            try:
                stack.enter_context(locked(folder, seconds))
            except TimeoutError:
                return False
            return True

        if not agreed(lambda: enter(0)):
            waiting()
            while not agreed(lambda: enter(TRY_SECONDS)):
                pass
        yield


@contextmanager
def locked(folder: Path, seconds: float) -> Iterator[None]:
    """Keeps other processes out of a folder, where its file system can.

    Raises:
        TimeoutError: another process was in it for so many seconds.
    """
    from filelock import FileLock

    place = folder.resolve()
    with errors_named(place.parent):
        place.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(place.with_name(f".{place.name}.lock"), fallback_to_soft=False)
    # Where nothing can be made it may be there already; and some file systems have no locks.
    if os.access(place.parent, os.W_OK):
        try:
            lock.acquire(timeout=seconds)
        except TimeoutError:
            raise
        except (OSError, NotImplementedError):
            pass
    try:
        yield
    finally:
        lock.release()


@contextmanager
def errors_named(path: Path | None) -> Iterator[None]:
    """Gives the system's errors the name of the file that they are about: a full disk has none."""
    try:
        yield
    except OSError as error:
        if error.errno and error.filename is None:
            error.filename = str(path or "standard output")
        raise


def write_text(path: Path, text: str) -> None:
    """Writes a text file atomically, with the line ends that the text has."""
    write_atomically(path, lambda file: file.write_bytes(text.encode()))


def write_json(path: Path, content: Any) -> None:
    """Writes a JSON file atomically."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Reads a JSON file.

    Raises:
        UserError: no such file, or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: expected a file here, found none") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not valid JSON ({error})") from None


def sha256(path: Path) -> str:
    """Hexadecimal digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
