"""A run's folder: nothing else is overwritten; an old run outlives a start that fails."""

import shutil
from pathlib import Path
from unittest.mock import patch

import pytest

from nmt import checkpoint
from nmt.errors import UserError
from nmt.training.folder import clear_partial, expect_own
from nmt.training.states import LAST
from tests.toy import Answer, Toy, contains
from tests.training.scripted import Script, settings


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_run_does_not_begin_among_other_files(toy: Toy, answer: Answer, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    shutil.copytree(toy.folder / "prepared", folder)  # the prepared data of somebody else
    before = contents(folder)
    said = answer("train", toy.config, "--training.folder", folder)
    contains(said, "training.folder: expected", "to be new or a run, found", "in it; move that")
    assert contents(folder) == before


@pytest.mark.parametrize("name", ["thesis.txt", ".out.txt.journal", "evaluation.txt"])
def test_a_run_with_other_files_is_not_deleted(
    trained: Toy, answer: Answer, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(trained.folder / "run", folder)
    (folder / name).write_text("all of it")
    before = contents(folder)
    said = answer("train", trained.config, "--training.folder", folder, "--fresh")
    contains(said, f"found {name} in it; move that away")
    assert contents(folder) == before


def test_every_file_of_a_finished_run_is_its_own(trained: Toy) -> None:
    expect_own(trained.folder / "run")


@pytest.mark.parametrize("error", [UserError, KeyboardInterrupt, OSError, RuntimeError])
@pytest.mark.parametrize("place", ["encoded_for", "rehearse"])
def test_an_old_run_outlives_a_new_one_that_cannot_begin(
    toy: Toy, tmp_path: Path, place: str, error: type[BaseException]
) -> None:
    made = settings(toy, tmp_path / "run")
    Script().run(made)
    before = contents(tmp_path / "run")
    with (
        patch(f"nmt.training.run.{place}", side_effect=error("impossible")),
        pytest.raises(error, match="impossible"),
    ):
        Script().run(made, fresh=True)
    assert contents(tmp_path / "run") == before
    assert [path.name for path in tmp_path.glob(".run.deleted")] == []


def test_an_old_run_comes_back_after_a_kill_before_the_new_one_can_be_resumed(
    toy: Toy, tmp_path: Path
) -> None:
    made = settings(toy, tmp_path / "run")
    Script().run(made)
    before = (tmp_path / "run" / checkpoint.WEIGHTS).read_bytes()
    with (
        patch("nmt.training.run.rehearse", side_effect=KeyboardInterrupt),
        patch("nmt.training.run.settle"),  # a killed process does not tidy up
        pytest.raises(KeyboardInterrupt),
    ):
        Script().run(made, fresh=True)
    assert not (tmp_path / "run" / LAST).exists()
    again = Script()
    again.run(made)
    contains(" ".join(again.said), "this run is finished")
    assert (tmp_path / "run" / checkpoint.WEIGHTS).read_bytes() == before


def test_an_old_run_is_gone_once_the_new_one_can_be_resumed(toy: Toy, tmp_path: Path) -> None:
    made = settings(toy, tmp_path / "run", training__max_steps=4)
    Script().run(made)
    Script().run(made, fresh=True)
    assert [path.name for path in tmp_path.glob(".run.deleted")] == []


def test_a_damaged_tokenizer_is_not_trained_with(toy: Toy, tmp_path: Path) -> None:
    made = settings(toy, tmp_path / "run", training__max_steps=4)
    Script().run(made)
    [file, *_] = sorted((tmp_path / "run").glob("tokenizer*.json"))
    file.write_text(file.read_text().replace("a", "b", 1))
    with pytest.raises(UserError, match="differs from the file that training wrote"):
        Script().run(settings(toy, tmp_path / "run", training__max_steps=8))


def test_a_finished_run_takes_new_settings_of_decoding(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = {"training__max_steps": 4}
    Script().run(settings(toy, tmp_path / "run", **few))
    versions = checkpoint.read_manifest(tmp_path / "run")["versions"]
    monkeypatch.setattr(checkpoint, "versions", lambda: {"torch": "9.9"})
    again = Script()
    again.run(settings(toy, tmp_path / "run", decoding__beam_size=7, **few))
    contains(" ".join(again.said), "decoding and data.folder are now those of the configuration")
    assert checkpoint.read_config(tmp_path / "run").decoding.beam_size == 7
    assert checkpoint.read_manifest(tmp_path / "run")["versions"] == versions  # that trained it


def test_settings_of_decoding_that_were_half_taken_are_taken_whole(
    toy: Toy, tmp_path: Path
) -> None:
    few = {"training__max_steps": 4}
    Script().run(settings(toy, tmp_path / "run", **few))
    new = settings(toy, tmp_path / "run", decoding__beam_size=7, **few)
    with (
        patch("nmt.checkpoint.write_manifest", side_effect=KeyboardInterrupt),
        pytest.raises(KeyboardInterrupt),
    ):
        Script().run(new)
    with pytest.raises(UserError, match="differs from the file that training wrote"):
        checkpoint.load_run(tmp_path / "run")
    Script().run(new)
    assert checkpoint.load_run(tmp_path / "run").config.decoding.beam_size == 7


def test_only_what_a_run_had_not_finished_writing_is_removed(tmp_path: Path) -> None:
    for name in (f".{LAST}.12.partial", ".out.txt.partial", ".out.2-of-4.txt.partial", "a.partial"):
        (tmp_path / name).touch()
    (tmp_path / ".rehearsal-x.partial").mkdir()
    clear_partial(tmp_path)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == [".out.2-of-4.txt.partial", ".out.txt.partial", "a.partial"]


def test_what_is_left_of_a_deleted_run_never_replaces_a_model(toy: Toy, tmp_path: Path) -> None:
    made = settings(toy, tmp_path / "run", training__max_steps=4)
    Script().run(made)
    (tmp_path / ".run.deleted").mkdir()  # a file of it could not be deleted
    for state in (tmp_path / "run").glob("*.ckpt"):
        state.unlink()
    before = contents(tmp_path / "run")
    with pytest.raises(UserError, match=f"no {LAST} to resume from"):
        Script().run(made)
    assert contents(tmp_path / "run") == before
