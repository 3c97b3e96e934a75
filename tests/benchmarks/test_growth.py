import json
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from benchmarks import growth, measure, points, synthetic
from nmt.checkpoint import load_run
from nmt.vocab import Vocabulary
from tests import toy


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "toy.yaml"
    path.write_text(yaml.safe_dump(toy.settings(tmp_path)))
    return path


@pytest.mark.slow
def test_a_corpus_is_prepared_and_translated(
    tmp_path: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "growth.json"
    words = ["--what", "corpus", "--sizes", "200", "--threads", "1", "--out", str(out)]
    assert growth.main([*words, "--config", str(file)]) == 0
    shown = capsys.readouterr().out
    toy.contains(shown, "pairs/s", "tokenizer s", "lines/s", "peak MiB", "prepare", "translate")
    prepare, translate = (point["measured"] for point in json.loads(out.read_text())["points"])
    assert prepare["pairs_per_s"] > 0 and prepare["tokenizer_s"] >= 0
    assert translate["lines_per_s"] > 0
    assert 50 < translate["peak_mib"] < 2000


@pytest.mark.parametrize(
    ("axis", "size", "jobs"),
    [
        ("length", 5, {"train": [64, 5, 5], "decode": [64, 5, 5]}),
        ("batch", 3, {"train": [3, 16, 16], "decode": [3, 16, 16]}),
        ("beam", 2, {"decode": [64, 16, 16]}),
        ("vocabulary", 300, {"train": [64, 16, 16], "decode": [64, 16, 16]}),
    ],
)
def test_one_thing_grows_and_the_others_stand(
    axis: str,
    size: int,
    jobs: dict[str, list[int]],
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def run(job: str, threads: int, **settings: object) -> dict[str, float]:
        assert settings["sizes"] == jobs[job]
        assert settings["vocabulary"] == (size if axis == "vocabulary" else None)
        if job == "decode":
            assert settings["beam"] == (size if axis == "beam" else 5)
        return points.JOBS[job](**settings)

    monkeypatch.setattr(growth, "run", run)
    arguments = growth.parse(["--config", str(file), "--seconds", "0"])
    found = list(growth.points(axis, size, arguments))
    assert [point.job for point in found] == list(jobs)
    assert all(value > 0 for point in found for value in point.measured.values())


def test_a_point_too_large_is_shown_and_does_not_end_the_rest(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(job: str, threads: int, **settings: int) -> dict[str, float]:
        if settings["beam"] > 5:
            raise RuntimeError("decode ended with status -9: it said nothing")
        return {"sentences_per_s": 12.0, "peak_mib": 345.0}

    monkeypatch.setattr(growth, "run", run)
    words = ["--what", "beam", "--sizes", "20", "5", "--config", str(file)]
    assert growth.main(words) == 1
    header, large, small = capsys.readouterr().out.splitlines()[:3]
    assert header.split() == ["beam", "job", "sentences/s", "peak", "MiB", "failed"]
    assert large.endswith("decode ended with status -9: it said nothing")
    assert small.split() == ["5", "decode", "12.0", "345"]


def test_why_a_job_failed_is_its_last_line() -> None:
    settings: dict[str, object] = {"path": "nowhere.yaml", "sizes": [2, 3, 4], "vocabulary": None}
    settings |= {"precision": "fp32", "budget": 0.0}
    with pytest.raises(RuntimeError, match=r"train ended with status 1: .*nowhere.yaml: expected"):
        growth.run("train", 1, **settings)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--what", "beam", "batch", "--sizes", "1"], "--sizes: expected a single --what"),
        (["--config", "nowhere.yaml"], "found no nowhere.yaml"),
    ],
)
def test_a_mistake_is_said_before_anything_runs(
    words: list[str], reason: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        growth.main(["--config", str(file), *words])
    assert reason in capsys.readouterr().err


def test_peak_memory_is_of_the_process_itself() -> None:
    ballast = b"x" * (300 * measure.MIB)
    code = (
        "from benchmarks.measure import MIB, peak_memory\n"
        "before = peak_memory()\n"
        "bytearray(b'x' * (40 * MIB))\n"
        "print(before, peak_memory() - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    before, more = map(float, done.stdout.split())
    assert before < 200 < len(ballast) / measure.MIB
    assert 75 < more < 90  # the bytes and their copy


def test_lines_follow_the_seed_and_fall_by_zipf() -> None:
    lines = list(synthetic.lines(2000, vocabulary_size=100, shortest=3, longest=6))
    assert lines == list(synthetic.lines(2000, 100, 3, 6, seed=1))
    assert lines != list(synthetic.lines(2000, 100, 3, 6, seed=2))
    assert {len(line.split()) for line in lines} == {3, 4, 5, 6}
    counts = Counter(word for line in lines for word in line.split())
    assert counts.keys() == set(synthetic.words(100))
    assert counts[synthetic.word(0)] / counts[synthetic.word(9)] == pytest.approx(10, rel=0.3)


def test_every_word_is_another_and_one_token(tmp_path: Path) -> None:
    words = synthetic.words(6000)
    assert len(set(words)) == len(words) == 5996
    synthetic.write_tokenizer(tmp_path / "tokenizer.json", 6000)
    vocabulary = Vocabulary(tmp_path / "tokenizer.json")
    (ids,) = vocabulary.encode([" ".join(words)])
    assert ids[0] == 4 and all(b == a + 1 for a, b in pairwise(ids)) and len(ids) == 5996
    assert vocabulary.decode([ids]) == [" ".join(words)]


def test_the_small_run_is_one_that_can_be_loaded(tmp_path: Path) -> None:
    points.corpus(str(tmp_path), lines=20)
    assert len((tmp_path / "all.xx").read_text().splitlines()) == 20
    assert load_run(tmp_path / "run").model.parameters_count() > 0


def test_a_table_is_aligned_and_a_spread_has_its_ends() -> None:
    rows = [{"a": "left", "b": "1"}, {"a": "x", "b": "100"}]
    assert measure.table(rows).splitlines() == ["a       b", "left    1", "x     100"]
    assert measure.with_spread([1.0]) == "1.0"
    assert measure.with_spread([3.0, 1000.0, 2.0]) == "3.0 (2.0-1,000.0)"
