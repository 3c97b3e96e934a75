"""A GPU does what the processor does; skipped where torch sees none."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from nmt import checkpoint, options
from nmt.batch import Batch
from nmt.config import Precision, Training
from nmt.data.datamodule import open_dataset
from nmt.decoding.translator import Translator
from nmt.errors import UserError
from nmt.model.packed import PACKERS
from nmt.model.seq2seq import Seq2Seq
from nmt.schema import Settings
from nmt.training.footprint import plan_batches
from nmt.training.module import TranslationModule
from nmt.vocab import load_vocabularies
from tests.model.variants import over
from tests.toy import Toy, command, contains, sentences, translated
from tests.training.scripted import PowerCut, Script, assert_alike, settings

DEVICE = "cuda"
pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="torch sees no CUDA device on this machine"
)

BATCH = Batch.of([[4, 5, 6, 7], [8], [6, 4, 8]], [[5, 8], [7, 6, 4], [8]])
SENTENCES = sentences(40, seed=7)


@over(Seq2Seq)
def test_every_system_learns_the_same(settings: Settings) -> None:
    torch.manual_seed(5)
    found = []
    model = options.build(Seq2Seq, settings, 9, 9)
    module = TranslationModule(model, Training(folder="unused"), steps=1).double().eval()
    for device in ("cpu", DEVICE):
        module.zero_grad()
        module.to(device)
        loss = module.loss(BATCH.to(module.device), smoothing=0.1)[0]
        loss.backward()  # type: ignore[no-untyped-call]
        found.append([loss.cpu(), *(one.grad.cpu().clone() for one in module.parameters())])  # type: ignore[union-attr]
    torch.testing.assert_close(found[1], found[0], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("precision", PACKERS)
def test_translations_are_the_same_in_every_precision(precision: Precision, trained: Toy) -> None:
    contains(trained.said, f"threads on {DEVICE}")
    found = [
        Translator.load(trained.run, device=device, precision=precision).translate(SENTENCES)
        for device in ("cpu", DEVICE)
    ]
    assert [one.text for one in found[1]] == [one.text for one in found[0]]
    right = sum(one.text == translated(text) for one, text in zip(found[1], SENTENCES, strict=True))
    assert right > 0.8 * len(SENTENCES)


def test_files_are_translated_and_evaluated_there(trained: Toy, tmp_path: Path) -> None:
    source, reference = tmp_path / "in", tmp_path / "reference"
    source.write_text("".join(f"{line}\n" for line in SENTENCES))
    reference.write_text("".join(f"{translated(line)}\n" for line in SENTENCES))
    answers = []
    for device in ("cpu", DEVICE):
        done = command(["translate", str(trained.run), "--input", str(source), "--device", device])
        assert done.returncode == 0, done.stderr
        answers.append(done.stdout)
    assert answers[0] == answers[1]
    files = ["--src", str(source), "--ref", str(reference), "--report", str(tmp_path / "report")]
    done = command(["evaluate", str(trained.run), *files, "--device", DEVICE])
    assert done.returncode == 0, done.stderr
    contains(done.stdout, "BLEU")


def test_a_cut_leaves_no_trace(toy: Toy, tmp_path: Path) -> None:
    with pytest.raises(PowerCut):
        Script(cut=("update", 6)).run(settings(toy, tmp_path / "cut"))
    assert_alike(
        Script().run(settings(toy, tmp_path / "cut")),
        Script().run(settings(toy, tmp_path / "whole")),
    )


@pytest.fixture
def little_memory() -> Iterator[int]:
    """Bytes that are left for this test on the GPU: far fewer than what is free there."""
    total, left = torch.cuda.get_device_properties(0).total_memory, 300 << 20
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + left) / total)
    yield left
    torch.cuda.set_per_process_memory_fraction(1.0)


def test_batches_are_halved_until_they_fit(toy: Toy, little_memory: int, tmp_path: Path) -> None:
    training = settings(toy, tmp_path, training__batch_tokens=100_000).training
    sizes = {"encoder": {"hidden_size": 256}, "decoder": {"hidden_size": 512}}
    vocabularies = load_vocabularies(toy.prepared)
    words = [len(one) for one in vocabularies]
    module = TranslationModule(options.build(Seq2Seq, sizes, *words), training, steps=1).train()
    data = plan_batches(module, open_dataset(toy.prepared), training, float("inf"))
    assert data.plan.wished == 1 < len(data.plan)
    module.loss(data.widest_batch().to(module.device), smoothing=0.1)[0].backward()  # type: ignore[no-untyped-call]


def test_memory_that_runs_out_in_a_run_is_told_and_the_run_goes_on(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_much(module: TranslationModule, batch: Batch, index: int) -> torch.Tensor:
        return torch.empty(1 << 50, device=DEVICE)

    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(TranslationModule, "training_step", too_much)
        with pytest.raises(UserError, match="memory ran out; the same command, without --fresh"):
            Script().run(settings(toy, run))
    script = Script()
    script.run(settings(toy, run))
    assert max(script.updated) == 12
    assert checkpoint.read_manifest(run)["choices"]["memory"] > 0


def test_a_process_needs_a_gpu_of_its_own(toy: Toy, tmp_path: Path) -> None:
    gpus, run = torch.cuda.device_count(), tmp_path / "run"
    words = ["--training.processes", str(gpus + 1), "--training.folder", str(run)]
    done = command(["train", str(toy.config), *words])
    assert done.returncode == 2
    contains(done.stderr, f"training.processes: expected at most {gpus}, one for each CUDA device")
