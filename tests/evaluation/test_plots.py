"""Pictures are drawn, in any script and without a screen."""

from pathlib import Path
from typing import Any

import pytest

from nmt.evaluation import plots
from nmt.translation import Alignment

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (["the", " cat", "</s>"], ["猫", "は", "</s>"]),
        (["</s>"], ["</s>"]),
        (["word"] * 60, ["$x_$", "$$", r"$\frac$", "{", "a very long piece of text"] * 20),
        (["🦜"], ["🦜"]),
    ],
)
def test_attention_of_any_text_is_drawn(
    tmp_path: Path, source: list[str], target: list[str]
) -> None:
    weights = [[1 / len(source)] * len(source) for _ in target]
    plots.attention_picture(Alignment(source, target, weights), tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(PNG)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_attention_has_a_row_for_each_target_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr(plots, "_save", lambda figure, path: drawn.append(figure))
    weights = [[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]]
    plots.attention_picture(Alignment(["a", " b"], ["x", " y", "z"], weights), tmp_path / "a.png")
    [axes] = drawn[0].axes
    assert axes.images[0].get_array().tolist() == weights
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["x", "y", "z"]


def test_curves_are_drawn_from_a_history(tmp_path: Path) -> None:
    rows = [
        {"step": 10, "train_loss": 5.0, "loss": 4.5, "bleu": 1.0},
        {"step": 20, "train_loss": 4.0, "loss": 3.5, "bleu": 9.0},
    ]
    plots.plot_curves(rows, tmp_path / "curves.png")
    plots.plot_curves([], tmp_path / "empty.png")
    full, empty = ((tmp_path / name).read_bytes() for name in ("curves.png", "empty.png"))
    assert full.startswith(PNG)
    assert empty.startswith(PNG)
    assert full != empty
