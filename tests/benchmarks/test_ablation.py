"""Whole ablations of toys, and what their tables say."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from benchmarks import ablation
from benchmarks.ablation import RECIPE, merged, shown
from nmt import config, options
from nmt.files import read_yaml
from nmt.model.seq2seq import Seq2Seq
from tests.toy import make

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """A command line for two variants of a toy that has no time to learn."""
    toy = make(tmp_path / "toy")
    variants: dict[str, Any] = {
        "config": str(toy.config),
        "common": {"training": {"max_steps": 4, "validate_every": 4}},
        "variants": {"no dropout": {"model": {"dropout": 0.2}}},
    }
    (tmp_path / "variants.yaml").write_text(yaml.safe_dump(variants))
    out = ["--out", str(tmp_path / "out.json"), "--work", str(tmp_path / "work")]
    return [str(tmp_path / "variants.yaml"), *out]


@pytest.mark.slow
def test_each_variant_is_trained_with_each_seed_once(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ablation.main([*words, "--seeds", "1"]) == 0
    first = json.loads((tmp_path / "out.json").read_text())["trainings"]
    assert sorted(one["variant"] for one in first.values()) == ["no dropout", RECIPE]
    assert {one["step"] for one in first.values()} == {4}
    written = capsys.readouterr().out
    assert (tmp_path / "out.md").read_text() == written
    assert [line.split(" | ")[0] for line in written.splitlines()[2:4]] == [
        f"| {RECIPE}",
        "| no dropout",
    ]
    for file in (tmp_path / "work").glob("run-*.log"):
        file.unlink()
    assert ablation.main([*words, "--seeds", "1", "2", "--at-once", "1"]) == 0
    both = json.loads((tmp_path / "out.json").read_text())["trainings"]
    assert {**both, **first} == both
    assert sorted(one["seed"] for one in both.values()) == [1, 1, 2, 2]
    assert len(list((tmp_path / "work").glob("run-*.log"))) == 2  # the first two were not touched
    assert len(list((tmp_path / "work").glob("data-*.log"))) == 1


def test_a_default_that_is_written_out_makes_no_other_training(words: list[str]) -> None:
    file = Path(words[0])
    variants = {"as before": {"training": {"clip_norm": 1.0}}, "other": {"model": {"dropout": 0.3}}}
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), "variants": variants}))
    recipe, same, other = ablation._jobs(ablation.parser().parse_args([*words, "--seeds", "1"]), "")
    assert recipe.settings["training"]["clip_norm"] == 1.0  # the toy does not name it
    assert recipe.digest == same.digest != other.digest


def test_a_training_that_fails_is_named(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "toy/all.xx").write_text("one line\n")
    assert ablation.main(words) == 2
    said = capsys.readouterr().err
    assert "ended with status 2" in said and "all of it: " in said


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ({"config": "x.yaml"}, "expected the keys common, config, variants"),
        ({"config": "toy/toy.yaml", "common": {}, "variants": ["a"]}, "the variants by name"),
        (
            {"config": "toy/toy.yaml", "common": {}, "variants": {"a": {"model": {"layer": 2}}}},
            "variants.yaml: a: model.layer: unknown key",
        ),
    ],
)
def test_a_mistake_in_the_file_is_told(
    words: list[str],
    file: dict[str, Any],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(words[0]).write_text(yaml.safe_dump(file))
    assert ablation.main(words) == 2
    assert message in capsys.readouterr().err


def test_a_change_is_laid_over_a_part_unless_its_kind_is_another() -> None:
    base = {"a": 1, "cell": {"kind": "gru", "reset_after": True}, "deep": {"x": {"y": 1, "z": 2}}}
    assert merged(base, {"deep": {"x": {"z": 3}}})["deep"] == {"x": {"y": 1, "z": 3}}
    assert merged(base, {"cell": {"kind": "lstm"}})["cell"] == {"kind": "lstm"}
    assert merged(base, {"cell": {"kind": "gru", "a": 1}})["cell"]["reset_after"] is True
    assert merged(base, {"cell": "rnn"}) == {**base, "cell": "rnn"}


def rows(**bleu: list[float]) -> list[list[str]]:
    table = {
        name.replace("_", " "): {
            str(seed): {"bleu": one, "loss": 2.0, "parameters": 1000, "signature": "signed"}
            for seed, one in enumerate(found)
        }
        for name, found in bleu.items()
    }
    text = shown(table)
    assert text.splitlines()[-1].startswith("signed; ")
    return [line.strip("| ").split(" | ") for line in text.splitlines()[2:-2]]


def test_a_difference_counts_beyond_twice_the_pooled_deviation() -> None:
    _, near, far = rows(the_recipe=[30, 32], near=[28.5, 30.5], far=[27, 29])
    assert near[3] == "-1.50"  # of a deviation of sqrt(2), pooled over variants
    assert far[3] == "**-3.00**"
    assert far[:3] == ["far", "28.00", "27.00, 29.00"]


def test_trainings_by_other_versions_of_the_code_are_told() -> None:
    one: dict[str, Any] = {"bleu": 1.0, "loss": 2.0, "parameters": 9, "signature": "", "code": "a"}
    assert "versions" not in shown({RECIPE: {"1": one}, "other": {"1": one}})
    told = shown({RECIPE: {"1": one}, "other": {"1": {**one, "code": "b"}}})
    assert told.endswith("; trained by 2 versions of the code.")


def test_one_seed_tells_of_no_difference() -> None:
    assert rows(the_recipe=[30], other=[10])[1][3] == "-20.00"


def variants_of(name: str) -> dict[str, config.Config]:
    """The settings of each variant of a file beside the benchmarks, the recipe's own first."""
    file = read_yaml(REPOSITORY / "benchmarks" / name)
    recipe = merged(read_yaml(REPOSITORY / file["config"]), file["common"])
    changes = {RECIPE: {}, **file["variants"]}
    return {
        name: config.from_dict(merged(recipe, change), name) for name, change in changes.items()
    }


@pytest.mark.parametrize("name", ["recipe.yaml", "field.yaml", "reasons.yaml", "options.yaml"])
def test_an_ablation_is_made_of_settings_that_exist_and_differ(name: str) -> None:
    variants = variants_of(name)
    recipe = variants.pop(RECIPE)
    assert [name for name, changed in variants.items() if changed == recipe] == []


def test_the_systems_of_the_field_are_as_large_as_the_default() -> None:
    sizes = {}
    for name, settings in variants_of("field.yaml").items():
        with torch.device("meta"):
            model: Seq2Seq = options.build(Seq2Seq, settings.model, 4000, 4000)
        sizes[name] = model.parameters_count()
    recipe = sizes[RECIPE]
    assert {name: size for name, size in sizes.items() if abs(size / recipe - 1) > 0.1} == {}
