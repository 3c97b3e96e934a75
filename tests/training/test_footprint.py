"""The memory of a batch is known beforehand, and batches are cut to what there is."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from nmt import checkpoint, options, ram
from nmt.batch import Batch
from nmt.config import Training
from nmt.data.datamodule import open_dataset
from nmt.errors import UserError
from nmt.model.seq2seq import Seq2Seq
from nmt.schema import Settings
from nmt.training import footprint
from nmt.training.callbacks import RunFolder
from nmt.training.footprint import (
    PEAK,
    Footprint,
    free_for_batches,
    kept_bytes,
    plan_batches,
)
from nmt.training.module import TranslationModule
from nmt.training.objectives import MinimumRisk
from nmt.training.trainer import rehearse
from nmt.vocab import load_vocabularies
from tests.model.variants import variants
from tests.toy import Toy
from tests.training.scripted import PowerCut, Script, settings

WORDS = 31


def module_of(model: Settings, words: int = WORDS) -> TranslationModule:
    torch.manual_seed(1)
    network = options.build(Seq2Seq, model, words, words)
    return TranslationModule(network, Training(folder="unused"), steps=1).train()


PARTS = {
    name: model
    for name, model in variants(Seq2Seq).items()
    if "-" not in name and not name.rpartition("=")[0].endswith(("_size", "initialization"))
}
"""Every kind of each part; sizes, shares and initial weights change no power of a length."""


@pytest.mark.parametrize("model", PARTS.values(), ids=PARTS)
def test_what_a_large_batch_keeps_is_told_by_small_ones(model: Settings) -> None:
    module = module_of(model)
    found = Footprint.of(module)
    told = 3 * found.row(70, 50) / PEAK
    kept = kept_bytes(module, 6, 70, 50) - kept_bytes(module, 3, 70, 50)
    assert told == pytest.approx(kept, rel=0.25)


def test_what_is_as_large_as_a_parameter_is_not_counted_for_each_row() -> None:
    module = module_of(PARTS[next(iter(PARTS))], words=20_000)
    told = 100 * Footprint.of(module).row(8, 8) / PEAK
    assert told == pytest.approx(kept_bytes(module, 100, 8, 8), rel=0.5)
    parameters = 4 * sum(one.numel() for one in module.parameters())
    assert kept_bytes(module, 1, 2, 2) < 1.1 * parameters  # what COPIES allows for


def test_minimum_risk_takes_what_all_its_candidates_take() -> None:
    model = PARTS[next(iter(PARTS))]
    one = module_of(model)
    many = module_of(model)
    many.objective = MinimumRisk(samples=4)
    few, more = (kept_bytes(module, 3, 20, 15) for module in (one, many))
    assert 4.5 * few < more < 10 * few  # targets of twice the length; all words' logits are kept
    assert 3 * Footprint.of(many).row(20, 15) / PEAK == pytest.approx(more, rel=0.25)


def test_processes_of_a_machine_share_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    module = module_of(PARTS[next(iter(PARTS))])
    monkeypatch.setattr(ram, "free", lambda device: 1e9)
    monkeypatch.setattr(footprint, "device", lambda: "cpu")
    alone = free_for_batches(module)
    model = 0.9e9 - alone
    assert 0 < model < 0.01e9
    monkeypatch.setattr("nmt.processes.local_world", lambda: 2)  # four on two machines
    monkeypatch.setattr("nmt.processes.world", lambda: 4)
    assert free_for_batches(module) == pytest.approx(4 * (0.9e9 / 2 - model))


def test_batches_are_taken_where_the_model_is(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = settings(toy, tmp_path)
    network = checkpoint.build_model(config, *load_vocabularies(toy.prepared))
    module = TranslationModule(network, config.training, steps=1)
    data = plan_batches(module, open_dataset(toy.prepared), config.training, float("inf"))
    moved: list[object] = []
    to = Batch.to

    def moving(batch: Batch, device: torch.device) -> Batch:
        moved.append(device)
        return to(batch, device)

    monkeypatch.setattr(Batch, "to", moving)
    rehearse(module, data, tmp_path)
    assert moved == [module.device]


def free_bytes(monkeypatch: pytest.MonkeyPatch, size: float) -> None:
    monkeypatch.setattr(ram, "free", lambda device: size)


def needed(toy: Toy) -> tuple[float, float]:
    """Bytes that the toy's model takes alone, and with its largest batch."""
    config = settings(toy, Path("unused"))
    vocabularies = load_vocabularies(toy.prepared)
    module = TranslationModule(
        checkpoint.build_model(config, *vocabularies), config.training, steps=1
    )
    alone = 4 * footprint.COPIES * sum(one.numel() for one in module.parameters())
    data = plan_batches(module, open_dataset(toy.prepared), config.training, float("inf"))
    return alone / footprint.SHARE, data.plan.bytes_of(data.plan.widest) / footprint.SHARE


def test_batches_are_cut_to_the_memory_there_is_and_stay_so_when_there_is_more(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, batch = needed(toy)
    free_bytes(monkeypatch, alone + batch / 2)
    script = Script(cut=("update", 5))
    with pytest.raises(PowerCut):
        script.run(settings(toy, tmp_path / "run"))
    assert any("more batches an epoch, so that none takes over" in line for line in script.said)
    recorded = checkpoint.read_manifest(tmp_path / "run")["choices"]["memory"]
    assert recorded == pytest.approx(footprint.SHARE * batch / 2, rel=1e-6)
    whole = Script()
    whole.run(settings(toy, tmp_path / "whole"))
    free_bytes(monkeypatch, 1e12)
    rest = Script()
    rest.run(settings(toy, tmp_path / "run"))
    for name, weights in rest.updated[12].items():
        assert torch.equal(weights, whole.updated[12][name])


def test_a_run_that_goes_on_with_less_memory_says_so(
    toy: Toy, cut_at: Callable[[int], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Path(shutil.copytree(cut_at(6), tmp_path / "run"))
    assert "memory" not in checkpoint.read_manifest(run)["choices"]
    alone, batch = needed(toy)
    free_bytes(monkeypatch, alone + batch / 2)
    script = Script()
    script.run(settings(toy, run))
    assert any("the system may end this run" in line for line in script.said)
    assert not any("more batches" in line for line in script.said)


def test_too_little_memory_is_said_before_anything_is_learnt(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, _ = needed(toy)
    free_bytes(monkeypatch, alone / 2)
    with pytest.raises(UserError, match=r"model: .* parameters take .* choose smaller sizes"):
        Script().run(settings(toy, tmp_path / "run"))
    free_bytes(monkeypatch, alone + 2000)
    with pytest.raises(UserError, match=r"pair \d+ of the train split .* set training.max_length"):
        Script().run(settings(toy, tmp_path / "run"))


def test_on_a_gpu_what_overflows_is_halved(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    config = settings(toy, Path("unused"))
    vocabularies = load_vocabularies(toy.prepared)
    module = TranslationModule(
        checkpoint.build_model(config, *vocabularies), config.training, steps=1
    )
    dataset = open_dataset(toy.prepared)
    most = plan_batches(module, dataset, config.training, float("inf")).widest_batch()
    loss = module.loss

    def overflows(batch: Batch, *others: Any, **more: Any) -> Any:
        if len(batch.source) > 3 and batch.source.numel() > most.source.numel() / 3:  # no probe
            raise torch.OutOfMemoryError("CUDA out of memory")
        return loss(batch, *others, **more)

    monkeypatch.setattr(module, "loss", overflows)
    monkeypatch.setattr(module, "to", lambda device: module)
    monkeypatch.setattr(footprint, "device", lambda: "cuda")
    data = plan_batches(module, dataset, config.training, float("inf"))
    assert data.widest_batch().source.numel() <= most.source.numel() / 3
    assert len(data.plan) > data.plan.wished
    monkeypatch.setattr(footprint, "_overflows", lambda module, data: True)
    with pytest.raises(UserError, match="expected what fits into"):
        plan_batches(module, dataset, config.training, float("inf"))


# Before the first validation, and after it; and where no batch can be cut.
@pytest.mark.parametrize(("update", "batch_tokens"), [(2, 400), (7, 400), (2, 1)])
def test_a_run_whose_gpu_overflows_goes_on_in_smaller_batches(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, update: int, batch_tokens: int
) -> None:
    config = settings(toy, tmp_path / "run", training__batch_tokens=batch_tokens)
    clip = TranslationModule.on_before_optimizer_step

    def full(module: TranslationModule, optimizer: torch.optim.Optimizer) -> None:
        if module.global_step == update:
            raise torch.OutOfMemoryError("CUDA out of memory")
        clip(module, optimizer)

    with monkeypatch.context() as patch:
        patch.setattr(TranslationModule, "on_before_optimizer_step", full)
        with pytest.raises(
            UserError, match="the GPU's memory ran out; the same command, without --fresh, goes on"
        ):
            Script().run(config)
    script = Script()
    run = script.run(config)
    cut = any("more batches an epoch" in line for line in script.said)
    assert cut == (batch_tokens > 1)
    assert checkpoint.read_manifest(run)["finished"]["step"] > update


def test_batches_that_were_cut_again_by_a_resumed_run_stay_so(
    toy: Toy, cut_at: Callable[[int], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Path(shutil.copytree(cut_at(6), tmp_path / "run"))
    overflows = iter([True, False, False])
    with monkeypatch.context() as patch:  # another program holds the GPU now
        patch.setattr(footprint, "device", lambda: "cuda")
        patch.setattr("nmt.ram.free", lambda device: 1e10)
        patch.setattr(TranslationModule, "to", lambda self, device: self)
        patch.setattr(footprint, "_overflows", lambda module, data: next(overflows))
        Script().run(settings(toy, run))
    assert checkpoint.read_manifest(run)["choices"]["memory"] > 0


def test_a_gpu_that_is_full_before_the_first_state_says_what_to_do(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, {"choices": {}}, lambda *_: {}, 10)
    assert "ran out; set a lower training.batch_tokens" in str(folder.overflowed(1e9))


def test_whichever_process_overflows_writes_it_down(
    whole: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Path(shutil.copytree(whole(), tmp_path / "run"))
    facts = checkpoint.read_manifest(run)
    facts = {key: facts[key] for key in facts if key != "files"}
    folder = RunFolder(run, facts, Script().validate, 10)
    monkeypatch.setattr("nmt.processes.rank", lambda: 1)
    assert "memory ran out" in str(folder.overflowed(1e9))
    assert checkpoint.read_manifest(run)["choices"]["memory"] == 5e8
