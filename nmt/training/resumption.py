"""Whether a run's folder may be gone on with, and what was decided when it was started."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from nmt import checkpoint
from nmt.config import Config, from_dict, read_yaml
from nmt.errors import UserError

# Keys that may change between the start of a run and its resumption: they alter neither the
# model nor the data nor what the saved state means.
FREE_KEYS = {
    "data.folder",
    "training.folder",
    "training.max_epochs",
    "training.max_steps",
    "training.patience",
    "training.validate_every",
    "training.validation_beam",
    "training.learning_rate",
    "training.warmup_steps",
    "training.schedule",
    "training.final_rate",
    "training.label_smoothing",
    "training.clip_norm",
    "training.weight_decay",
    "training.log_every",
}


def facts_to_resume(folder: Path, config: Config, data_hash: str) -> dict[str, Any] | None:
    """The manifest's facts of the run that a folder holds; None if there is nothing to resume.

    Raises:
        UserError: the folder's run cannot be resumed, or not with these settings or this data.
    """
    if not (folder / checkpoint.LAST).exists():
        if (folder / checkpoint.MANIFEST).exists():
            raise UserError(
                f"{folder}: holds a trained model but no {checkpoint.LAST} to resume from; "
                "start over with --fresh or choose another training.folder"
            )
        return None
    manifest = checkpoint.read_manifest(folder)
    path = folder / checkpoint.CONFIG
    before = _flat(asdict(from_dict(read_yaml(path), str(path))))
    now = _flat(asdict(config))
    for key in sorted(before.keys() | now.keys()):
        if (
            key not in FREE_KEYS
            and not key.startswith("decoding.")
            and before.get(key) != now.get(key)
        ):
            raise UserError(
                f"{folder}: {key} was {before.get(key)!r} when this run was started and is now "
                f"{now.get(key)!r}; set it back, choose another training.folder, or start over "
                "with --fresh"
            )
    if manifest["data_hash"] != data_hash:
        raise UserError(
            f"{folder}: the data in {config.data.folder} has changed since this run was started; "
            "choose another training.folder, or start over with --fresh"
        )
    return manifest


def already_finished(facts: dict[str, Any], config: Config, steps: int) -> str | None:
    """Why a run has nothing left to do, as a clause; None if it has."""
    finished = facts.get("finished")
    if finished is None:
        return None
    if finished["step"] >= steps:
        return f"all {finished['step']} updates are done"
    if finished["patience"] == config.training.patience and finished["step"] < finished["steps"]:
        return f"it stopped early, after {finished['step']} updates, for want of a better BLEU"
    return None


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
