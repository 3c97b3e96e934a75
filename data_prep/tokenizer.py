"""Trains subword tokenizers that give any text back exactly.

Text becomes bytes first (each written as one printable character), so that nothing is ever unknown
and nothing needs normalising. The reserved ids are not "added tokens": a literal `<s>` in the text
is three characters like any other.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from data_prep.corpus import Pair
from nmt.config import Tokenizer
from nmt.vocab import JOINT, RESERVED, SEPARATE, UNK

BYTES = sorted(pre_tokenizers.ByteLevel.alphabet())
"""The 256 characters that stand for bytes."""


def train_tokenizers(folder: Path, pairs: Sequence[Pair], settings: Tokenizer) -> dict[str, int]:
    """Trains on the pairs, writes the tokenizer files and returns {file name: vocabulary size}.

    A vocabulary is smaller than asked for where the text does not hold enough to merge.
    """
    sides = [[source for source, _ in pairs], [target for _, target in pairs]]
    names: Sequence[str] = SEPARATE
    texts = sides
    if settings.joint:
        names, texts = (JOINT,), [sides[0] + sides[1]]
    sizes = {}
    for name, lines in zip(names, texts, strict=True):
        trained = json.loads(TRAINERS[settings.kind](lines, settings.vocabulary_size).to_str())
        trained["added_tokens"] = []
        if settings.kind == "unigram":
            vocabulary = trained["model"]["vocab"]
            trained["model"]["vocab"] = _canonical(vocabulary, settings.vocabulary_size)
        (folder / name).write_text(json.dumps(trained, ensure_ascii=False), encoding="utf-8")
        sizes[name] = len(trained["model"]["vocab"])
    return sizes


def _train_bpe(texts: Sequence[str], size: int) -> tokenizers.Tokenizer:
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(RESERVED),
        initial_alphabet=BYTES,
        show_progress=sys.stderr.isatty(),
    )
    return _train(tokenizers.Tokenizer(models.BPE()), texts, trainer)


def _train_unigram(texts: Sequence[str], size: int) -> tokenizers.Tokenizer:
    trainer = trainers.UnigramTrainer(
        vocab_size=size,
        special_tokens=list(RESERVED),
        initial_alphabet=BYTES,
        unk_token=RESERVED[UNK],
        show_progress=sys.stderr.isatty(),
    )
    return _train(tokenizers.Tokenizer(models.Unigram()), texts, trainer)


def _train(
    tokenizer: tokenizers.Tokenizer, texts: Sequence[str], trainer: Any
) -> tokenizers.Tokenizer:
    # Its pattern never joins letters and punctuation, so no learnt unit can spell a reserved one.
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(_batches(texts), trainer, length=len(texts))
    return tokenizer


def _batches(texts: Sequence[str], size: int = 1000) -> Iterator[list[str]]:
    for start in range(0, len(texts), size):
        yield list(texts[start : start + size])


def _canonical(vocabulary: list[tuple[str, float]], size: int) -> list[tuple[str, float]]:
    """The same units whenever the same text was trained on, and no more than asked for.

    The library sums scores in the order of its threads, gives bytes that were pruned or never
    seen the lowest score plus 0.0001 for each in the order of a hash table, and keeps more units
    than a small vocabulary has room for.
    """
    reserved, learnt = vocabulary[: len(RESERVED)], vocabulary[len(RESERVED) :]
    lowest = min(score for _, score in learnt)
    pruned = lowest + 0.0001 * (len(BYTES) + 1)
    alphabet = set(BYTES)
    scored = [
        (unit, round(lowest if unit in alphabet and score < pruned else score, 4))
        for unit, score in learnt
    ]
    scored.sort(key=lambda entry: (-entry[1], entry[0]))
    room = size - len(RESERVED) - len(BYTES)
    others = [unit for unit, _ in scored if unit not in alphabet][:room]
    kept = alphabet.union(others)
    return reserved + [entry for entry in scored if entry[0] in kept]


TRAINERS = {"bpe": _train_bpe, "unigram": _train_unigram}
