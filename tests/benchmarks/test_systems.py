"""Every system without being installed: what it is told, and how its log is read."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import yaml

from benchmarks.segmented import Segmented
from benchmarks.systems import OURS, PEERS
from benchmarks.systems.contract import Bench, Length, Search, System
from benchmarks.systems.marian import Marian
from benchmarks.systems.ours import positions
from benchmarks.watching import Command, Progress
from nmt.data.batching import BatchPlan
from nmt.data.datamodule import lengths_of, open_dataset
from nmt.errors import UserError
from nmt.vocab import Vocabulary
from tests.toy import Toy

SYSTEMS = OURS | PEERS
# As the systems wrote them.
PROGRESS = {
    "ours": ("update 66 of 454: loss 5.21, 4,310 tokens/s", Progress(66)),
    "joeynmt": (
        "2026-11-22 17:40:01,123 - INFO - joeynmt.training - Epoch   1, Step:       20, "
        "Batch Loss:    83.117065, Batch Acc: 0.178451, Tokens per Sec:      603, Lr: 0.001000",
        Progress(20),
    ),
    "opennmt": (
        "[2026-11-22 17:19:33,586 INFO] Step 10/   32; acc: 15.1; ppl: 741.6; xent: 6.6; lr: "
        "0.00100; sents:      64; bsz:  832/ 863/64; 114/118 tok/s;     50 sec;",
        Progress(10, mean=863),
    ),
    "fairseq": (
        "2026-11-22 17:33:02 | INFO | train_inner | epoch 001:     10 / 32 loss=9.734, nll_loss="
        "9.176, ppl=578.33, wps=204, ups=0.25, wpb=825.5, bsz=64, num_updates=10, lr=0.001, "
        "gnorm=1.38, clip=100, train_wall=4, wall=54",
        Progress(10, mean=825.5),
    ),
    "marian": (
        "[2026-11-22 17:36:27] Ep. 1 : Up. 12 : Sen. 768 : Cost 7.46399546 : Time 6.50s : 170.00 "
        "words/s : gNorm 0.0000",
        Progress(12, since=1105),
    ),
}
OTHER_LINES = (
    "",
    "update 66: validation loss 5.211, perplexity 183.27, BLEU 3.1",
    "[2026-11-22 17:18:43,631 INFO] Start training loop and validate every 1000000000 steps...",
    "2026-11-22 17:34:36 | INFO | train | epoch 001 | loss 8.1 | wps 216 | num_updates 32",
    "[2026-11-22 17:37:49] Training finished",
)
PARAMETERS = {
    "ours": (
        "training run: 13,056,832 parameters, bf16, 2 threads on cpu; 29,000 pairs, "
        "454 updates an epoch, 454 in all, validation every 454; fused encoder and decoder",
        13_056_832,
    ),
    "joeynmt": ("INFO - joeynmt.model - Total params: 12919296", 12_919_296),
    "opennmt": ("INFO] * number of parameters: 12928320", 12_928_320),
    "fairseq": ("train | num. shared model params: 12,664,640 (num. trained: 1)", 12_664_640),
}


@pytest.fixture
def bench(toy: Toy, tmp_path: Path) -> Bench:
    """A thousand pairs, of which only the vocabulary is there."""
    (tmp_path / "segmented").mkdir()
    (tmp_path / "segmented" / "vocabulary.txt").write_text('Ġa\n"\n\\\n', encoding="utf-8")
    vocabulary = Vocabulary(toy.prepared / "tokenizer.target.json")
    data = Segmented(tmp_path / "segmented", toy.prepared, vocabulary, 1000, 8.0, {})
    return Bench(data, tmp_path / "work", 2, 64, [], lambda _: None)


def made(name: str, bench: Bench) -> System:
    """A system with its own folder, not installed."""
    (bench.work / name).mkdir(parents=True)
    return SYSTEMS[name](bench)


def told(system: System, folder: Path, length: Length) -> str:
    """All that a system is told for a training: its words and its configuration."""
    command = system.train("fp32", folder, length)
    words = [str(word) for word in command.words]
    files = [Path(word) for word in words if word.endswith(".yaml")]
    return " ".join(words + [file.read_text(encoding="utf-8") for file in files])


@pytest.mark.parametrize("name", PROGRESS)
def test_a_line_of_progress_is_understood(name: str, bench: Bench) -> None:
    line, expected = PROGRESS[name]
    assert made(name, bench).progress(line) == expected


@pytest.mark.parametrize("name", PROGRESS)
@pytest.mark.parametrize("line", OTHER_LINES)
def test_no_other_line_is_taken_for_one(name: str, line: str, bench: Bench) -> None:
    assert made(name, bench).progress(line) is None


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_are_found_in_the_log(name: str, bench: Bench, tmp_path: Path) -> None:
    line, expected = PARAMETERS[name]
    system = made(name, bench)
    assert system.parameters(tmp_path, f"before\n{line}\nafter") == expected
    with pytest.raises(UserError, match="expected the"):
        system.parameters(tmp_path, "before\nafter")


def test_marian_s_parameters_are_counted_in_its_model(bench: Bench, tmp_path: Path) -> None:
    arrays = {"Wemb": np.zeros((3, 4)), "b": np.zeros((1, 2)), "special:model.yml": np.zeros(99)}
    np.savez(tmp_path / "model.npz", **arrays)  # type: ignore[arg-type]
    assert made("marian", bench).parameters(tmp_path, "") == 14


def test_our_updates_an_epoch_are_found_in_the_log(bench: Bench) -> None:
    assert made("ours", bench).updates_an_epoch(PARAMETERS["ours"][0]) == 454
    assert made("joeynmt", bench).updates_an_epoch("") == 16


@pytest.mark.parametrize("name", ["ours", *PEERS])
def test_a_timed_training_differs_from_a_whole_one_in_its_length(name: str, bench: Bench) -> None:
    system = made(name, bench)
    folder = bench.work / name / "fp32"
    whole = told(system, folder, Length(3, None, 7))
    # No digits that the name of a temporary folder holds by chance.
    timed = told(system, folder, Length(1, 24681357, 6, save=False))
    assert "24681357" in timed and "24681357" not in whole
    assert str(folder) in whole


@pytest.mark.parametrize("save", [False, True])
def test_no_validation_of_ours_is_timed(save: bool, bench: Bench) -> None:
    system = made("ours", bench)
    system.train("fp32", bench.work / "ours" / "timed", Length(1, 150, 6, save=save))
    settings = yaml.safe_load((bench.work.resolve() / "ours" / "timed.yaml").read_text())
    assert settings["training"]["validate_every"] == settings["training"]["max_steps"] == 150


@pytest.mark.parametrize("name", PEERS)
def test_every_peer_gets_the_same_batches_threads_and_files(name: str, bench: Bench) -> None:
    bench = dataclasses.replace(bench, batch=24681357)
    system, folder = made(name, bench), bench.work / name / "fp32"
    said = told(system, folder, Length(1, None, 7))
    assert "24681357" in said
    assert str(bench.data.path("train")) in said or name == "fairseq"  # which reads its own data
    environment = system.train("fp32", folder, Length(1, None, 7)).environment
    assert environment["OMP_NUM_THREADS"] == "2"


def test_a_training_of_some_updates_can_keep_its_model(bench: Bench) -> None:
    system = made("fairseq", bench)
    kept, left = (told(system, bench.work, Length(1, 9, 1, save)) for save in (True, False))
    assert "--no-save" in left and "--no-save" not in kept


@pytest.mark.parametrize("split", ["test", "validation"])
@pytest.mark.parametrize("name", ["ours", *PEERS])
def test_every_driver_gets_the_same_search(name: str, split: str, bench: Bench) -> None:
    system = made(name, bench)
    folder = bench.work / name / "fp32"
    folder.mkdir()
    (folder / "model_step_16.pt").touch()
    command = system.decode("fp32", {"fp32": folder}, Search(5, bench.work / "out.txt", split))
    words = [str(word) for word in command.words]
    assert f"benchmarks.drivers.{name}" in words
    options = dict(zip(words[4::2], words[5::2], strict=True))
    assert options["--beam"] == "5"
    assert options["--batch"] == "64"
    assert options["--threads"] == "2"
    assert options["--output"] == str(bench.work / "out.txt")
    raw = name == "ours"  # which cuts text into the same pieces itself
    assert options["--input"] == str(bench.data.path(f"{split}.txt" if raw else f"{split}.src"))


def test_a_mode_of_ours_decodes_with_a_bundle_that_is_made_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_with: list[list[str]] = []

    def watch(command: Command, log: Path) -> None:
        made_with.append([str(word) for word in command.words])
        (bench.work / "ours" / "int8_shortlist-bundle").mkdir()

    monkeypatch.setattr("benchmarks.systems.ours.watch", watch)
    system, run = made("ours", bench), bench.work / "ours" / "fp32"
    for _ in range(2):
        search = Search(1, bench.work / "out.txt")
        words = [*map(str, system.decode("int8_shortlist", {"fp32": run}, search).words)]
        assert str(bench.work / "ours" / "int8_shortlist-bundle") in words
        assert "--precision" not in words  # the bundle says
    (export,) = made_with
    assert export[3:] == [
        "export",
        str(run),
        "-o",
        str(bench.work / "ours" / "int8_shortlist-bundle"),
        "--int8",
        "--shortlist",
        "50",
    ]


def test_our_batches_hold_as_many_sentences_on_average(toy: Toy) -> None:
    split = open_dataset(toy.prepared)["train"]
    updates = len(split) // 8
    source, target = (lengths_of(split, column) for column in ("source_ids", "target_ids"))
    budget = positions(toy.prepared, updates)
    assert len(BatchPlan(source, target, budget, seed=1)) <= updates
    assert len(BatchPlan(source, target, budget - 1, seed=1)) > updates


def test_the_dictionaries_that_toolkits_want_hold_every_piece(bench: Bench) -> None:
    system = made("marian", bench)
    assert isinstance(system, Marian)
    system.make_data()
    found = yaml.safe_load((bench.work / "marian" / "vocabulary.yml").read_text(encoding="utf-8"))
    assert found == {"</s>": 0, "<unk>": 1, "Ġa": 2, '"': 3, "\\": 4}
