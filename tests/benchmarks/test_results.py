import json
from pathlib import Path

import pytest

from benchmarks.results import Results, ratios, tables


def filled(path: Path) -> Results:
    """Ours and a peer after two rounds; the peer has lost its last decoding."""
    results = Results(path, {"cores": 2}, {"batch": 64})
    ours, peer = results.of("ours", "fp32"), results.of("joeynmt", "fp32")
    ours |= {"train_tokens_per_s": [2000.0, 3000.0], "parameters": 13_000_000}
    ours |= {"beam5_sentences_per_s": [100.0, 120.0], "bleu": 24.5}
    peer |= {"train_tokens_per_s": [1000.0, 1000.0], "parameters": 12_900_000}
    peer |= {"beam5_sentences_per_s": [50.0], "bleu": 6.2, "length": 1.25}
    results.versions["joeynmt"] = {"joeynmt": "2.3.0"}
    return results


def test_the_file_has_the_agreed_shape(tmp_path: Path) -> None:
    results = filled(tmp_path / "out" / "peers.json")
    results.write()
    content = json.loads(results.path.read_text())
    assert content["runs"]["joeynmt"]["fp32"] == {
        "train_tokens_per_s": [1000.0, 1000.0],
        "beam5_sentences_per_s": [50.0],
        "greedy_sentences_per_s": [],
        "bleu": 6.2,
        "length": 1.25,
        "parameters": 12_900_000,
    }
    assert content["machine"] == {"cores": 2}
    assert content["versions"] == {"joeynmt": {"joeynmt": "2.3.0"}}
    assert content["settings"] == {"batch": 64}


def test_a_ratio_compares_within_a_round() -> None:
    assert ratios([2.0, 9.0, 4.0], [1.0, 3.0]) == [2.0, 3.0]


def test_tables_show_medians_ranges_and_ratios(tmp_path: Path) -> None:
    shown = tables(filled(tmp_path / "peers.json").runs, ["ours"])
    training, beam = shown.split("\n\n")
    assert "Greedy" not in shown  # nothing measured
    title, head, own, peer = training.splitlines()
    assert title == "Training, real target tokens per second"
    assert "ours fp32 / it" in head
    assert "2,500.0 (2,000.0-3,000.0)" in own
    assert "2.50 (2.00-3.00)" in peer
    assert "13,000,000" in own and "24.50" in own
    assert beam.splitlines()[-1].endswith("2.00")  # of the one round that both have


@pytest.mark.parametrize("measure", ["beam5_sentences_per_s", "greedy_sentences_per_s"])
def test_a_mode_that_is_not_trained_in_has_no_row_in_training(tmp_path: Path, measure: str) -> None:
    results = Results(tmp_path / "peers.json", {}, {})
    results.of("ours", "int8_shortlist")[measure].append(500.0)
    shown = tables(results.runs, ["ours"])
    assert "Training" not in shown
    assert "ours int8_shortlist" in shown
