"""A recipe for a corpus: settings chosen by its size, with the reason for each.

The rules follow Sennrich and Zhang 2019 (small vocabularies, small batches, tied embeddings, strong
dropout and word dropout where a little text is read many times) and our own runs; see LOG.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from nmt.schema import Settings


@dataclass(frozen=True)
class Facts:
    """The facts about the training split that a recipe depends on.

    Args:
        pairs: the number of sentence pairs.
        words: target-side words, split at white space; estimated for languages without spaces.
        types: distinct words among them.
        growth: new types per 1,000 further words, over the second half of the text.
        longest: the number of tokens of the longest sentence of either side.
    """

    pairs: int
    words: int
    types: int
    growth: float
    longest: int

    def told(self) -> str:
        """The facts in words."""
        return (
            f"{self.pairs:,} pairs, {self.words:,} target words, {self.types:,} different ones; "
            f"1,000 more words bring {self.growth:.0f} new ones; the longest sentence has "
            f"{self.longest} tokens"
        )


@dataclass(frozen=True)
class Choice:
    """A setting and the reason for it."""

    value: Any
    reason: str


Recipe = dict[str, Any]
"""Nested sections of plain values and choices."""

Rung = tuple[float, Any]


def _of(size: float, *rungs: Rung) -> Any:
    """The value of the first (limit, value) whose limit exceeds the size."""
    return next(value for limit, value in rungs if size < limit)


EVER = float("inf")


def data_choices(facts: Facts, tokenizer: Settings) -> Recipe:
    """The tokenizer section: the prepared settings with a vocabulary size for this corpus."""
    size = _of(facts.words, (2e5, 2000), (5e5, 4000), (2e7, 8000), (EVER, 16000))
    why = f"{facts.words:,} target words: a unit must be seen often enough to be learnt"
    return {"tokenizer": {**tokenizer, "vocabulary_size": Choice(size, why)}}


def model_choices(facts: Facts, passes: float) -> Recipe:
    """The model: its width grows with the corpus, its dropout with the number of passes."""
    width, state = _of(facts.pairs, (1e6, (256, 384)), (5e6, (384, 512)), (EVER, (512, 1024)))
    again = f"each pair is read {passes:.1f} times"
    few = facts.pairs < 2e4
    dropout = _of(passes, (4, 0.0), (8, 0.1), (14, 0.2), (EVER, 0.4 if few else 0.3))
    words = _of(passes, (8, 0.0), (14, 0.05), (EVER, 0.15 if few else 0.1))
    attention = {"kind": "additive", "hidden_size": Choice(state // 2, "half of the decoder's")}
    sizes = f"for {facts.pairs:,} pairs; wider is slower and needs more of them"
    return {
        "embedding_size": Choice(width, sizes),
        "encoder": {
            "kind": "recurrent",
            "cell": "gru",
            "hidden_size": Choice(width, "of each direction"),
            "dropout": Choice(dropout, f"of what attention reads: {again}"),
        },
        "decoder": {"cell": "lstm", "hidden_size": Choice(state, sizes), "attention": attention},
        "tie_embeddings": Choice("target", "a word's two vectors learn from both its uses"),
        "dropout": Choice(dropout, f"of embeddings and the output layer: {again}"),
        "word_dropout": Choice(words, f"whole words, on both sides: {again}"),
    }


def most_passes(pairs: int) -> int:
    """The number of epochs after which further ones bring little, or do harm."""
    most: int = _of(pairs, (2e4, 40), (6e4, 18), (2e5, 10), (1e6, 5), (EVER, 3))
    return most


def training_choices(facts: Facts, passes: float, updates_an_epoch: int) -> Recipe:
    """The training schedule for a number of passes over the data, possibly less than one."""
    steps = max(1, round(passes * updates_an_epoch))
    every = max(1, min(updates_an_epoch, steps // 8))
    steps = steps // every * every  # training ends with a validation
    batch = _of(facts.pairs, (2e4, 600), (2e5, 1000), (1e6, 1500), (EVER, 3000))
    decay = round(min(0.9995, max(0.9, 1 - 9 / steps)), 4)
    averaged = f"the weights' average reaches over {round(1 / (1 - decay)):,} updates"
    return {
        "max_epochs": Choice(max(1, -(-steps // updates_an_epoch)), "passes over the data"),
        "max_steps": Choice(steps, "updates: what ends the training"),
        "validate_every": Choice(every, "updates: once an epoch, but eight times at least"),
        "batch_tokens": Choice(batch, "padding included: more pairs bear larger batches"),
        "learning_rate": Choice(0.004, "high, with a short warm-up: the first epochs count"),
        "warmup_steps": Choice(min(100, max(1, steps // 10)), "updates until the peak"),
        "schedule": Choice("linear", "down to final_rate of the peak at the last update"),
        "final_rate": Choice(0.05, "share of the peak that is left at the end"),
        "label_smoothing": Choice(0.1, "Szegedy et al. 2016"),
        "average_decay": Choice(decay, averaged),
        "seed": Choice(1, "`nmt train --seeds 3` tells how much it matters"),
    }


def plain(recipe: Any) -> Any:
    """The settings without their reasons."""
    if isinstance(recipe, Choice):
        return recipe.value
    if isinstance(recipe, dict):
        return {key: plain(value) for key, value in recipe.items()}
    return recipe


COLUMN = 40
"""The column where reasons begin."""


def written(recipe: Recipe, heading: list[str]) -> str:
    """The recipe as a YAML file with a comment for each choice."""
    return "".join(f"{line}\n" for line in [*(f"# {line}" for line in heading), *_lines(recipe)])


def _lines(recipe: Recipe, indent: str = "") -> Iterator[str]:
    for key, value in recipe.items():
        if isinstance(value, dict) and value:
            yield f"{indent}{key}:"
            yield from _lines(value, indent + "  ")
            continue
        line = f"{indent}{key}: {_scalar(plain(value))}"
        yield f"{line:<{COLUMN}} # {value.reason}" if isinstance(value, Choice) else line


def _scalar(value: Any) -> str:
    """A value, or a list of them, as YAML on one line."""
    text = yaml.safe_dump([value], default_flow_style=True, allow_unicode=True, width=EVER)
    return text.strip()[1:-1]
