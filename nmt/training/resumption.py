"""Whether a run may be resumed, and what was decided when it was started."""

from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from nmt import checkpoint, options, processes
from nmt.config import Config
from nmt.data.datamodule import TranslationData
from nmt.errors import Say, UserError
from nmt.files import read_json, sha256
from nmt.model.seq2seq import Seq2Seq
from nmt.schema import differing, flat
from nmt.training.objectives import OBJECTIVES, MinimumRisk
from nmt.training.pieces import corpus_in_pieces
from nmt.training.precision import choose_precision, device
from nmt.training.states import LAST, states_of
from nmt.vocab import tokenizer_files

Origin = dict[str, Any]
"""What identifies prepared data: `data_hash`, and `corpus`, None unless it is read in pieces."""

# Keys that may change when a run is resumed: they alter neither the model nor the data nor the
# meaning of the saved state.
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
    "training.clip_value",
    "training.weight_decay",
    "training.log_every",
    "training.processes",
}

# The data are identified by their hash; where they came from does not matter.
FREE_SECTIONS = ("decoding.", "data.corpus.")


def check_objective(config: Config, init_from: Path | None, fresh: bool) -> None:
    """Keeps minimum risk training from starting with random weights.

    Raises:
        UserError: no trained run is named, and there is none to resume.
    """
    objective = options.build(OBJECTIVES, config.training.objective)
    resumed = not fresh and states_of(Path(config.training.folder))
    if isinstance(objective, MinimumRisk) and not init_from and not resumed:
        raise UserError(
            "training.objective: risk tunes a trained run, expected --init-from RUN, found none"
        )


def with_inherited_model(
    config: Config, parent: checkpoint.Run | None, fresh: bool, say: Say
) -> Config:
    """The settings with the model of the run that this one is or was started from, if any."""
    folder = Path(config.training.folder)
    if parent:
        model = parent.config.model
    elif not fresh and states_of(folder) and checkpoint.read_manifest(folder).get("parent"):
        model = checkpoint.read_config(folder).model
    else:
        return config
    defaults, own, given = (
        flat(one, "model.") for one in (options.check(Seq2Seq, {}, "model"), model, config.model)
    )
    others = (key for key in given if given[key] not in (own.get(key), defaults.get(key)))
    if ignored := ", ".join(sorted(others, key=kinds_first)):
        say(f"{folder}: the model is that of the run it starts from; ignored: {ignored}")
    return replace(config, model=model)


def expect_same_data(data_hash: str, prepared: Path) -> None:
    """Requires that all processes have the same data, on whatever machine.

    Raises:
        UserError: process 1 has other data.
    """
    if processes.from_first(lambda: data_hash) != data_hash:
        raise UserError(
            f"{prepared}: expected the data that process 1 of {processes.world()} has, found "
            "others of that name; several machines need the same, best on a disk that all share"
        )


def expect_shared(folder: Path) -> None:
    """Requires that a folder is the one that process 1 writes to.

    Raises:
        UserError: it holds no run, or another one.
    """

    def held() -> tuple[str, list[tuple[str, int]]]:
        manifest = folder / checkpoint.MANIFEST
        states = [(path.name, path.stat().st_size) for path in states_of(folder)]
        return sha256(manifest) if manifest.exists() else "", states

    wanted, found = processes.from_first(held), held()
    processes.barrier()  # before process 1 writes more
    if wanted != found or not (folder / checkpoint.CONFIG).exists():
        raise UserError(
            f"{folder}: expected the run that process 1 of {processes.world()} has opened, found "
            "another or none; several machines need this folder on a disk that all of them share"
        )


def check_prepared(prepared: Path, config: Config, say: Say) -> Origin:
    """The identity of prepared data, after checking that they match the settings.

    The corpus may differ: its files may have been named on `nmt prepare`'s command line.

    Raises:
        UserError: the data were prepared with other settings.
    """
    manifest = read_json(prepared / checkpoint.MANIFEST)
    was, now = manifest["settings"], asdict(config.data)
    if change := next(_changes({"data": was}, {"data": now}), None):
        key, before, after = change
        raise UserError(
            f"{prepared}: was prepared with {key} {before!r}, expected {after!r}; run "
            "`nmt prepare` again or set the key back"
        )
    corpora = ({"data": {"corpus": one["corpus"]}} for one in (was, now))
    if others := sorted(key for key, _, _ in differing(*corpora)):
        told = (
            f"{prepared}: was prepared with another {', '.join(others)} than the configuration "
            "names"
        )
        if config.data.piece:
            raise UserError(
                f"{told}, and its further pieces are read from there; run `nmt prepare` again or "
                "set the key back"
            )
        say(f"{told}, and is used as it is")
    return {"data_hash": manifest["data_hash"], "corpus": corpus_in_pieces(manifest)}


def facts_to_resume(
    folder: Path,
    state: Path | None,
    config: Config,
    origin: Origin,
    parent: checkpoint.Run | None,
) -> dict[str, Any] | None:
    """The manifest of the run in a folder; None if there is nothing to resume.

    Args:
        folder: the run's folder.
        state: the saved state of its training, if there is one.
        config: the current settings.
        origin: the identity of the current data.
        parent: the run that --init-from names.

    Raises:
        UserError: the folder's run cannot be resumed, or not with these settings or this data.
    """
    if state is None:
        if (folder / checkpoint.WEIGHTS).exists():
            raise UserError(
                f"{folder}: holds a trained model but no {LAST} to resume from; "
                "start over with --fresh or choose another training.folder"
            )
        return None
    manifest = checkpoint.read_manifest(folder)
    for file in tokenizer_files(folder):
        if manifest["files"].get(file.name) != sha256(file):
            raise checkpoint.damaged(file)
    settings = asdict(checkpoint.read_config(folder))
    if change := next(_changes(settings, asdict(config)), None):
        key, before, after = change
        raise UserError(
            f"{folder}: {key} was {before!r} when this run was started and is now {after!r}; set "
            "it back, choose another training.folder, or start over with --fresh"
        )
    if any(manifest.get(key) != value for key, value in origin.items()):
        raise UserError(
            f"{folder}: the data in {config.data.folder} has changed since this run was started; "
            "choose another training.folder, or start over with --fresh"
        )
    if parent and parent.manifest["files"][checkpoint.WEIGHTS] != manifest["parent"]:
        raise UserError(
            f"{folder}: this run was not started from {parent.folder} as it is now; leave "
            "--init-from out to resume, choose another training.folder, or start over with --fresh"
        )
    return manifest


def other_machine(facts: dict[str, Any]) -> str | None:
    """What has changed since the run was last saved that may affect its results, if anything."""
    was, now = facts["versions"], checkpoint.versions()
    changed = [
        f"{name} {was.get(name, 'none')} is {now.get(name, 'none')}"
        for name in was | now
        if was.get(name) != now.get(name) and (name in was or name == "gpu")
    ]
    if not changed:
        return None
    return f"goes on elsewhere than it began ({', '.join(changed)}): its last digits may differ"


def other_processes(facts: dict[str, Any]) -> str | None:
    """A note for the user if the number of processes has changed since the run was saved."""
    was, now = facts["choices"].get("processes", 1), processes.world()
    if was == now:
        return None
    return (
        f"goes on in {now} processes where it was {was}: with the same batches, but other draws of "
        "dropout and other roundings"
    )


def already_finished(facts: dict[str, Any], config: Config, steps: int) -> str | None:
    """Why a run has nothing left to do, as a clause; None if there is more to do."""
    finished = facts.get("finished")
    if finished is None:
        return None
    if finished["step"] >= steps:
        return f"all {finished['step']} updates are done"
    if finished["patience"] == config.training.patience and finished["step"] < finished["steps"]:
        return f"it stopped early, after {finished['step']} updates: no validation was better"
    return None


def with_new_decoding(config: Config, say: Say) -> None:
    """Records what may still change of a finished run: how it decodes, and where its data lie."""
    folder = Path(config.training.folder)
    was = checkpoint.read_config(folder)
    data = replace(was.data, folder=config.data.folder)
    now = replace(was, decoding=config.decoding, data=data)
    trained = checkpoint.read_manifest(folder)
    # Not so if a session was killed between the two files.
    fits = trained["files"].get(checkpoint.CONFIG) == sha256(folder / checkpoint.CONFIG)
    if (now != was or not fits) and processes.rank() == 0:
        checkpoint.write_config(folder, now)
        checkpoint.write_manifest(folder, trained, trained=False)
        say(f"{folder}: decoding and data.folder are now those of the configuration")


def _changes(was: dict[str, Any], now: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """The keys that differ but must not, with both values."""
    found = {key: (key, *both) for key, *both in differing(was, now)}
    for key in sorted(found, key=kinds_first):
        if key not in FREE_KEYS and not key.startswith(FREE_SECTIONS):
            yield found[key]


def kinds_first(key: str) -> tuple[bool, str]:
    """An order of keys: another kind has other keys."""
    return not key.endswith("kind"), key


def new_facts(
    config: Config,
    data: TranslationData,
    origin: Origin,
    model: Seq2Seq,
    parent: checkpoint.Run | None,
) -> dict[str, Any]:
    """What is decided once, at the start of a run, and kept in its manifest."""
    return {
        "languages": [config.data.source_language, config.data.target_language],
        **origin,
        "parent": parent.manifest["files"][checkpoint.WEIGHTS] if parent else None,
        "parameters": model.parameters_count(),
        "max_source_length": int(data.plan.source_lengths.max()),
        "choices": {
            "precision": choose_precision(config.training.precision, device()),
            **layout_of(config),
            # Only if batches are or may be cut: free memory is never the same twice.
            **({"memory": data.plan.room.size} if data.is_cut or data.make_piece else {}),
        },
    }


def layout_of(config: Config) -> dict[str, int]:
    """Threads of each process, and processes; their launcher has divided the machine's threads."""
    threads = config.training.threads or torch.get_num_threads()
    return {"threads": threads, "processes": processes.world()}
