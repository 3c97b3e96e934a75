"""Which precision a run takes, and that it keeps to it."""

from pathlib import Path

import pytest
import torch

from nmt import checkpoint
from nmt.training import precision, resumption
from tests.toy import Toy
from tests.training.scripted import PowerCut, Script, same, settings


def test_precision_is_measured_once_said_recorded_and_reused(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def choose(wanted: str, device: str) -> str:
        asked.append(wanted)
        return "bf16"

    monkeypatch.setattr(resumption, "choose_precision", choose)
    changes = settings(toy, tmp_path / "run", training__precision="auto")
    first, second = Script(cut=("update", 6)), Script()
    with pytest.raises(PowerCut):
        first.run(changes)
    run = second.run(changes)
    assert asked == ["auto"]
    for script in (first, second):
        assert ", bf16, 1 threads" in script.said[0]
    assert checkpoint.read_manifest(run)["choices"]["precision"] == "bf16"


def test_bf16_is_used_where_it_was_chosen(toy: Toy, tmp_path: Path) -> None:
    found = []
    for kind in ("fp32", "bf16"):
        script = Script()
        changes = settings(
            *(toy, tmp_path / kind),
            training__precision=kind,
            training__max_steps=2,
            training__validate_every=2,
        )
        script.run(changes)
        found.append(script.validated[2])
    assert not same(*found)
    assert all(tensor.dtype == torch.float32 for tensor in found[1].values())


@pytest.mark.parametrize(
    ("seconds", "expected"), [((1.0, 0.5), "bf16"), ((1.0, 0.8), "fp32"), ((1.0, 3.0), "fp32")]
)
def test_the_faster_precision_is_chosen(
    seconds: tuple[float, float], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = dict(zip((torch.float32, torch.bfloat16), seconds, strict=True))
    monkeypatch.setattr(precision, "_product_seconds", lambda dtype, device: table[dtype])
    assert precision.choose_precision("auto", "cpu") == expected
    assert precision.choose_precision("fp32", "cpu") == "fp32"
    assert precision.choose_precision("bf16", "cpu") == "bf16"


def test_products_are_timed() -> None:
    assert 0 < precision._product_seconds(torch.float32, "cpu") < 5
