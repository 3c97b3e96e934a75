"""A run of an older version means what it meant when it was written."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

from nmt import checkpoint
from nmt.errors import UserError
from nmt.files import read_json, write_json
from nmt.model.seq2seq import Seq2Seq
from nmt.perplexity import perplexity
from nmt.schema import Settings
from tests.toy import Toy
from tests.training.scripted import PowerCut, Script, settings


def as_written_by(
    version: int, change: Callable[[Settings], object], run: checkpoint.Run
) -> Seq2Seq:
    """Writes the run again, its model's settings changed as that version wrote them."""
    torch.manual_seed(1)
    model = checkpoint.build_model(run.config, run.source, run.target).eval()
    checkpoint.write_weights(run.folder, model)
    settings = yaml.safe_load((run.folder / checkpoint.CONFIG).read_text())
    change(settings["model"])
    (run.folder / checkpoint.CONFIG).write_text(yaml.safe_dump(settings))
    checkpoint.write_manifest(run.folder, {"languages": ["xx", "yy"]})
    manifest = read_json(run.folder / checkpoint.MANIFEST)
    write_json(run.folder / checkpoint.MANIFEST, {**manifest, "format_version": version})
    return model


def test_an_older_run_that_goes_on_is_one_of_todays_format(trained: Toy, tmp_path: Path) -> None:
    folder = trained.copy_of_run(tmp_path / "run")
    as_written_by(3, lambda model: None, checkpoint.load_run(folder))
    checkpoint.write_manifest(folder, checkpoint.read_manifest(folder))
    assert checkpoint.read_manifest(folder)["format_version"] == checkpoint.FORMAT_VERSION


def test_a_loss_beyond_all_numbers_has_a_perplexity() -> None:
    assert perplexity(1.0) == pytest.approx(math.e)
    assert perplexity(1e4) == math.inf


def expect_same(old: checkpoint.Run, run: checkpoint.Run, model: Seq2Seq) -> None:
    assert old.config.model == run.config.model
    words, lengths = torch.tensor([[4, 5, 6]]), torch.tensor([3])
    torch.testing.assert_close(old.model(words, lengths, words), model(words, lengths, words))


@pytest.mark.parametrize(("version", "scale"), [(1, 1.0), (2, 4.0)])
def test_keys_that_an_older_version_did_not_know(
    trained: Toy, tmp_path: Path, version: int, scale: float
) -> None:
    folder = trained.copy_of_run(tmp_path / "run")
    run = checkpoint.load_run(folder)
    run.config.model["encoder"]["shortcut"] = False
    run.config.model["decoder"]["attend"] = "before"
    run.config.model["readout_shortcut"] = "none"
    assert run.config.model["embedding_size"] == 16
    run.config.model["embedding_scale"] = scale

    def change(model: Settings) -> None:
        del model["encoder"]["shortcut"], model["decoder"]["attend"]
        del model["readout_shortcut"], model["embedding_scale"]

    model = as_written_by(version, change, run)
    expect_same(checkpoint.load_run(folder), run, model)


def test_a_transformers_encoder_of_version_5_is_refused(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = settings(toy, tmp_path / "run", model__encoder__kind="self_attention")
    with monkeypatch.context() as then:
        then.setattr(checkpoint, "FORMAT_VERSION", 5)
        with pytest.raises(PowerCut):
            Script(cut=("update", 6)).run(made)
    told = "/run: expected a Transformer's encoder of format_version 6, found one of 5, with"
    with pytest.raises(UserError, match=told):
        checkpoint.load_run(tmp_path / "run")
    with pytest.raises(UserError, match=told):
        Script().run(made)


@pytest.mark.parametrize(("written", "meant"), [(True, "context"), (False, "none")])
def test_the_readout_shortcut_of_version_3(
    trained: Toy, tmp_path: Path, written: bool, meant: str
) -> None:
    folder = trained.copy_of_run(tmp_path / "run")
    run = checkpoint.load_run(folder)
    run.config.model["readout_shortcut"] = meant
    model = as_written_by(3, lambda model: model.update(readout_shortcut=written), run)
    expect_same(checkpoint.load_run(folder), run, model)
