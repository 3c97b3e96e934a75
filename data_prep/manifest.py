"""`manifest.json`: the inputs, settings and results of a prepared folder."""

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path, PurePath
from typing import Any

from nmt.config import Data
from nmt.errors import UserError
from nmt.files import FURNITURE, sha256, write_json
from nmt.schema import differing

FORMAT = 1
KIND = "prepared data"
NAME = "manifest.json"
DEFINING = ("*.arrow", "tokenizer*.json")
"""The files that constitute the data; the others only describe them."""
NEEDED = {"format", "settings", "inputs", "files"}
"""The keys without which nobody can tell what was prepared."""

Manifest = dict[str, Any]


def settings_of(data: Data) -> dict[str, Any]:
    """The settings that determine what is prepared: all but the folder."""
    settings = asdict(data)
    del settings["folder"]
    return settings


def make(
    folder: Path, data: Data, inputs: Mapping[str, str], results: Mapping[str, Any]
) -> Manifest:
    """The manifest of a folder that is otherwise complete.

    Its `data_hash` covers only the sentences, ids and tokenizers: identical data have the same
    hash, wherever they are stored and whatever settings produced them.
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    files = {path.relative_to(folder).as_posix(): sha256(path) for path in paths}
    identity = [
        [name, digest]
        for name, digest in files.items()
        if any(PurePath(name).match(pattern) for pattern in DEFINING)
    ]
    return {
        "format": FORMAT,
        "kind": KIND,
        "languages": [data.source_language, data.target_language],
        "data_hash": hashlib.sha256(json.dumps(identity).encode()).hexdigest(),
        **results,
        "settings": settings_of(data),
        "inputs": dict(inputs),
        "files": files,
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("datasets", "pyarrow", "tokenizers")},
        },
    }


def write(folder: Path, manifest: Manifest) -> None:
    """Writes the manifest; the folder itself is then moved into place atomically."""
    write_json(folder / NAME, manifest)


def read(folder: Path) -> Manifest | None:
    """The manifest of a prepared folder, or None if the folder is missing or empty.

    Raises:
        UserError: the folder holds something else, which must not be overwritten.
    """
    inside = {path.name for path in folder.iterdir()} if folder.is_dir() else None
    if not folder.exists() or (inside is not None and inside <= {*FURNITURE}):
        return None
    try:
        manifest = json.loads((folder / NAME).read_text(encoding="utf-8"))
        if manifest["kind"] == KIND and manifest.keys() >= NEEDED:
            return dict(manifest)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise UserError(
        f"data.folder: expected {folder} to be new or prepared data, found something else, which "
        "is not overwritten; remove it or choose another folder"
    )


def changes(folder: Path, old: Manifest, data: Data, inputs: Mapping[str, str]) -> list[str]:
    """Describes how a prepared folder differs from what is now requested."""
    if old["format"] != FORMAT:
        return [f"format {old['format']} -> {FORMAT}"]
    was, now = {"data": old["settings"]}, {"data": settings_of(data)}
    found = [
        f"{key} {_shown(before)} -> {_shown(after)}" for key, before, after in differing(was, now)
    ]
    before = old["inputs"]
    for name in sorted({*before, *inputs}):
        if before.get(name) != inputs.get(name):
            what = "come" if name not in before else "changed" if name in inputs else "gone"
            found.append(f"input {name} has {what}")
    return found + [
        f"{folder / name} is damaged or gone"
        for name, digest in old["files"].items()
        if not (folder / name).is_file() or sha256(folder / name) != digest
    ]


def _shown(value: Any) -> str:
    return "(none)" if value is None else json.dumps(value, ensure_ascii=False)
