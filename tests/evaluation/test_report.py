"""A report can be opened, and shows what it says."""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from nmt.evaluation import metrics, report
from nmt.translation import Alignment
from tests.evaluation.alone import evaluate

SOURCES = [f"source {i}" for i in range(30)]
REFERENCES: list[list[str | None]] = [[f"the reference number {i}", None] for i in range(30)]
HYPOTHESES = [f"the reference number {i}"[: 6 + 2 * (i % 10)] for i in range(30)]
PNG = b"\x89PNG\r\n\x1a\n"


def align(sources: Sequence[str]) -> list[Alignment | None]:
    return [Alignment(["a", "</s>"], ["東", "b", "</s>"], [[0.5, 0.5]] * 3) for _ in sources]


def write(folder: Path, with_pictures: bool = True) -> str:
    examples = report.examples_of(SOURCES, REFERENCES, HYPOTHESES)
    scores = evaluate(HYPOTHESES, REFERENCES)
    report.write_report(folder, "A test", scores, examples, align if with_pictures else None)
    return (folder / "report.md").read_text(encoding="utf-8")


def test_a_report_has_scores_examples_and_pictures(tmp_path: Path) -> None:
    text = write(tmp_path / "new" / "report")
    scores = evaluate(HYPOTHESES, REFERENCES)
    assert text.startswith("# A test\n\n30 sentences.")
    assert f"| {scores.bleu.value:.1f} ± {scores.bleu.interval:.1f} |" in text
    for score in scores.all():
        assert f"- {score.name}: `{score.signature}`" in text
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings == [
        "## Best examples",
        "## Worst examples",
        "## Random examples",
        "## Attention",
    ]
    names = sorted(path.name for path in (tmp_path / "new" / "report").iterdir())
    pictures = [name for name in names if name.endswith(".png")]
    assert len(pictures) == report.PICTURES
    assert {"report.md", "report.json", "hypotheses.txt"} == set(names) - set(pictures)
    lines = (tmp_path / "new" / "report" / "hypotheses.txt").read_text().splitlines()
    assert lines == HYPOTHESES
    for name in pictures:
        assert f"]({name})" in text
        assert (tmp_path / "new" / "report" / name).read_bytes().startswith(PNG)


def test_heads_of_a_turing_machine_are_drawn_beside_attention(tmp_path: Path) -> None:
    def with_heads(sources: Sequence[str]) -> list[Alignment | None]:
        heads = {"write 1": [[0.0, 1.0]] * 3, "read 1": [[0.5, 0.5]] * 3}
        return [replace(one, heads=heads) for one in align(sources) if one]

    examples = report.examples_of(SOURCES, REFERENCES, HYPOTHESES)
    scores = evaluate(HYPOTHESES, REFERENCES)
    report.write_report(tmp_path, "A test", scores, examples, with_heads)
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    drawn = sorted(path.name for path in tmp_path.glob("heads-*.png"))
    assert len(drawn) == len(list(tmp_path.glob("attention-*.png"))) == report.PICTURES
    for name in drawn:
        assert f"]({name})" in text
        assert (tmp_path / name).read_bytes().startswith(PNG)


def test_examples_are_ranked_by_their_own_chrf(tmp_path: Path) -> None:
    write(tmp_path, with_pictures=False)
    data = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    all_chrf = sorted(metrics.sentence_chrf(HYPOTHESES, REFERENCES))
    assert [one["chrf"] for one in data["examples"]["best"]] == all_chrf[:-11:-1]
    assert [one["chrf"] for one in data["examples"]["worst"]] == all_chrf[:10]
    assert len({one["line"] for one in data["examples"]["random"]}) == 10
    for one in data["examples"]["random"]:
        assert one["source"] == SOURCES[one["line"] - 1]
        assert one["hypothesis"] == HYPOTHESES[one["line"] - 1]
        assert one["references"] == REFERENCES[one["line"] - 1][:1]
    assert data["scores"] == evaluate(HYPOTHESES, REFERENCES).as_dict()


def test_the_same_input_gives_the_same_report(tmp_path: Path) -> None:
    assert write(tmp_path / "a", with_pictures=False) == write(tmp_path / "b", with_pictures=False)


def test_translations_alone_are_enough(tmp_path: Path) -> None:
    examples = report.examples_of(None, [["one | two"]], ["one *three*\\"])
    scores = evaluate(["one *three*\\"], [["one | two"]])
    report.write_report(tmp_path, "Alone", scores, examples)
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "|  | one \\| two | one \\*three\\*\\\\ |" in text
    assert "Attention" not in text


def test_without_matplotlib_the_report_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    text = write(tmp_path)
    assert "No pictures: pictures need matplotlib" in text
    assert "pip install 'nmt[plots]'" in text
    assert list(tmp_path.glob("*.png")) == []


def test_systems_stand_side_by_side() -> None:
    worse = [text[:5] for text in HYPOTHESES]
    table = report.scores_table(metrics.compare({"one": HYPOTHESES, "two": worse}, REFERENCES))
    heading, _, one, two = table.splitlines()
    assert heading == "|  | BLEU | chrF2 | TER |"
    assert one.startswith("| one | ")
    assert "p =" not in one
    assert two.count("(p = 0.0") == 3
