"""Minimum risk training: the risk by hand, and that it falls when it is trained on."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
import yaml

from nmt import options
from nmt.batch import Batch
from nmt.cli import main
from nmt.decoding.scoring import score
from nmt.model.seq2seq import Seq2Seq
from nmt.training.objectives import MinimumRisk
from nmt.training.risk import Ids, Risk, expected_risk
from tests.toy import Toy, contains

BATCH = Batch.of([[4, 5, 6], [7]], [[5, 8], [7, 6, 4]])
DRAWN = [[[5, 8], [4], [4], [8, 8, 8]], [[], [7, 6]]]
WORTH = {(5, 8): 1.0, (4,): 0.25, (8, 8, 8): 0.5, (7, 6, 4): 1.0, (): 0.0, (7, 6): 0.75}


def drawn(model: Seq2Seq, batch: Batch, count: int) -> list[list[Ids]]:
    assert not model.training
    assert count == 4
    return DRAWN


def worth(translations: Sequence[Ids], reference: Ids) -> list[float]:
    assert tuple(reference) in ((5, 8), (7, 6, 4))
    return [WORTH[tuple(one)] for one in translations]


def model() -> Seq2Seq:
    torch.manual_seed(1)
    built: Seq2Seq = options.build(Seq2Seq, {"dropout": 0.0, "encoder": {"dropout": 0.0}}, 9, 9)
    return built


def risk_of(network: Seq2Seq) -> tuple[torch.Tensor, int]:
    return expected_risk(network, BATCH, Risk(drawn, worth), MinimumRisk(samples=4, sharpness=0.5))


def test_the_risk_is_its_equation() -> None:
    network = model()
    found, sentences = risk_of(network)
    assert sentences == 2
    assert network.training
    expected = 0.0
    sources = ([4, 5, 6], [7])
    # The reference is a candidate, and equal translations count once.
    for source, group in zip(
        sources, ([[5, 8], [4], [8, 8, 8]], [[7, 6, 4], [], [7, 6]]), strict=True
    ):
        many = Batch.of([source] * 3, group)
        powers = [torch.tensor(0.5 * one.log_probability).exp() for one in score(network, many)]
        costs = [1 - WORTH[tuple(one)] for one in group]
        expected += float(sum(p * c for p, c in zip(powers, costs, strict=True)) / sum(powers))
    assert found.item() == pytest.approx(expected, rel=1e-4)


def test_mixed_precision_does_not_round_the_costs() -> None:
    network = model()
    risk = Risk(drawn, lambda texts, _: [1.0 - 0.613] * len(texts))
    with torch.autocast("cpu", torch.bfloat16):
        found, sentences = expected_risk(network, BATCH, risk, MinimumRisk(samples=4))
    assert found.item() / sentences == pytest.approx(0.613, rel=1e-5)  # in bf16 0.6133 or 0.6094


def test_training_on_it_lowers_it() -> None:
    network = model()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    first = risk_of(network)[0].item()
    for _ in range(20):
        optimizer.zero_grad()
        risk_of(network)[0].backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert risk_of(network)[0].item() < 0.2 * first


def test_a_batch_with_nothing_to_say_has_no_risk() -> None:
    network = model()
    risk = Risk(lambda *_: [[[4], [5]], [[6]]], lambda texts, _: [0.5] * len(texts))
    found, sentences = expected_risk(network, BATCH.silent(), risk, MinimumRisk(samples=2))
    assert (found.item(), sentences) == (0.0, 0)
    found.backward()  # type: ignore[no-untyped-call]
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and not parameter.grad.any(), name


def test_a_run_is_tuned_by_its_own_translations(
    trained: Toy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = yaml.safe_load(trained.config.read_text())
    settings["training"] |= {
        "folder": str(tmp_path / "tuned"),
        "objective": "risk",
        "max_steps": 4,
        "validate_every": 2,
        "learning_rate": 1e-4,
        "batch_tokens": 100,
    }
    file = tmp_path / "risk.yaml"
    file.write_text(yaml.safe_dump(settings))
    assert main(["train", str(file)]) == 2
    contains(capsys.readouterr().err, "training.objective: risk", "expected --init-from RUN")
    assert main(["train", str(file), "--init-from", str(trained.run)]) == 0
    contains(capsys.readouterr().err, "update 4: validation loss", "finished after 4 updates")
