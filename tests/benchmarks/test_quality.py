"""Time to quality, with systems that take milliseconds."""

import json
from pathlib import Path

import pytest

from benchmarks import quality
from benchmarks.peers import open_bench
from benchmarks.quality import Point, shown
from benchmarks.trial import Pace, Trial
from tests.benchmarks.fakes import Breaking, Copying


@pytest.fixture
def words(joint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A command line for systems of these tests alone."""
    monkeypatch.setattr(Copying, "trained", 0)
    monkeypatch.setattr(quality, "SYSTEMS", {"copying": Copying, "breaking": Breaking})
    monkeypatch.setattr(quality, "CHOSEN", ("copying",))
    options = ["--data", joint, "--work", tmp_path / "work", "--out", tmp_path / "out.json"]
    sizes = ["--timed-updates", 20, "--batch", 8, "--threads", 1]
    return [*map(str, options), *map(str, sizes)]


def points(folder: Path) -> dict[str, list[Point]]:
    found = json.loads((folder / "out.json").read_text())["points"]
    return {name: [Point(*one) for one in rows] for name, rows in found.items()}


def test_each_number_of_minutes_is_a_training_of_its_own(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert quality.main([*words, "--minutes", "0.02", "0.01"]) == 0
    found = points(tmp_path)["copying"]
    assert [point.asked for point in found] == [0.01, 0.02]
    assert all(point.minutes > 0 and point.updates >= 1 for point in found)
    assert all(point.bleu == pytest.approx(100) for point in found)
    assert Copying.trained == 3  # one of them finds the pace
    assert "0.02 minutes" in capsys.readouterr().out
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
    assert "tok:13a" in json.loads((tmp_path / "out.json").read_text())["signature"]


def test_a_second_run_adds_what_is_missing(words: list[str], tmp_path: Path) -> None:
    assert quality.main([*words, "--minutes", "0.01"]) == 0
    (first,) = points(tmp_path)["copying"]
    assert quality.main([*words, "--minutes", "0.01", "0.02"]) == 0
    kept, _ = points(tmp_path)["copying"]
    assert kept == first
    assert Copying.trained == 4
    assert quality.main([*words, "--minutes", "0.02"]) == 0
    assert Copying.trained == 4


def test_the_minutes_hold_the_start_and_the_updates(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench, _ = open_bench(quality.parser().parse_args(words))
    trial = Trial("copying", Copying(bench), bench, 0, 20, [])
    point, _ = quality._measure(trial, 1, Pace(updates_per_second=2, start_up=10))
    assert point.updates == 100
    assert 0 < point.minutes < 1
    assert "copying: " in capsys.readouterr().err


def test_the_pace_is_that_of_the_updates_alone(words: list[str]) -> None:
    bench, _ = open_bench(quality.parser().parse_args(words))
    pace = Trial("copying", Copying(bench), bench, 0, 20, []).pace("fp32")
    assert 0 < pace.updates_per_second < 1000  # each sleeps for five milliseconds
    assert pace.start_up >= 0


def test_a_file_of_other_data_is_refused(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out.json").write_text('{"data_hash": "another", "points": {}}')
    assert quality.main(words) == 2
    assert "expected points measured with data_hash" in capsys.readouterr().err


def test_what_was_measured_before_a_system_broke_stays(words: list[str], tmp_path: Path) -> None:
    assert quality.main([*words, "--systems", "copying", "breaking", "--minutes", "0.01"]) == 2
    assert len(points(tmp_path)["copying"]) == 1


def test_the_table_has_a_column_for_each_number_of_minutes() -> None:
    found = {"a": [Point(10, 9.8, 100, 30.0)], "b": [Point(10, 10.1, 90, 20), Point(20, 20, 1, 25)]}
    lines = shown(found).splitlines()
    assert lines[0].split() == ["BLEU", "after", "10", "minutes", "20", "minutes"]
    assert lines[1].split() == ["a", "30.0", "(9.8", "min)"]
    assert lines[2].split() == ["b", "20.0", "(10.1", "min)", "25.0", "(20.0", "min)"]
