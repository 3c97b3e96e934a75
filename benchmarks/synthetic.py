"""Made-up text and untrained models, so that any size can be measured without a corpus."""

import random
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit

from benchmarks.arithmetic import Sizes
from nmt import checkpoint, options
from nmt.batch import Batch
from nmt.config import Config
from nmt.model.seq2seq import Seq2Seq
from nmt.vocab import EOS, JOINT, RESERVED, UNK

SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]
NEVER = -1e4
"""A bias that keeps a word from ever being said, in bf16 too."""


def word(rank: int) -> str:
    """A made-up word, different for each rank from 0: its number, in syllables."""
    rest, digit = divmod(rank, len(SYLLABLES))
    tail = SYLLABLES[digit]
    return word(rest - 1) + tail if rest else tail


def words(vocabulary_size: int) -> list[str]:
    """What a vocabulary of this size holds beside the reserved ids."""
    return [word(rank) for rank in range(vocabulary_size - len(RESERVED))]


def lines(
    count: int, vocabulary_size: int, shortest: int, longest: int, seed: int = 1
) -> Iterator[str]:
    """Lines of made-up words whose frequency falls with their rank (Zipf 1935).

    Args:
        count: of lines.
        vocabulary_size: of the words to draw from, together with the reserved ids.
        shortest: words of the shortest line.
        longest: words of the longest line; lengths between are equally likely.
        seed: the same seed gives the same lines.
    """
    draw = random.Random(seed)
    population = words(vocabulary_size)
    weights = list(accumulate(1 / (rank + 1) for rank in range(len(population))))
    for _ in range(count):
        length = draw.randint(shortest, longest)
        yield " ".join(draw.choices(population, cum_weights=weights, k=length))


def write_tokenizer(path: Path, vocabulary_size: int) -> None:
    """A tokenizer to which each made-up word is one token."""
    units = [*RESERVED, *words(vocabulary_size)]
    numbers = {unit: number for number, unit in enumerate(units)}
    tokenizer = Tokenizer(WordLevel(numbers, unk_token=RESERVED[UNK]))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    tokenizer.save(str(path))


def endless_model(config: Config) -> Seq2Seq:
    """An untrained model that never ends a sentence, its vocabularies of the configured size.

    Where an untrained one would end is chance. Without ends each translation is as long as it may
    be, which a benchmark sets by the length limit.
    """
    torch.manual_seed(config.training.seed)
    size = config.data.tokenizer.vocabulary_size
    model: Seq2Seq = options.build(Seq2Seq, config.model, size, size, where="model")
    with torch.no_grad():
        model.output.projection.bias[EOS] = NEVER
    return model


def batch(sizes: Sizes, vocabulary_size: int, seed: int = 1) -> Batch:
    """Random sentence pairs without padding."""
    draw = random.Random(seed)
    ids = range(len(RESERVED), vocabulary_size)

    def side(length: int) -> list[list[int]]:
        return [draw.choices(ids, k=length - 1) for _ in range(sizes.batch)]

    return Batch.of(side(sizes.source_length), side(sizes.target_length))


def save_run(folder: Path, config: Config) -> None:
    """An untrained, endless model as a run's folder that `nmt translate` takes."""
    folder.mkdir(parents=True)
    write_tokenizer(folder / JOINT, config.data.tokenizer.vocabulary_size)
    checkpoint.write_weights(folder, endless_model(config))
    checkpoint.write_config(folder, config)
    (folder / checkpoint.METRICS).write_text("{}\n", encoding="utf-8")
    languages = [config.data.source_language, config.data.target_language]
    checkpoint.write_manifest(folder, {"languages": languages})
