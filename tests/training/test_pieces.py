"""Training on a corpus in pieces: one an epoch, wherever a run was cut and by how many."""

import gc
import shutil
import weakref
from collections.abc import Callable
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
import yaml

from nmt.batch import Batch
from nmt.checkpoint import read_manifest
from nmt.cli import main
from nmt.data.batching import BatchPlan
from nmt.data.datamodule import BatchStream, lengths_of, open_dataset
from nmt.errors import UserError
from nmt.files import read_json, write_json
from nmt.training.pieces import pieces
from tests.toy import Toy, command, contains, make
from tests.training.scripted import PowerCut, Script, assert_alike, settings
from tests.training.test_processes import distance

STEPS = {
    "training__max_steps": 24,
    "training__validate_every": 3,  # so that states lie within the epochs
    "training__batch_tokens": 100,
}
"""Six epochs or so of 100 pairs each, less those held out."""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """The toy's 300 pairs, of which the first 100 are prepared."""
    toy = make(tmp_path_factory.mktemp("large"))
    found = yaml.safe_load(toy.config.read_text(encoding="utf-8"))
    found["data"]["piece"] = 100
    toy.config.write_text(yaml.safe_dump(found), encoding="utf-8")
    assert main(["prepare", str(toy.config)]) == 0
    return toy


@pytest.fixture(scope="module")
def undisturbed(large: Toy, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Script]:
    """A run over all pieces and what was said of it; tests leave it as it is."""
    script = Script()
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    return script.run(settings(large, folder, **STEPS)), script


def test_each_epoch_has_a_piece(undisturbed: tuple[Path, Script]) -> None:
    run, script = undisturbed
    told = [line.split(":")[0] for line in script.said if line.startswith("piece")]
    assert told == [f"piece {number} of the corpus" for number in range(2, 2 + len(told))]
    assert len(told) >= 3, "the corpus is to come round"
    assert not list(run.glob(".*")), "a piece is left"
    # How much fits is never the same twice, and a later piece may have wider batches.
    assert read_manifest(run)["choices"]["memory"] > 0


@pytest.mark.parametrize("cut", [1, 10, 17, 23])
def test_a_cut_leaves_no_trace(
    cut: int, large: Toy, undisturbed: tuple[Path, Script], tmp_path: Path
) -> None:
    changes = settings(large, tmp_path / "run", **STEPS)
    with pytest.raises(PowerCut):
        Script(cut=("update", cut)).run(changes)
    second = Script()
    run = second.run(changes)
    assert 1 <= min(second.updated) <= cut
    assert_alike(run, undisturbed[0])


@pytest.mark.skipif(torch.cuda.is_available(), reason="each process would need a GPU of its own")
def test_two_processes_come_to_the_weights_of_one(large: Toy, tmp_path: Path) -> None:
    changes = {"max_steps": 20, "validate_every": 10, "batch_tokens": 100, "learning_rate": 0.001}
    words = ["train", str(large.config), "--model.encoder.dropout", "0.0"]
    words += [word for key, value in changes.items() for word in (f"--training.{key}", str(value))]
    one, two = tmp_path / "one", tmp_path / "two"
    pair = [*words, "--training.folder", str(two), "--training.processes", "2"]
    assert command([*pair, "--training.max_steps", "10"]).returncode == 0
    done = command(pair)  # goes on
    assert done.returncode == 0, done.stderr
    contains(done.stderr, "resuming", "piece 4 of the corpus", "finished after 20 updates")
    assert done.stderr.count("piece 4 of the corpus: 100 pairs read") == 1
    assert main([*words, "--training.folder", str(one)]) == 0
    assert 0 < distance(one, two) < 1e-5


def test_a_run_keeps_to_its_corpus(
    large: Toy, undisturbed: tuple[Path, Script], tmp_path: Path
) -> None:
    toy = make(tmp_path / "toy")
    shutil.copytree(large.prepared, toy.prepared)
    run = shutil.copytree(undisturbed[0], tmp_path / "run")
    more = STEPS | {"training__max_steps": 27, "data__piece": 100}
    manifest = read_json(toy.prepared / "manifest.json")
    with pytest.raises(UserError, match=r"another data\.corpus\.train .*further pieces are read"):
        Script().run(settings(toy, run, **more))
    # Moved, it is the same; with other content beyond the first piece it is not.
    manifest["settings"]["corpus"] = {**manifest["settings"]["corpus"], "train": moved(toy)}
    write_json(toy.prepared / "manifest.json", manifest)
    Script().run(settings(toy, run, **more))
    manifest["inputs"] |= {moved(toy)[1]: "0" * 64}
    write_json(toy.prepared / "manifest.json", manifest)
    with pytest.raises(UserError, match=r"the data in .* has changed since this run was started"):
        Script().run(settings(toy, run, **more))


def moved(toy: Toy) -> list[str]:
    return [str(toy.folder / name) for name in ("all.xx", "all.yy")]


def test_the_corpus_is_opened_before_anything_is_learnt(
    large: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise UserError("data.corpus: gone")

    monkeypatch.setattr("data_prep.sources.read", gone)
    script = Script()
    with pytest.raises(UserError, match="gone"):
        script.run(settings(large, tmp_path / "run", **STEPS))
    assert not script.updated


def test_pairs_longer_than_any_that_were_tried_are_shortened(large: Toy, tmp_path: Path) -> None:
    dataset = open_dataset(large.prepared)
    assert max(lengths_of(dataset["train"], "source_ids")) == 5

    def write(number: int, folder: Path, tokenizers: Path) -> None:
        # Those of the run, which may come from another corpus (--init-from).
        assert (number, tokenizers) == (1, tmp_path / "run")
        rows = {side: [[5] * 9, [5] * 2] for side in ("source_ids", "target_ids")}
        texts = {side: ["long", "short"] for side in ("source", "target")}
        split = datasets.Dataset.from_dict(rows | texts)
        datasets.DatasetDict(train=split).save_to_disk(str(folder / "dataset"))

    training = settings(large, tmp_path / "run").training
    said: list[str] = []
    found = pieces(lambda: write, dataset, training, said.append)(1)
    assert [len(ids) for ids in found["source_ids"]] == [5, 2]
    assert said == ["1 of 2 training pairs have more than 5 tokens: truncated"]


def stream_of(first: int, *further: int) -> list[Batch]:
    """An epoch for each piece of so many sentences, one token long, which tells its piece."""
    last: list[Callable[[], datasets.Dataset | None]] = []

    def made(number: int, size: int) -> tuple[datasets.Dataset, BatchPlan]:
        gc.collect()
        assert number < 2 or last[-1]() is None, "the piece before is still held"
        ids = [[100 * number + row] for row in range(size)]
        lengths = np.ones(size, np.int64)
        split = datasets.Dataset.from_dict({"source_ids": ids, "target_ids": ids})
        last.append(weakref.ref(split))
        return split, BatchPlan(lengths, lengths, 4, seed=1)  # two sentences a batch

    split, plan = made(0, first)
    steps = len(plan) * (1 + len(further))
    stream = BatchStream(split, plan, steps, lambda epoch: made(epoch, further[epoch - 1]))
    return list(stream)


def test_pieces_of_other_sizes_have_as_many_batches() -> None:
    seen = [sorted(batch.source[:, 0].tolist()) for batch in stream_of(6, 8, 4)]
    epochs = [seen[at : at + 3] for at in (0, 3, 6)]
    assert [{number // 100 for batch in epoch for number in batch} for epoch in epochs] == [
        {0},
        {1},
        {2},
    ]
    assert sorted(number for batch in epochs[0] for number in batch) == [*range(6)]
    assert len({number for batch in epochs[1] for number in batch}) == 6  # of eight
    assert epochs[2][0] == epochs[2][2] and len({*map(tuple, epochs[2])}) == 2  # again
