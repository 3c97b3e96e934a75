"""A file is there whole or not at all, whatever happens while it is written."""

import hashlib
import os
import sys
import time
from pathlib import Path

import pytest

from nmt.errors import UserError
from nmt.files import WAITS, read_json, rename, sha256, write_atomically, write_json


def torn(file: Path) -> None:
    """A writer that fails half way, as for a full disk."""
    file.write_text("half of", encoding="utf-8")
    raise OSError("no space left on device")


def interrupted(file: Path) -> None:
    file.write_text("half of", encoding="utf-8")
    raise KeyboardInterrupt


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_with_the_folders_above_it(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file.txt"
    write_atomically(path, lambda file: file.write_text("text", encoding="utf-8"))
    assert path.read_text(encoding="utf-8") == "text"
    assert names(path.parent) == ["file.txt"]


@pytest.mark.parametrize(("write", "error"), [(torn, OSError), (interrupted, KeyboardInterrupt)])
@pytest.mark.parametrize("existing", [["file.txt"], []])
def test_a_failed_write_leaves_what_was_there_and_nothing_else(
    tmp_path: Path, write: object, error: type[BaseException], existing: list[str]
) -> None:
    assert callable(write)
    path = tmp_path / "file.txt"
    for name in existing:
        (tmp_path / name).write_text("old", encoding="utf-8")
    with pytest.raises(error):
        write_atomically(path, write)
    assert names(tmp_path) == existing
    assert [file.read_text(encoding="utf-8") for file in tmp_path.iterdir()] == ["old"] * len(
        existing
    )


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_a_failure_on_the_way_to_the_disk_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError("input/output error")

    path = tmp_path / "file.txt"
    path.write_text("old", encoding="utf-8")
    if broken == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    else:
        monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="input/output error"):
        write_atomically(path, lambda file: file.write_text("new", encoding="utf-8"))
    assert names(tmp_path) == ["file.txt"]
    assert path.read_text(encoding="utf-8") == "old"


def test_a_file_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, synced = tmp_path / "file.txt", []
    fsync = os.fsync

    def watched(descriptor: int) -> None:
        synced.append((path.exists(), os.fstat(descriptor).st_size))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    write_atomically(path, lambda file: file.write_text("text", encoding="utf-8"))
    assert synced == [(False, 4)]


@pytest.mark.parametrize(
    ("platform", "refusals", "waits"),
    [("win32", 2, WAITS[:2]), ("win32", 9, WAITS), ("linux", 1, ())],
    ids=["a moment", "for good", "elsewhere"],
)
def test_windows_is_given_time_to_let_go_of_a_file(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    platform: str,
    refusals: int,
    waits: tuple[float, ...],
) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    slept: list[float] = []
    source.write_text("new")
    replace, left = Path.replace, iter(range(refusals))

    def refusing(path: Path, to: Path) -> Path:
        if next(left, None) is not None:
            raise PermissionError(13, "Access is denied")
        return replace(path, to)

    monkeypatch.setattr(Path, "replace", refusing)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(time, "sleep", slept.append)
    if refusals > len(waits):
        with pytest.raises(PermissionError):
            rename(source, target)
    else:
        rename(source, target)
        assert target.read_text() == "new"
    assert tuple(slept) == waits


def test_json_is_readable_and_comes_back(tmp_path: Path) -> None:
    content = {"languages": ["es", "uk"], "sample": "señor «Ґ» 🦜", "score": 33.25, "none": None}
    write_json(tmp_path / "facts.json", content)
    assert read_json(tmp_path / "facts.json") == content
    assert "señor «Ґ» 🦜" in (tmp_path / "facts.json").read_text(encoding="utf-8")


def test_what_is_no_json_value_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert read_json(path) == {"a": 1}
    assert names(tmp_path) == ["facts.json"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "expected a file here, found none"),
        (b'{"a": 1', "not valid JSON"),
        (b"", "not valid JSON"),
        (b"\xff\xfe\x00", "not valid JSON"),
    ],
    ids=["missing", "cut", "empty", "binary"],
)
def test_a_bad_json_file_is_named(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "facts.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=message) as error:
        read_json(path)
    assert str(error.value).startswith(f"{path}: ")


def test_the_digest_is_that_of_the_bytes(tmp_path: Path) -> None:
    content = os.urandom(1 << 20)
    (tmp_path / "file").write_bytes(content)
    assert sha256(tmp_path / "file") == hashlib.sha256(content).hexdigest()
