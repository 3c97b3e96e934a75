"""The whole command, with systems that take milliseconds."""

import json
from pathlib import Path

import pytest

from benchmarks import peers
from benchmarks.peers import version_of
from benchmarks.results import Results
from benchmarks.systems.contract import Length
from benchmarks.systems.opennmt import OpenNMT
from benchmarks.systems.ours import Ours
from benchmarks.watching import Command
from tests.benchmarks.fakes import Breaking, Copying


@pytest.fixture
def words(joint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A command line with one round, for systems of this file alone."""
    monkeypatch.setattr(Copying, "trained", 0)
    monkeypatch.setattr(peers, "OURS", {"ours": Copying})
    monkeypatch.setattr(peers, "PEERS", {"copying": Copying, "breaking": Breaking})
    options = ["--data", joint, "--work", tmp_path / "work", "--out", tmp_path / "out.json"]
    sizes = ["--rounds", 1, "--timed-updates", 10, "--batch", 8, "--threads", 1]
    return [*map(str, options), *map(str, sizes)]


def test_rounds_fill_the_file_and_the_table(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert peers.main([*words, "--rounds", "2"]) == 0
    shown, told = capsys.readouterr()
    content = json.loads((tmp_path / "out.json").read_text())
    fp32 = content["runs"]["copying"]["fp32"]
    assert len(fp32["train_tokens_per_s"]) == 2  # the rounds, not the model
    assert len(fp32["beam5_sentences_per_s"]) == len(fp32["greedy_sentences_per_s"]) == 2
    timed = content["runs"]["copying"]["bf16"]  # a model that nobody decodes with
    assert len(timed["train_tokens_per_s"]) == 2 and timed["beam5_sentences_per_s"] == []
    assert fp32["parameters"] == timed["parameters"] == 3
    assert fp32["bleu"] == pytest.approx(100)
    fast = content["runs"]["ours"]["int8_shortlist"]
    assert fast["train_tokens_per_s"] == [] and len(fast["beam5_sentences_per_s"]) == 2
    assert fast["parameters"] == 3
    assert content["machine"]["threads"] == 1
    assert fp32["length"] == 1.0  # it copies the references
    assert content["settings"] | {"code": "", "data_hash": "", "signature": ""} == {
        **dict.fromkeys(("code", "data_hash", "signature"), ""),
        **{"batch": 8, "epochs": 1, "timed_updates": 10},
    }
    assert "tok:13a" in content["settings"]["signature"]
    assert content["versions"]["copying"] == {"copying": "1.0"}
    assert "copying fp32" in shown and "ours fp32 / it" in shown
    assert "copying: it does nothing" in told


def test_a_system_that_breaks_is_left_out_and_told_once(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert peers.main(words) == 0
    told = capsys.readouterr().err.splitlines()
    lost = [line for line in told if line.startswith("breaking is left out: ")]
    assert len(lost) == 1
    assert "ended with status 1: out of memory" in lost[0]
    runs = json.loads((tmp_path / "out.json").read_text())["runs"]
    assert len(runs["breaking"]["fp32"]["train_tokens_per_s"]) == 1  # its first round was its last
    assert runs["breaking"]["fp32"]["beam5_sentences_per_s"] == []


def test_finished_rounds_stay_when_a_later_one_is_interrupted(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(system: Copying, mode: str, folder: Path, length: Length) -> Command:
        if Copying.trained == 9:  # three models, then two timed trainings each
            raise KeyboardInterrupt
        return whole(system, mode, folder, length)

    whole = Copying.train
    monkeypatch.setattr(Copying, "train", train)
    with pytest.raises(KeyboardInterrupt):
        peers.main([*words, "--peers", "copying", "breaking", "--rounds", "2"])
    runs = json.loads((tmp_path / "out.json").read_text())["runs"]
    assert len(runs["copying"]["fp32"]["greedy_sentences_per_s"]) == 1


def test_trained_models_are_used_again_unless_a_setting_differs(
    words: list[str], tmp_path: Path
) -> None:
    words += ["--peers", "copying"]
    assert peers.main(words) == 0
    assert Copying.trained == 6  # two models, and two timed trainings of each system
    assert peers.main([*words, "--out", str(tmp_path / "again.json")]) == 0
    assert Copying.trained == 6 + 4
    assert peers.main([*words, "--epochs", "2", "--out", str(tmp_path / "more.json")]) == 0
    assert Copying.trained == 6 + 4 + 6


def test_the_rounds_of_another_run_are_not_lost(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out.json").write_text("hours")
    assert peers.main(words) == 2
    assert "expected a new file for the results, found one" in capsys.readouterr().err
    assert (tmp_path / "out.json").read_text() == "hours"


def test_a_model_of_another_size_is_named(tmp_path: Path) -> None:
    results, said = Results(tmp_path / "out.json", {}, {}), list[str]()
    for system, size in (("ours", 100), ("copying", 104), ("breaking", 98)):
        results.of(system, "fp32")["parameters"] = size
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(peers, "PEERS", {"copying": Copying, "breaking": Breaking})
        peers._tell_sizes(results, said.append)
    assert said == ["copying: its model has +4.0% parameters against ours: not matched"]


def test_a_system_is_known_by_its_code_and_ours_by_its_settings_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = version_of(Ours), version_of(OpenNMT)
    monkeypatch.setattr(Ours, "config", "configs/multi30k-en-de.yaml")
    assert version_of(Ours) != before[0]
    monkeypatch.setattr("benchmarks.measure.code", lambda: "another")
    assert version_of(OpenNMT) == before[1]


def test_without_epochs_training_alone_is_timed(words: list[str], tmp_path: Path) -> None:
    assert peers.main([*words, "--peers", "copying", "--epochs", "0"]) == 0
    assert Copying.trained == 4  # a timed training of each system and mode
    runs = json.loads((tmp_path / "out.json").read_text())["runs"]["copying"]["fp32"]
    assert len(runs["train_tokens_per_s"]) == 1
    assert runs["beam5_sentences_per_s"] == [] and runs["parameters"] is None


def test_without_data_it_says_which_command_makes_some(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert peers.main(["--out", str(tmp_path / "out.json")]) == 2
    assert "`nmt prepare benchmarks/matched.yaml` makes data/benchmark" in capsys.readouterr().err
    assert not (tmp_path / "out.json").exists()


def test_no_system_left_ends_it(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert peers.main([*words, "--ours", "--peers", "breaking"]) == 2
    assert capsys.readouterr().err.endswith("no system is left to be measured\n")
