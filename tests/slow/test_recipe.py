"""The recipe of `make demo` on its real data, cut to a few minutes: it must learn to translate."""

from pathlib import Path

import pytest

from nmt.checkpoint import METRICS
from nmt.cli import main
from nmt.files import read_json

CONFIG = str(Path(__file__).parents[2] / "configs" / "tatoeba-en-es.yaml")


@pytest.mark.slow
def test_the_demo_recipe_learns_real_sentences(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["--data.folder", str(tmp_path / "data")]
    assert main(["prepare", CONFIG, *data]) == 0
    run = str(tmp_path / "run")
    short = ["--training.folder", run, "--training.max_steps", "900"]
    assert main(["train", CONFIG, *data, *short, "--training.validate_every", "900"]) == 0
    # Measured: 29.2.
    assert read_json(tmp_path / "run" / METRICS)["validation"]["bleu"] > 20
    capsys.readouterr()
    assert main(["evaluate", run]) == 0
    assert "BLEU" in capsys.readouterr().out
    assert (tmp_path / "run" / "evaluation" / "report.md").exists()
