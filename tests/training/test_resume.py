"""A run may be cut anywhere: resumed, it ends where it would have ended."""

import errno
import shutil
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from nmt import checkpoint
from nmt.cli import main
from nmt.errors import UserError
from nmt.files import locked
from nmt.schema import flat
from nmt.training.resumption import FREE_KEYS
from nmt.training.states import BEFORE_LAST, LAST, SavedState, newest_state
from tests.toy import Toy
from tests.training.scripted import PowerCut, Script, assert_alike, same, settings

Trained = Callable[..., Path]


# Nothing is saved between update 4 and the validation of update 8.
@pytest.mark.parametrize(
    ("place", "step", "first", "decay"),
    [
        ("update", 3, 1, 0.4),
        ("update", 6, 5, 0.0),
        ("validation", 8, 5, 0.4),
        ("end", 12, None, 0.4),
    ],
)
def test_a_cut_leaves_no_trace(
    place: str, step: int, first: int | None, decay: float, toy: Toy, whole: Trained, tmp_path: Path
) -> None:
    changes = settings(toy, tmp_path / "run", training__average_decay=decay)
    with pytest.raises(PowerCut):
        Script(cut=(place, step)).run(changes)
    second = Script()
    run = second.run(changes)
    assert second.said[0].startswith("resuming")
    assert min(second.updated, default=None) == first
    assert_alike(run, whole(decay))


def test_a_cut_leaves_no_trace_in_a_network_of_many_parts(toy: Toy, tmp_path: Path) -> None:
    parts = {
        "encoder__kind": "self_attention",
        "decoder__attention__kind": "turing_machine",
        "decoder__attention__slots": 4,
        "decoder__attention__source__kind": "additive",
        "decoder__attention__source__coverage": True,
        "decoder__self_attention__kind": "multihead",
        "decoder__layers": 2,
        "decoder__transitions": 2,
    }
    changes = {f"model__{key}": value for key, value in parts.items()}
    uncut, cut = (settings(toy, tmp_path / name, **changes) for name in ("uncut", "cut"))
    with pytest.raises(PowerCut):
        Script(cut=("update", 6)).run(cut)
    assert_alike(Script().run(cut), Script().run(uncut))


def test_cut_again_and_again(toy: Toy, whole: Trained, tmp_path: Path) -> None:
    changes = settings(toy, tmp_path / "run")
    for cut in (5, 7, 8, 11):
        with pytest.raises(PowerCut):
            Script(cut=("update", cut)).run(changes)
    assert_alike(Script().run(changes), whole())


def test_more_updates_go_on_from_a_finished_run(toy: Toy, whole: Trained, tmp_path: Path) -> None:
    run = Script().run(settings(toy, tmp_path / "run", training__max_steps=8))
    assert checkpoint.read_manifest(run)["finished"]["step"] == 8
    with pytest.raises(PowerCut):
        Script(cut=("update", 10)).run(settings(toy, run))
    # Its settings have changed and the manifest knows it, though no validation came since.
    manifest = checkpoint.load_run(run).manifest
    assert "finished" not in manifest and manifest["best_step"] == 8
    script = Script()
    script.run(settings(toy, run))
    assert min(script.updated) == 9
    assert_alike(run, whole())


def test_a_finished_run_trains_no_more(toy: Toy, whole: Trained) -> None:
    script, run = Script(), whole()
    script.run(settings(toy, run))
    assert not script.updated
    (line,) = script.said
    assert line.startswith(f"{run}: this run is finished: all 12 updates are done; a higher limit")


# patience


def falling(step: int) -> float:
    return 50.0 - step


def test_a_cut_costs_no_patience(toy: Toy, tmp_path: Path) -> None:
    changes = settings(toy, tmp_path / "run", training__patience=2, training__max_steps=100)
    with pytest.raises(PowerCut):
        Script(falling, cut=("update", 10)).run(changes)
    script = Script(falling)
    script.run(changes)
    assert max(script.validated) == 12  # two after the best, that of 4
    assert "BLEU has stopped rising; best validation BLEU 46.00 at update 4" in script.said[-1]


def test_more_patience_goes_on_from_a_finished_run(toy: Toy, tmp_path: Path) -> None:
    patient = [
        settings(toy, tmp_path / "run", training__max_steps=100, training__patience=patience)
        for patience in (2, 4)
    ]
    run = Script(falling).run(patient[0])
    script = Script(falling)
    script.run(patient[0])
    assert not script.updated and "stopped early, after 12 updates" in script.said[-1]
    script.run(patient[1])
    assert sorted(script.validated) == [16, 20]
    assert checkpoint.read_manifest(run)["finished"] == {"step": 20, "steps": 100, "patience": 4}


# what may change between two sessions

MOMENTS: dict[str, Any] = {
    "training.max_epochs": 1,
    "training.max_steps": 7,
    "training.patience": 1,
    "training.validate_every": 5,
}
"""When to validate and when to end: each alone."""

OTHERS: dict[str, Any] = {
    "training.validation_beam": 2,
    "training.learning_rate": 1e-4,
    "training.warmup_steps": 7,
    "training.schedule": "cosine",
    "training.final_rate": 0.5,
    "training.label_smoothing": 0.1,
    "training.clip_norm": 0.0,
    "training.clip_value": 0.1,
    "training.weight_decay": 0.1,
    "training.log_every": 1,
}
"""All at once: one that was not free would be refused by its name."""


def test_what_may_change_is_changed_below(toy: Toy, tmp_path: Path) -> None:
    elsewhere = {"data.folder", "training.folder", "training.processes"}
    assert {*MOMENTS, *OTHERS} | elsewhere == FREE_KEYS
    was = flat(asdict(settings(toy, tmp_path)))
    assert not [key for key, value in {**MOMENTS, **OTHERS}.items() if was[key] == value]


@pytest.mark.parametrize(
    "changes", [*({key: value} for key, value in MOMENTS.items()), OTHERS], ids=[*MOMENTS, "others"]
)
def test_a_run_resumed_with_other_settings_validates_its_last_update(
    toy: Toy, cut_at: Trained, tmp_path: Path, changes: dict[str, Any]
) -> None:
    run = Path(shutil.copytree(cut_at(6), tmp_path / "run"))
    changed = settings(toy, run, **{key.replace(".", "__"): new for key, new in changes.items()})
    script = Script()
    script.run(changed)
    assert script.updated and max(script.updated) == max(script.validated)
    assert script.said[-1].startswith(f"finished after {max(script.updated)} updates")


# what may not change between two sessions


@pytest.mark.parametrize(
    ("key", "value", "old"),
    [
        ("model.decoder.hidden_size", 8, "16"),
        ("model.encoder.cell.kind", "lstm", "'gru'"),
        ("model.dropout", 0.5, "0.2"),
        ("training.seed", 7, "1"),
        ("training.average_decay", 0.5, "0.4"),
        ("training.precision", "bf16", "'fp32'"),
        ("training.batch_tokens", 77, "300"),
        ("training.max_length", 5, "None"),
        ("training.objective.sampling", 0.1, "0.0"),
    ],
)
def test_a_changed_key_is_refused_by_name(
    key: str, value: object, old: str, toy: Toy, whole: Trained, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(whole(), tmp_path / "run"))
    changed = settings(toy, run, **{key.replace(".", "__"): value})
    with pytest.raises(UserError, match=rf"run: {key} was {old} .* is now .*--fresh"):
        Script().run(changed)


def test_changed_rates_hold_from_the_next_update_on(
    toy: Toy, cut_at: Trained, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(cut_at(6), tmp_path / "run"))
    script = Script()
    script.run(settings(toy, run, training__learning_rate=1e-9))
    before, after = (script.updated[step] for step in (5, 12))
    for name, tensor in before.items():
        torch.testing.assert_close(after[name], tensor, rtol=0, atol=1e-6, msg=name)
    state = torch.load(run / LAST, weights_only=True)
    [optimizer], [schedule] = state["optimizer_states"], state["lr_schedulers"]
    assert {group["initial_lr"] for group in optimizer["param_groups"]} == {1e-9}
    assert set(schedule["base_lrs"]) == {1e-9}


@pytest.mark.parametrize(
    ("key", "value", "old"),
    [("tokenizer.kind", "unigram", "'bpe'"), ("source_language", "zz", "'xx'")],
)
def test_settings_that_the_data_were_not_prepared_with_are_refused(
    key: str, value: str, old: str, toy: Toy, tmp_path: Path
) -> None:
    changed = settings(toy, tmp_path / "run", **{f"data__{key.replace('.', '__')}": value})
    with pytest.raises(UserError, match=rf"prepared with data\.{key} {old}, expected '{value}'"):
        Script().run(changed)
    assert not (tmp_path / "run").exists()


def test_changed_data_are_refused(
    toy: Toy, whole: Trained, other_data: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(whole(), tmp_path / "run"))
    with pytest.raises(UserError, match=r"the data in .* has changed"):
        Script().run(settings(toy, run, data__folder=other_data))


def test_a_model_without_its_last_state_is_refused(
    toy: Toy, whole: Trained, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(whole(), tmp_path / "run"))
    (run / "last.ckpt").unlink()
    (run / "before-last.ckpt").unlink()
    with pytest.raises(UserError, match=r"no last\.ckpt to resume from; start over with --fresh"):
        Script().run(settings(toy, run, training__max_steps=16))


def torn(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-500])


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def foreign(path: Path) -> None:
    torch.save({"weights": torch.ones(3)}, path)


def pickled(path: Path) -> None:
    torch.save({"state_dict": Path("/tmp")}, path)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


HARM: dict[Callable[[Path], None], str] = {
    torn: "damaged",
    flipped: "damaged",
    emptied: "damaged",
    foreign: "not the state of a training run",
    pickled: "not a state of ours",
}


@pytest.mark.parametrize("harm", HARM)
def test_a_harmed_state_is_passed_over_for_the_one_before(
    harm: Callable[[Path], None], cut_at: Trained, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(cut_at(10), tmp_path / "run"))
    harm(run / LAST)
    said: list[str] = []
    assert newest_state(run, said.append) == run / LAST
    (line,) = said
    assert line.startswith(f"{run / LAST}: passed over, for it is {HARM[harm]}")
    # 8 was lost, 4 was kept.
    assert torch.load(run / LAST, weights_only=True)["global_step"] == 4
    assert not (run / BEFORE_LAST).exists()


def test_a_harmed_state_never_takes_the_place_of_the_last_whole_one(
    toy: Toy, whole: Trained, cut_at: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Path(shutil.copytree(cut_at(10), tmp_path / "run"))
    torn(run / LAST)

    def cut(trainer: Any, path: Path) -> None:
        raise PowerCut

    scripts = [Script(), Script()]
    with monkeypatch.context() as patched:
        patched.setattr(pl.Trainer, "save_checkpoint", cut)
        with pytest.raises(PowerCut):
            scripts[0].run(settings(toy, run))
    scripts[1].run(settings(toy, run))
    assert f"{LAST}: passed over, for it is damaged" in scripts[0].said[0]
    assert [min(script.updated) for script in scripts] == [5, 5]
    assert_alike(run, whole())


def test_a_run_whose_states_are_all_torn_is_refused(
    toy: Toy, whole: Trained, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(whole(), tmp_path / "run"))
    torn(run / "last.ckpt")
    torn(run / "before-last.ckpt")
    with pytest.raises(UserError, match=r"last\.ckpt: .* --fresh"):
        Script().run(settings(toy, run, training__max_steps=16))


def test_what_was_half_written_is_cleared_away(toy: Toy, whole: Trained, tmp_path: Path) -> None:
    assert not list(whole().glob(".*"))
    run = Path(shutil.copytree(whole(), tmp_path / "run"))
    (run / ".last.ckpt.123.partial").write_bytes(b"half")
    Script().run(settings(toy, run))
    assert not list(run.glob(".*"))


def test_another_processor_or_version_is_reported(
    toy: Toy, cut_at: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Path(shutil.copytree(cut_at(6), tmp_path / "run"))
    now = {**checkpoint.versions(), "torch": "9.9", "processor": "abacus"}
    monkeypatch.setattr(checkpoint, "versions", lambda: now)
    script = Script()
    script.run(settings(toy, run))
    assert "torch" in script.said[0] and "is 9.9" in script.said[0]
    assert "is abacus" in script.said[0] and "its last digits may differ" in script.said[0]


def test_a_full_disk_is_told_by_name_and_loses_nothing(
    toy: Toy, whole: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = settings(toy, tmp_path / "run")

    def full(trainer: Any, path: Path) -> None:
        Path(path).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        script = Script()
        saved = pl.Trainer.save_checkpoint
        patched.setattr(
            pl.Trainer,
            "save_checkpoint",
            lambda self, path: (full if self.global_step == 8 else saved)(self, path),
        )
        with pytest.raises(OSError, match=r"No space left on device: .*last\.ckpt"):
            script.run(changes)
    assert_alike(Script().run(changes), whole())


def test_states_are_written_beside_their_place(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "full, and of another disk"))
    assert (Script().run(settings(toy, tmp_path / "run")) / LAST).exists()


# starting over, and from another run


def test_fresh_starts_over(toy: Toy, whole: Trained, tmp_path: Path) -> None:
    run = Path(shutil.copytree(whole(), tmp_path / "run"))
    (run / "evaluation").mkdir()
    script = Script()
    script.run(settings(toy, run, model__decoder__hidden_size=8), fresh=True)
    assert script.said[0].startswith("training") and min(script.updated) == 1
    assert not (run / "evaluation").exists()
    assert [folder.name for folder in (run / "logs").iterdir()] == ["version_0"]
    assert checkpoint.load_run(run).config.model["decoder"]["hidden_size"] == 8


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("training.objective.coverage_weight", 1.0, "coverage"),
        ("model.decoder.hidden_size", 10**6, "parameters take .* choose smaller sizes"),
        ("model.decoder.hidden_size", 10**9, "choose smaller sizes"),
    ],
)
def test_fresh_deletes_nothing_for_settings_that_cannot_be(
    key: str, value: object, message: str, toy: Toy, whole: Trained, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(whole(), tmp_path / "run"))
    before = {path.name for path in run.iterdir()}
    with pytest.raises(UserError, match=message):
        Script().run(settings(toy, run, **{key.replace(".", "__"): value}), fresh=True)
    assert {path.name for path in run.iterdir()} == before


def test_the_model_that_is_kept_is_the_one_that_was_measured(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed when the better model is there and its state is not, then trained another way.

    Patience counts from the best of what is left, not from the model that is lost.
    """
    save = SavedState._save

    def killed(state: SavedState, trainer: pl.Trainer) -> None:
        if trainer.global_step == 8:
            raise PowerCut
        save(state, trainer)

    with monkeypatch.context() as patch:
        patch.setattr(SavedState, "_save", killed)
        with pytest.raises(PowerCut):
            Script({4: 7.0, 8: 9.0}.__getitem__).run(settings(toy, tmp_path / "run"))
    script = Script({8: 5.0, 12: 5.5, 16: 5.4, 20: 5.6}.__getitem__)
    other = {"learning_rate": 0.003, "patience": 2, "max_steps": 20}
    changes = {f"training__{key}": value for key, value in other.items()}
    run = script.run(settings(toy, tmp_path / "run", **changes))
    assert "all updates are done; best validation BLEU 5.60 at update 20" in script.said[-1]
    best = checkpoint.read_manifest(run)["best_step"]
    assert same(checkpoint.load_run(run).model.state_dict(), script.validated[best])


def test_fresh_starts_over_where_a_link_leads(toy: Toy, whole: Trained, tmp_path: Path) -> None:
    place = Path(shutil.copytree(whole(), tmp_path / "scratch" / "run"))
    (place / "evaluation").mkdir()
    (tmp_path / "run").symlink_to(place)
    (tmp_path / "scratch" / ".run.deleted").mkdir()  # of a session that was killed
    script = Script()
    script.run(settings(toy, tmp_path / "run"), fresh=True)
    assert min(script.updated) == 1
    assert (tmp_path / "run").is_symlink() and not (place / "evaluation").exists()
    assert not (tmp_path / "scratch" / ".run.deleted").exists()
    assert_alike(place, whole())


def test_two_commands_train_in_one_folder_one_after_the_other(
    toy: Toy, whole: Trained, tmp_path: Path
) -> None:
    script = Script()
    with ThreadPoolExecutor() as pool, locked(tmp_path / "run", 0):
        later = pool.submit(script.run, settings(toy, tmp_path / "run"))
        until = time.monotonic() + 60
        while not script.said:
            assert not later.done(), later.exception()
            assert time.monotonic() < until
            time.sleep(0.01)
        assert script.said == [f"{tmp_path / 'run'}: another process is training in it; waiting"]
    assert_alike(later.result(), whole())


def test_a_start_that_came_to_nothing_leaves_no_trace(
    toy: Toy, whole: Trained, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "tokenizer.json").write_text("{}")  # of a joint vocabulary, given up since
    with pytest.raises(PowerCut):
        Script(cut=("update", 3)).run(settings(toy, run))
    assert_alike(Script().run(settings(toy, run)), whole())


@pytest.fixture(scope="module")
def other_data(toy: Toy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy language the other way round, prepared with tokenizers of its own."""
    folder = tmp_path_factory.mktemp("other") / "prepared"
    # Under names that do not tell the language: the order of the others would be refused.
    corpus = [
        str(shutil.copy(toy.folder / f"all.{code}", folder.with_name(f"{place}.txt")))
        for code, place in (("yy", "source"), ("xx", "target"))
    ]
    words = ["--data.folder", str(folder), "--data.corpus.train", *corpus]
    assert main(["prepare", str(toy.config), *words]) == 0
    return folder


def test_init_from_keeps_weights_and_tokenizer(
    toy: Toy, whole: Trained, other_data: Path, tmp_path: Path
) -> None:
    parent = whole()
    # At this rate nothing is learnt: what comes out is what went in. The model that the settings
    # ask for is not the parent's, which is kept.
    tuning = settings(
        toy,
        tmp_path / "tuned",
        data__folder=other_data,
        training__learning_rate=1e-12,
        training__average_decay=0.0,
        training__max_steps=4,
        model__decoder__hidden_size=8,
    )
    script = Script()
    run = script.run(tuning, init_from=parent)
    assert script.said[0].endswith(
        "another data.corpus.train than the configuration names, and is used as it is"
    )
    assert script.said[1].endswith("it starts from; ignored: model.decoder.hidden_size")
    assert "with the tokenizer of the run" in script.said[2]
    old, new = checkpoint.load_run(parent), checkpoint.load_run(run)
    for name in ("tokenizer.source.json", "tokenizer.target.json"):
        assert (run / name).read_bytes() == (parent / name).read_bytes()
        assert (run / name).read_bytes() != (other_data / name).read_bytes()
    for (name, before), after in zip(
        old.model.state_dict().items(), new.model.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(after, before, rtol=0, atol=1e-8, msg=name)
    assert new.config.model == old.config.model
    assert new.manifest["parent"] == old.manifest["files"][checkpoint.WEIGHTS]
    assert new.manifest["data_hash"] != old.manifest["data_hash"]


@pytest.fixture(scope="module")
def tuned(
    toy: Toy, whole: Trained, other_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """A run that started from another, and one that was cut; tests leave them as they are.

    The model that their settings ask for is not the parent's, which is kept.
    """
    folder = tmp_path_factory.mktemp("tuned")
    changes = {"data__folder": other_data, "training__max_steps": 8, "model__embedding_size": 8}
    uncut, cut = (settings(toy, folder / name, **changes) for name in ("uncut", "cut"))
    Script().run(uncut, init_from=whole())
    with pytest.raises(PowerCut):
        Script(cut=("update", 6)).run(cut, init_from=whole())
    return folder / "uncut", folder / "cut"


def test_fine_tuning_is_resumed_too(
    toy: Toy, whole: Trained, other_data: Path, tuned: tuple[Path, Path], tmp_path: Path
) -> None:
    run = Path(shutil.copytree(tuned[1], tmp_path / "run"))
    tuning = settings(toy, run, data__folder=other_data, training__max_steps=8)
    with pytest.raises(UserError, match=r"not started from .*; leave --init-from out"):
        Script().run(tuning, init_from=whole(0.0))
    assert_alike(Script().run(tuning, init_from=whole()), tuned[0])


def test_fine_tuning_goes_on_without_its_parent(
    toy: Toy, other_data: Path, tuned: tuple[Path, Path], tmp_path: Path
) -> None:
    """The parent may be gone; the model in the settings counts no more than it did at first."""
    run = Path(shutil.copytree(tuned[1], tmp_path / "run"))
    changes = {"data__folder": other_data, "training__max_steps": 8, "model__embedding_size": 8}
    assert_alike(Script().run(settings(toy, run, **changes)), tuned[0])
    assert checkpoint.load_run(run).config.model["embedding_size"] == 16
