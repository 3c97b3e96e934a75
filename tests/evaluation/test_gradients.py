"""How far gradients reach: against whole Jacobians, and where theory says what to expect."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
import yaml
from torch import Tensor

from nmt import options
from nmt.cli import main
from nmt.evaluation.gradients import gradient_norms
from nmt.model.seq2seq import Seq2Seq
from tests.toy import Answer, Toy, contains

TEXT = torch.tensor([[5, 7, 4, 8, 6], [4, 4, 7, 5, 8]])


def model(attention: str = "dot", **encoder: Any) -> Seq2Seq:
    torch.manual_seed(1)
    sizes = {} if encoder.get("kind") == "none" else {"hidden_size": 8}
    settings = {
        "embedding_size": 8,
        "encoder": {**sizes, **encoder},
        "decoder": {"hidden_size": 8, "attention": attention},
    }
    built: Seq2Seq = options.build(Seq2Seq, settings, 9, 9)
    return built.eval()


def expected_norms(last: Callable[[Tensor], Tensor], words: Tensor) -> Tensor:
    """From the whole Jacobian of the last state (B, M) with respect to the words (B, L, E)."""
    make = torch.autograd.functional.jacobian
    jacobian = make(last, words.detach())  # type: ignore[no-untyped-call]  # (B, M, B, L, E)
    direction = torch.randn(2, 8, generator=torch.Generator().manual_seed(1))
    gradients = torch.einsum("bm,bmble->ble", direction, jacobian)
    norms: Tensor = gradients.norm(dim=2).mean(dim=0).flip(0)
    return norms


@pytest.mark.parametrize("kind", ["recurrent", "none"])
def test_norms_are_those_of_the_jacobian(kind: str) -> None:
    network = model("none", kind="none") if kind == "none" else model(shortcut=False)
    lengths = torch.tensor([5, 5])
    found = gradient_norms(network, TEXT, TEXT)

    def encoders(words: Tensor) -> Tensor:
        memory: Tensor = network.encoder(words, lengths).memory[:, -1, :8]  # left to right
        return memory

    def decoders(words: Tensor) -> Tensor:
        features, _ = network.decoder(words, network.encode(TEXT, lengths))
        state: Tensor = features[:, -1, :8]  # the context follows
        return state

    expected = {"decoder": expected_norms(decoders, network.target_embedding(TEXT))}
    if kind != "none":
        expected["encoder"] = expected_norms(encoders, network.source_embedding(TEXT))
    assert found.keys() == expected.keys()
    for part, norms in expected.items():
        torch.testing.assert_close(torch.tensor(found[part]), norms)


def test_the_word_that_a_shortcut_carries_does_not_count() -> None:
    plain, carried = model(shortcut=False), model(shortcut=True)
    carried.encoder.load_state_dict(plain.encoder.state_dict())
    carried.source_embedding.load_state_dict(plain.source_embedding.state_dict())
    norms = [gradient_norms(one, TEXT, TEXT)["encoder"] for one in (plain, carried)]
    assert norms[0] == pytest.approx(norms[1])


def test_gradients_vanish_without_gates_and_stay_behind_a_forget_gate_that_is_open() -> None:
    text = torch.randint(4, 9, (4, 30), generator=torch.Generator().manual_seed(2))
    norms = {}
    for kind in ("rnn", "lstm"):
        network = model(cell=kind, bidirectional=False, shortcut=False)
        with torch.no_grad():
            for name, parameter in network.encoder.named_parameters():
                if kind == "rnn" and name.endswith("recurrent.weight"):
                    parameter.mul_(0.5)  # a Jacobian whose norm is at most a half
                if kind == "lstm" and name.endswith("input.bias"):
                    parameter[8:16] = 10.0  # the forget gate: all but open
        found = gradient_norms(network, text, text)["encoder"]
        norms[kind] = found[20] / found[0]
    assert norms["rnn"] <= 0.5**20 * 4
    assert norms["lstm"] > 0.01


def test_trained_and_fresh_systems_are_drawn_and_told(
    trained: Toy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = yaml.safe_load(trained.config.read_text())
    settings["model"]["encoder"]["cell"] = "rnn"
    fresh = tmp_path / "fresh.yaml"
    fresh.write_text(yaml.safe_dump(settings))
    picture = tmp_path / "made.png"
    words = ["diagnose", str(trained.run), str(fresh), "--length", "12", "-o", str(picture)]
    assert main(words) == 0
    said = capsys.readouterr()
    heading, *rows = said.out.splitlines()
    assert heading.split() == ["tokens", "back", "1", "2", "5", "10"]
    assert [row.split()[:2] for row in rows] == [
        [name, part] for name in ("run", "fresh") for part in ("encoder", "decoder")
    ]
    assert all(float(share) >= 0 for row in rows for share in row.split()[2:])
    assert picture.read_bytes().startswith(b"\x89PNG")
    contains(said.err, picture)


def test_systems_of_one_name_are_both_told(
    trained: Toy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fresh = tmp_path / "run.yaml"
    fresh.write_text(trained.config.read_text())
    words = ["diagnose", trained.run, fresh, "--length", "12", "-o", tmp_path / "made.png"]
    assert main(list(map(str, words))) == 0
    rows = capsys.readouterr().out.splitlines()[1:]
    assert [row.split()[0] for row in rows] == [str(trained.run)] * 2 + [str(fresh)] * 2


def test_a_target_may_have_fewer_texts_than_its_source(
    trained: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = {"source_ids": [[4] * 30], "target_ids": [[5] * 25]}  # three texts of ten, and two
    split = {"validation": datasets.Dataset.from_dict(data)}
    monkeypatch.setattr("nmt.evaluation.gradients.training_data_encoded", lambda *_: split)
    words = ["diagnose", trained.run, "--length", 10, "-o", tmp_path / "made.png"]
    assert main(list(map(str, words))) == 0


def test_what_is_neither_a_run_nor_a_file_is_told(answer: Answer, tmp_path: Path) -> None:
    told = answer("diagnose", tmp_path / "none")
    contains(told, "expected the folder of a run or a YAML file, found none")


def test_a_length_beyond_the_text_is_refused(answer: Answer, trained: Toy) -> None:
    told = answer("diagnose", trained.run, "--length", 100_000)
    contains(told, "--length: expected at most", "found 100000")


def test_a_bundle_of_8_bits_has_no_gradients(
    trained: Toy, answer: Answer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(trained.run), "--int8", "-o", str(tmp_path / "bundle")]) == 0
    capsys.readouterr()
    told = answer("diagnose", tmp_path / "bundle", "-o", tmp_path / "made.png")
    contains(told, "bundle: expected a trained run, found a bundle of 8 bits")


def test_the_picture_is_no_folder(trained: Toy, answer: Answer, tmp_path: Path) -> None:
    told = answer("diagnose", trained.run, "-o", tmp_path)
    contains(told, "--output: expected the name of a picture, found the folder")
