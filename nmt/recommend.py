"""`nmt recommend`: writes a recipe for a prepared corpus and the measured time of an update."""

from argparse import Namespace
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import datasets

from nmt import checkpoint, config, recipes
from nmt.data.datamodule import TranslationData, open_dataset
from nmt.errors import Say, UserError
from nmt.files import read_json, write_text
from nmt.recipes import Choice, Facts, Recipe
from nmt.training.speed import seconds_an_update
from nmt.vocab import load_vocabularies
from nmt.writing_systems import letters

LONGEST_MEAN, USUAL_MEAN = 12, 6
"""Letters per word, including its space: an upper bound for languages that write spaces, and a
typical value. Where the mean exceeds the bound, words are not delimited by spaces."""


def recommend(arguments: Namespace, show: Say, say: Say) -> None:
    """Writes the recipe as YAML, or shows it.

    Raises:
        UserError: there are no prepared data, or the output exists already.
    """
    folder, output = arguments.data, arguments.output
    folder = folder if folder.name else folder.resolve()  # `.` has no name
    if output and output.exists():
        raise UserError(f"{output}: expected a new file, found one; remove it or choose another")
    dataset = open_dataset(folder)
    prepared = read_json(folder / checkpoint.MANIFEST)
    if len(set(prepared["languages"])) < 2:
        raise UserError(
            f"{folder}: expected pairs of two languages, found {prepared['languages'][0]} alone; "
            "docs/language-model.md has a configuration for that"
        )
    config.expect_whole(prepared["settings"].get("piece"), "a recipe is for what is prepared")
    facts = facts_of(dataset["train"], prepared)
    name = output.stem if output else f"{folder.name}-recommended"
    most = recipes.most_passes(facts.pairs)
    recipe = _recipe(facts, folder, prepared, name, most, updates=1)
    say(f"{folder}: {facts.told()}; timing an update")
    seconds, updates = _measure(recipe, folder, dataset)
    affordable = arguments.minutes * 60 / (seconds * updates)
    passes = min(float(most), affordable)
    recipe = _recipe(facts, folder, prepared, name, passes, updates)
    if arguments.threads:
        recipe["training"]["threads"] = Choice(arguments.threads, "as the update was timed")
    config.from_dict(recipes.plain(recipe), "the recommended configuration")
    minutes = passes * updates * seconds / 60
    text = recipes.written(
        recipe,
        [
            f"Recommended for {folder}: {facts.told()}.",
            f"About {max(1, round(minutes))} minutes of training here ({seconds * 1000:.0f} ms an "
            f"update, {updates:,} updates an epoch), of {arguments.minutes} allowed.",
        ],
    )
    if output is None:
        show(text.rstrip("\n"))
        return
    write_text(output, text)
    say(f"wrote {output}; next: nmt prepare {output} && nmt train {output}")


def facts_of(train: datasets.Dataset, prepared: dict[str, Any]) -> Facts:
    """Gathers the facts from the training split and the manifest."""
    texts = train["target"]
    first, half = _types(texts[: len(texts) // 2])
    every, words = _types(texts)
    further = max(1, words - half)
    return Facts(
        pairs=len(train),
        words=words,
        types=len(every),
        growth=1000 * (len(every) - len(first)) / further,
        longest=max(side["longest"] for side in prepared["text"]["train"].values()),
    )


def _types(texts: Iterable[str]) -> tuple[set[str], int]:
    """The distinct words of some texts, and the number of all words."""
    types: set[str] = set()
    words = length = 0
    for text in texts:
        found = text.split()
        types.update(found)
        words += len(found)
        length += letters(text)
    return types, words if length <= LONGEST_MEAN * words else length // USUAL_MEAN


def _recipe(
    facts: Facts, folder: Path, prepared: dict[str, Any], name: str, passes: float, updates: int
) -> Recipe:
    settings = prepared["settings"]
    data = {**settings, **recipes.data_choices(facts, settings["tokenizer"])}
    if recipes.plain(data) != settings:  # keep the prepared folder unchanged
        taken = folder.name == name
        folder = folder.with_name(f"{name}-recommended" if taken else name)
    return {
        "data": {"folder": folder.as_posix(), **data},
        "model": recipes.model_choices(facts, passes),
        "training": {
            "folder": f"checkpoints/{name}",
            **recipes.training_choices(facts, passes, updates),
        },
        "decoding": {"beam_size": 5, "length_penalty": 1.0},
    }


def _measure(recipe: Recipe, folder: Path, dataset: datasets.DatasetDict) -> tuple[float, int]:
    """Seconds per update and updates per epoch, with the existing tokenizers."""
    settings = config.from_dict(recipes.plain(recipe), "the recommended configuration")
    model = checkpoint.build_model(settings, *load_vocabularies(folder))
    data = TranslationData(dataset, settings.training.batch_tokens, settings.training.seed)
    return seconds_an_update(settings, model, data), len(data.plan)
