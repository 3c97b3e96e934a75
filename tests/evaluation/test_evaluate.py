"""What `nmt evaluate` leaves behind."""

import json
from pathlib import Path

import pytest

from nmt.cli import main
from nmt.evaluation.evaluate import ENSEMBLE
from tests.toy import Toy, sentences, write_lines

SOURCES = sentences(3, seed=11)


@pytest.fixture(autouse=True)
def one_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmt.evaluation.report.PICTURES", 1)  # test_report.py counts them


def test_translations_are_kept_if_scoring_is_interrupted(
    trained: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("nmt.evaluation.metrics.compare", cut)
    source, report = write_lines(tmp_path / "in", SOURCES), tmp_path / "report"
    words = ["evaluate", trained.run, "--src", source, "--ref", source, "--report", report]
    assert main([str(word) for word in words]) == 130
    assert len((report / "hypotheses.txt").read_text().splitlines()) == len(SOURCES)


def test_a_run_may_have_the_name_of_an_ensemble(
    trained: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained.copy_of_run(tmp_path / ENSEMBLE)
    write_lines(tmp_path / "in", SOURCES)
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", ENSEMBLE, "--src", "in", "--ref", "in"]) == 0
    assert (tmp_path / ENSEMBLE / "evaluation-in" / "report.md").exists()


def test_case_is_folded_in_the_examples_too(tmp_path: Path) -> None:
    small = write_lines(tmp_path / "small", ["the cat sat on the mat"])
    large = write_lines(tmp_path / "large", ["THE CAT SAT ON THE MAT"])
    words = ["evaluate", "--hyp", small, "--ref", large, "--lowercase", "--report", tmp_path / "r"]
    assert main([str(word) for word in words]) == 0
    [best] = json.loads((tmp_path / "r" / "report.json").read_text())["examples"]["best"]
    assert best["chrf"] == pytest.approx(100)


def test_each_report_has_a_folder_of_its_own(tmp_path: Path) -> None:
    names = ["a/x", "b/x", "c/x-2", "d/x"]
    for name in names:
        (tmp_path / name).parent.mkdir()
        write_lines(tmp_path / name, [f"the cat of {name} sat on the mat"])
    words = ["evaluate", "--hyp", *(tmp_path / name for name in names), "--ref", tmp_path / "a/x"]
    assert main([str(word) for word in [*words, "--report", tmp_path / "r"]]) == 0
    assert sorted(path.parent.name for path in tmp_path.glob("r/*/report.md")) == [
        "x",
        "x-2",
        "x-2-2",
        "x-3",
    ]
