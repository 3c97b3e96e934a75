"""What one run leaves behind: its folder, its model, its end."""

import csv
import json
import math
import os
import stat
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from nmt import checkpoint
from nmt.batch import Batch
from nmt.data.datamodule import TranslationData, open_dataset
from nmt.errors import UserError
from nmt.files import sha256
from nmt.training.module import TranslationModule
from nmt.vocab import load_vocabularies
from tests.toy import Toy
from tests.training.scripted import PowerCut, Script, assert_alike, same, settings, weights_of


@pytest.fixture(scope="module")
def session(toy: Toy, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Script]:
    """A run whose BLEU was best at update 8; tests leave it as it is."""
    script = Script(lambda step: 30.0 - abs(step - 8))
    folder = tmp_path_factory.mktemp("session") / "run"
    return script.run(settings(toy, folder)), script


# what lies in the folder


def test_the_folder_holds_what_is_documented_and_no_more(trained: Toy) -> None:
    assert {path.name for path in trained.run.iterdir()} == {
        "model.safetensors",
        "config.yaml",
        "tokenizer.source.json",
        "tokenizer.target.json",
        "metrics.json",
        "manifest.json",
        "last.ckpt",
        "before-last.ckpt",
        "curves.png",
        "logs",
    }


def test_the_manifest_vouches_for_each_file(trained: Toy) -> None:
    manifest = checkpoint.read_manifest(trained.run)
    digests = {path.name: sha256(path) for path in trained.run.iterdir() if path.is_file()}
    for name in ("manifest.json", "last.ckpt", "before-last.ckpt", "curves.png"):
        del digests[name]
    assert manifest["files"] == digests
    prepared = json.loads((trained.prepared / "manifest.json").read_text())
    assert manifest["data_hash"] == prepared["data_hash"]
    assert manifest["versions"]["torch"] == torch.__version__
    assert manifest["finished"] == {"step": 90, "steps": 90, "patience": 10}


def test_everyone_may_read_what_one_may_read(trained: Toy) -> None:
    umask = os.umask(0)
    os.umask(umask)
    files = [path for path in trained.run.iterdir() if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o666 & ~umask}


def test_metrics_tell_every_validation(session: tuple[Path, Script]) -> None:
    folder, _ = session
    metrics = json.loads((folder / "metrics.json").read_text())
    assert [row["step"] for row in metrics["history"]] == [4, 8, 12]
    assert [row["bleu"] for row in metrics["history"]] == [26.0, 30.0, 26.0]
    assert metrics["validation"] == metrics["history"][1]
    losses = [row["train_loss"] for row in metrics["history"]]
    assert losses == sorted(losses, reverse=True) and 0 < losses[-1] < math.log(300)


def test_logs_tell_loss_and_learning_rate(toy: Toy, tmp_path: Path) -> None:
    changes = settings(
        *(toy, tmp_path / "run"),
        training__log_every=1,
        training__warmup_steps=4,
        training__schedule="linear",
        training__final_rate=0.5,
        training__max_steps=8,
        training__validate_every=4,
    )
    run = Script().run(changes)
    with (run / "logs" / "version_0" / "metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["loss"]]
    assert [int(row["step"]) for row in rows] == list(range(8))
    assert all(0 < float(row["loss"]) < 10 and float(row["tokens"]) > 0 for row in rows)
    shares = [float(row["learning_rate"]) / 0.03 for row in rows]
    assert shares[:4] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert shares[4:] == sorted(shares[4:], reverse=True)
    assert 0.5 <= shares[-1] < 0.7


# the model that is kept


def test_the_best_model_is_kept(session: tuple[Path, Script]) -> None:
    folder, script = session
    kept = checkpoint.load_run(folder).model.state_dict()
    assert same(kept, script.validated[8])
    assert not same(kept, script.validated[12])


def test_the_average_is_what_is_validated_and_kept(session: tuple[Path, Script]) -> None:
    _, script = session
    average = script.updated[1]
    for step in range(2, 13):
        decay = min(0.4, step / (9 + step))  # short at first: 0.18, 0.25, 0.31, 0.36, then its own
        average = {
            name: average[name].lerp(now, 1 - decay) for name, now in script.updated[step].items()
        }
        if step in script.validated:
            for name, expected in average.items():
                found = script.validated[step][name]
                torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6, msg=name)
                assert not torch.equal(found, script.updated[step][name]), name


def test_without_averaging_the_model_itself_is_kept(toy: Toy, tmp_path: Path) -> None:
    script = Script()
    run = script.run(
        settings(toy, tmp_path / "run", training__average_decay=0, training__max_steps=4)
    )
    assert same(checkpoint.load_run(run).model.state_dict(), script.updated[4])


def test_a_loaded_model_gives_the_same_numbers(session: tuple[Path, Script], toy: Toy) -> None:
    folder, _ = session
    run = checkpoint.load_run(folder)
    module = TranslationModule(run.model, run.config.training, 12)
    data = TranslationData(open_dataset(toy.prepared), run.config.training.batch_tokens, 1)
    losses = [module.loss(batch, smoothing=0.0) for batch in data.val_dataloader()]
    mean = sum(float(nll) for _, nll, _ in losses) / sum(tokens for _, _, tokens in losses)
    best = json.loads((folder / "metrics.json").read_text())["validation"]
    assert mean == pytest.approx(best["loss"], abs=1e-5)


def test_validation_loss_is_the_mean_over_tokens_of_several_batches(
    toy: Toy, tmp_path: Path
) -> None:
    changes = {"training__batch_tokens": 24, "training__max_steps": 1}
    run = Script().run(settings(toy, tmp_path / "run", training__validate_every=1, **changes))
    loaded = checkpoint.load_run(run)
    module = TranslationModule(loaded.model, loaded.config.training, 1)
    rows = open_dataset(toy.prepared)["validation"]
    total = count = 0.0
    for source, target in zip(rows["source_ids"], rows["target_ids"], strict=True):
        _, nll, tokens = module.loss(Batch.of([source], [target]), smoothing=0.0)
        total, count = total + float(nll), count + tokens
    best = json.loads((run / "metrics.json").read_text())["validation"]
    assert total / count == pytest.approx(best["loss"], abs=1e-4)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_labels_are_smoothed_as_the_settings_say(
    smoothing: float, session: tuple[Path, Script], toy: Toy, tmp_path: Path
) -> None:
    _, sharp = session
    script = Script()
    few = {"training__max_steps": 1, "training__validate_every": 1}
    script.run(settings(toy, tmp_path / "run", training__label_smoothing=smoothing, **few))
    assert same(script.updated[1], sharp.updated[1]) == (smoothing == 0)


def test_tied_weights_are_written_once(
    session: tuple[Path, Script], toy: Toy, tmp_path: Path
) -> None:
    vocabularies = load_vocabularies(toy.prepared)
    sizes = {}
    for kind in ("none", "target"):
        config = settings(toy, tmp_path, model__tie_embeddings=kind)
        written, loaded = (checkpoint.build_model(config, *vocabularies) for _ in range(2))
        checkpoint.write_weights(tmp_path, written)
        checkpoint.load_weights(loaded, tmp_path / checkpoint.WEIGHTS)
        assert same(weights_of(loaded), weights_of(written))
        sizes[kind] = (tmp_path / checkpoint.WEIGHTS).stat().st_size
    assert sizes["none"] - sizes["target"] > 280 * 16 * 4  # one matrix of the vocabulary
    trained, _ = session
    assert (trained / checkpoint.WEIGHTS).stat().st_size == sizes["target"]


def test_two_vocabularies_of_one_size_are_not_tied(toy: Toy, tmp_path: Path) -> None:
    source, target = load_vocabularies(toy.prepared)
    assert len(source) == len(target)  # so that sizes do not tell
    with pytest.raises(UserError, match=r"^model\.tie_embeddings: all needs one vocabulary for"):
        Script().run(settings(toy, tmp_path / "run", model__tie_embeddings="all"))
    assert not (tmp_path / "run").exists()


# when to stop


def test_patience(toy: Toy, tmp_path: Path) -> None:
    scores = {4: 5.0, 8: 7.0, 12: 6.0, 16: 7.0, 20: 6.0, 24: 9.0}
    script = Script(scores.__getitem__)
    run = script.run(settings(toy, tmp_path / "run", training__patience=3, training__max_steps=100))
    assert sorted(script.validated) == [4, 8, 12, 16, 20]
    assert script.said[-1] == (
        "finished after 20 updates: BLEU has stopped rising; best validation BLEU 7.00 at update 8"
    )
    manifest = checkpoint.read_manifest(run)
    assert manifest["finished"] == {"step": 20, "steps": 100, "patience": 3}
    assert manifest["best_step"] == 8


def test_patience_that_was_spent_when_the_session_ended_is_spent(toy: Toy, tmp_path: Path) -> None:
    scores = {4: 7.0, 8: 6.0, 12: 5.0, 16: 9.0, 20: 9.0}
    patient = {"training__patience": 2, "training__max_steps": 20}
    whole = Script(scores.__getitem__).run(settings(toy, tmp_path / "whole", **patient))
    changes = settings(toy, tmp_path / "cut", **patient)
    with pytest.raises(PowerCut):
        Script(scores.__getitem__, cut=("end", 12)).run(changes)
    script = Script(scores.__getitem__)
    assert_alike(script.run(changes), whole)
    assert not script.updated
    assert checkpoint.read_manifest(tmp_path / "cut")["finished"]["step"] == 12


@pytest.mark.parametrize(
    ("epochs", "steps", "every", "validated"),
    [
        (2, "null", "null", [5, 10]),  # an epoch of the toy data has 5 batches
        (2, "null", 4, [4, 8, 12]),  # the last validation is at the end
        (2, 7, "null", [5, 10]),
        (9, 4, 100, [4]),
    ],
)
def test_epochs_updates_and_validations(
    epochs: int, steps: Any, every: Any, validated: list[int], toy: Toy, tmp_path: Path
) -> None:
    changes = settings(
        *(toy, tmp_path / "run"),
        training__max_epochs=epochs,
        training__max_steps=steps,
        training__validate_every=every,
    )
    script = Script()
    script.run(changes)
    assert sorted(script.validated) == validated
    assert sorted(script.updated) == list(range(1, validated[-1] + 1))


@pytest.mark.parametrize("seed", [1, 2])
def test_seed_decides_everything(
    seed: int, session: tuple[Path, Script], toy: Toy, tmp_path: Path
) -> None:
    _, first = session  # of seed 1
    torch.manual_seed(9)  # what happened before does not matter
    script = Script()
    few = {"training__max_steps": 3, "training__validate_every": 3}
    script.run(settings(toy, tmp_path / "run", training__seed=seed, **few))
    assert same(script.updated[3], first.updated[3]) == (seed == 1)


def test_the_first_weights_are_made_with_the_threads_of_the_run(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads, build = [], checkpoint.build_model

    def watched(*arguments: Any) -> Any:
        threads.append(torch.get_num_threads())
        return build(*arguments)

    torch.set_num_threads(2)  # as a machine may begin; orthogonal weights then differ a little
    monkeypatch.setattr(checkpoint, "build_model", watched)
    few = {"training__max_steps": 1, "training__validate_every": 1}
    Script().run(settings(toy, tmp_path / "run", training__threads=1, **few))
    assert threads == [2, 1]  # the first has no weights: it only tries the settings


def test_a_loss_that_is_not_finite_ends_the_run(toy: Toy, tmp_path: Path) -> None:
    changes = settings(toy, tmp_path / "run", training__learning_rate=1e38, training__clip_norm=0)
    with pytest.raises(UserError, match=r"loss .*(nan|inf).*learning_rate"):
        Script().run(changes)


class Norms(Script):
    """Also sees the gradient that each update was made with."""

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        gradients = [
            p.grad.flatten() for p in trainer.lightning_module.parameters() if p.grad is not None
        ]
        self.said.append(f"norm {torch.cat(gradients).norm().item()}")
        super().on_train_batch_end(trainer, *args)


@pytest.mark.parametrize(("kind", "limit"), [("fp32", 0.0), ("fp32", 0.01), ("bf16", 0.01)])
def test_gradients_are_clipped(kind: str, limit: float, toy: Toy, tmp_path: Path) -> None:
    script = Norms()
    changes = settings(
        *(toy, tmp_path / "run"),
        training__clip_norm=limit,
        training__precision=kind,
        training__max_steps=2,
        training__validate_every=2,
    )
    script.run(changes)
    norms = [float(line.split()[1]) for line in script.said if line.startswith("norm ")]
    assert len(norms) == 2
    assert max(norms) == pytest.approx(0.01, rel=1e-3) if limit else max(norms) > 0.1
