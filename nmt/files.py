"""Atomic writing, locking, reading and digests of files."""

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import yaml

from nmt.errors import UserError

FURNITURE = (".DS_Store", "Thumbs.db", "desktop.ini")
"""Files that operating systems leave in folders that were viewed."""
TRY_SECONDS = 60.0
"""How long each attempt to lock a folder waits."""
FAR = 0x7FFFFFF0
"""An offset beyond what is read of a file, at which a byte is locked on Windows."""
WAITS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""Seconds to wait before each retry of a rename that Windows has refused."""


def rename(source: Path, target: Path) -> None:
    """Renames a file or folder, replacing a file that has the name.

    Windows refuses this while another program, such as a virus scanner, has it open.
    """
    for wait in WAITS if sys.platform == "win32" else ():
        with suppress(PermissionError):
            source.replace(target)
            return
        time.sleep(wait)
    source.replace(target)


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Lets `write` fill a temporary file beside `path`, then syncs it to disk and renames it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with errors_named(path):
            write(partial)
            with partial.open("rb+") as file:
                os.fsync(file.fileno())
            rename(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


@contextmanager
def alone(
    folder: Path,
    waiting: Callable[[], object],
    agreed: Callable[[Callable[[], bool]], bool] = lambda enter: enter(),
) -> Iterator[None]:
    """Locks a folder, waiting until no other process works on it.

    Args:
        folder: the folder to be made or changed; the lock lies beside it.
        waiting: called before waiting.
        agreed: lets one of several processes try on behalf of all. The others wait for it only for
            a limited time, so each attempt is short and is repeated.
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
    """Keeps other processes out of a folder, if its file system supports locks.

    Raises:
        TimeoutError: another process held the lock for that many seconds.
        UserError: the folder is a whole disk.
    """
    from filelock import FileLock

    place = folder.resolve()
    if not place.name:
        raise UserError(f"{folder}: expected a folder on a disk, found the disk; choose a name")
    with errors_named(place.parent):
        place.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(place.with_name(f".{place.name}.lock"), fallback_to_soft=False)
    # A folder in a read-only place may be complete already; and some file systems have no locks.
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


def lock(stream: BinaryIO) -> None:
    """Locks a file against other processes for as long as it is open.

    Raises:
        BlockingIOError: another process has locked it.
    """
    if sys.platform == "win32":
        import msvcrt

        stream.seek(FAR)  # locked bytes cannot be read, so lock one that nobody reads
        try:
            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
        except PermissionError:
            raise BlockingIOError from None
    else:
        import fcntl

        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)


def expect_closed(path: Path) -> None:
    """Refuses a file that Windows would not let us replace later."""
    if sys.platform == "win32" and path.exists():
        try:
            path.open("ab").close()
        except OSError as error:
            raise UserError(
                f"{path}: cannot be replaced ({error.strerror}); close it in other programs"
            ) from None


@contextmanager
def errors_named(path: Path | None) -> Iterator[None]:
    """Adds the file name to system errors that have none, such as that of a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno and error.filename is None:
            error.filename = str(path or "standard output")
        raise


def write_text(path: Path, text: str) -> None:
    """Writes a text file atomically, keeping the text's line endings.

    The name of a file that is not UTF-8 is escaped, which JSON and YAML read back.
    """
    write_atomically(path, lambda file: file.write_bytes(text.encode(errors="backslashreplace")))


def write_json(path: Path, content: Any) -> None:
    """Writes a JSON file atomically."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Reads a JSON file.

    Raises:
        UserError: the file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: expected a file here, found none") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not valid JSON ({error})") from None


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice, of which YAML would drop the first."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                problem = f"the key {key.value!r} stands twice"
                raise yaml.composer.ComposerError(None, None, problem, key.start_mark)
            seen.add(key.value)
        return node


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file's mapping.

    Raises:
        UserError: no such file, or not YAML.
    """
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except (FileNotFoundError, IsADirectoryError):
        raise UserError(f"{path}: expected a configuration file here, found none") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: expected a YAML file in UTF-8, found other bytes") from None
    except RecursionError:
        raise UserError(f"{path}: not valid YAML: more levels than can be read") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: 2020-13-45, which is no date
        raise UserError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(raw, dict):
        found = {type(None): "nothing", str: "plain text", list: "a list"}.get(type(raw), raw)
        raise UserError(
            f"{path}: expected keys and values in YAML, as configs/ has them, found {found}"
        )
    return raw


def sha256(path: Path) -> str:
    """Hexadecimal digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
