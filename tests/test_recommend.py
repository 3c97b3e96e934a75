"""Recipes by the size of a corpus, and the YAML that the command writes."""

from pathlib import Path
from typing import Any

import datasets
import pytest
import yaml

from nmt import config, recipes, recommend
from nmt.cli import main
from nmt.recipes import Choice, Facts
from tests.toy import Answer, Toy, contains

SIZES = (1_000, 10_000, 29_000, 140_000, 500_000, 2_000_000, 20_000_000)


def facts(pairs: int) -> Facts:
    return Facts(pairs, words=12 * pairs, types=pairs, growth=30.0, longest=60)


@pytest.mark.parametrize("pairs", SIZES)
@pytest.mark.parametrize("passes", [0.01, 1.5, 8.0, 40.0])
def test_a_recipe_for_any_size_is_a_valid_configuration(pairs: int, passes: float) -> None:
    recipe = {
        "data": {
            "folder": "d",
            "source_language": "xx",
            "target_language": "yy",
            "corpus": {"kind": "files", "train": ["yes", "ä: #1"]},
            **recipes.data_choices(facts(pairs), {"kind": "bpe", "joint": False}),
        },
        "model": recipes.model_choices(facts(pairs), passes),
        "training": {"folder": "r", **recipes.training_choices(facts(pairs), passes, 500)},
    }
    text = recipes.written(recipe, ["What it is for."])
    assert text.startswith("# What it is for.\n")
    assert yaml.safe_load(text) == recipes.plain(recipe)
    built = config.from_dict(yaml.safe_load(text), "the text")
    steps, every = built.training.max_steps, built.training.validate_every
    assert steps and every and steps % every == 0  # or training would go on to the next validation
    assert 0.85 * passes * 500 < steps <= max(1, round(passes * 500))
    assert built.training.max_epochs * 500 >= steps >= 8 * every or passes < 0.1


def test_more_text_brings_larger_vocabularies_and_fewer_passes() -> None:
    vocabularies = [recipes.plain(recipes.data_choices(facts(n), {})) for n in SIZES]
    sizes = [found["tokenizer"]["vocabulary_size"] for found in vocabularies]
    passes = [recipes.most_passes(n) for n in SIZES]
    assert sizes == sorted(sizes) and len(set(sizes)) > 2
    assert passes == sorted(passes, reverse=True) and len(set(passes)) > 2


def test_what_is_read_often_is_dropped_more() -> None:
    rates = [
        recipes.plain(recipes.model_choices(facts(29_000), passes))["dropout"]
        for passes in (1, 6, 10, 18)
    ]
    assert rates == sorted(rates) and len(set(rates)) == 4


def test_what_depends_on_the_corpus_or_the_time_has_its_reason() -> None:
    def leaves(part: Any) -> dict[str, Any]:
        if not isinstance(part, dict):
            return {"": part}
        return {f"{key}.{k}": v for key, inner in part.items() for k, v in leaves(inner).items()}

    made = [
        leaves(
            {
                **recipes.data_choices(facts(pairs), {"kind": "bpe", "joint": False}),
                **recipes.model_choices(facts(pairs), passes),
                **recipes.training_choices(facts(pairs), passes, 500),
            }
        )
        for pairs in SIZES
        for passes in (0.01, 8.0)
    ]
    varying = [key for key in made[0] if len({str(recipes.plain(one[key])) for one in made}) > 1]
    assert len(varying) > 9
    assert [key for key in varying if not all(isinstance(one[key], Choice) for one in made)] == []


def test_a_choice_is_written_with_its_reason() -> None:
    text = recipes.written({"a": {"b": Choice(1, "because")}, "c": "yes"}, [])
    assert text.splitlines() == [f"{'a:':<40}".rstrip(), f"{'  b: 1':<40} # because", "c: 'yes'"]


def test_the_yaml_prepares_and_trains(
    toy: Toy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = tmp_path / "mine.yaml"
    words = ["recommend", str(toy.prepared), "--minutes", "1", "--threads", "1", "-o", str(made)]
    assert main(words) == 0
    said = capsys.readouterr().err
    contains(said, "260 pairs", "12 different ones", f"next: nmt prepare {made}")
    contains(made.read_text(), f"# Recommended for {toy.prepared}", "ms an update", "of 1 allowed")
    settings = config.load(made)
    assert settings.data.folder == str(toy.folder / "mine")  # another vocabulary: another folder
    assert settings.data.corpus == config.load(toy.config).data.corpus
    places = ["--data.folder", str(tmp_path / "d"), "--training.folder", str(tmp_path / "r")]
    assert main(["prepare", str(made), *places]) == 0
    few = ["--training.max_steps", "2", "--training.validate_every", "2"]
    assert main(["train", str(made), *places, *few]) == 0
    contains(capsys.readouterr().err, "finished after 2 updates")


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """An update takes five seconds, and is not tried."""
    monkeypatch.setattr(recommend, "seconds_an_update", lambda *_: 5.0)


@pytest.mark.usefixtures("timed")
def test_it_shows_the_yaml_where_no_file_is_named(
    toy: Toy, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["recommend", str(toy.prepared), "--minutes", "1", "--threads", "1"]) == 0
    settings = config.from_dict(yaml.safe_load(capsys.readouterr().out), "what was shown")
    assert settings.training.folder == "checkpoints/prepared-recommended"


def test_words_are_counted_where_no_spaces_are_written() -> None:
    prepared = {"text": {"train": {"source": {"longest": 9}, "target": {"longest": 9}}}}
    spaced = datasets.Dataset.from_dict({"target": ["four words stand here"] * 60})
    assert recommend.facts_of(spaced, prepared).words == 240
    khmer = datasets.Dataset.from_dict({"target": ["ខ្ញុំស្រឡាញ់ភាសាខ្មែរណាស់"] * 60})  # five words
    assert 100 < recommend.facts_of(khmer, prepared).words < 600


@pytest.mark.usefixtures("timed")
def test_what_is_prepared_stays_where_the_recipe_has_its_name(toy: Toy, tmp_path: Path) -> None:
    made = tmp_path / f"{toy.prepared.name}.yaml"
    words = ["recommend", str(toy.prepared), "--minutes", "1", "--threads", "1", "-o", str(made)]
    assert main(words) == 0
    assert config.load(made).data.folder == f"{toy.prepared}-recommended"


@pytest.mark.usefixtures("timed")
@pytest.mark.parametrize("minutes", [1, 2])
def test_the_updates_fill_the_minutes(
    minutes: int, toy: Toy, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["recommend", str(toy.prepared), "--minutes", str(minutes), "--threads", "1"]
    assert main(words) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    steps, every = (shown["training"][key] for key in ("max_steps", "validate_every"))
    assert 11 * minutes <= steps <= 12 * minutes and steps % every == 0


@pytest.mark.usefixtures("timed")
def test_the_current_folder_has_a_name(
    toy: Toy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(toy.prepared)
    assert main(["recommend", ".", "--minutes", "1"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert shown["training"]["folder"] == "checkpoints/prepared-recommended"


def test_mistakes_are_told(toy: Toy, tmp_path: Path, answer: Answer) -> None:
    contains(answer("recommend", tmp_path), "expected prepared data here, found none")
    contains(answer("recommend", toy.prepared, "-o", toy.config), "expected a new file, found one")
    contains(answer("recommend", toy.prepared, "--minutes", 0), "expected 1 or more, found 0")
