"""Trains lossless subword tokenizers: decoding gives any text back exactly.

Text is first converted to bytes (each represented by a printable character), so that nothing is
ever unknown or needs normalising. The reserved ids are not "added tokens": a literal `<s>` in the
text is three ordinary characters.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from data_prep.pairs import Pairs
from nmt.config import Tokenizer
from nmt.vocab import JOINT, RESERVED, SEPARATE, UNK

BYTES = sorted(pre_tokenizers.ByteLevel.alphabet())
"""The 256 characters that stand for bytes."""


def train_tokenizers(folder: Path, pairs: Pairs, settings: Tokenizer) -> dict[str, int]:
    """Trains on the pairs, writes the tokenizer files and returns {file name: vocabulary size}.

    A vocabulary is smaller than requested if the text does not contain enough to merge.
    """
    sides = {JOINT: [0, 1]} if settings.joint else dict(zip(SEPARATE, [[0], [1]], strict=True))
    sizes = {}
    for name, columns in sides.items():
        trainer, tokenizer = TRAINERS[settings.kind](settings.vocabulary_size)
        # Its pattern separates letters from punctuation, so no learnt unit equals a reserved one.
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        texts = _texts(pairs, columns)
        tokenizer.train_from_iterator(texts, trainer, length=len(columns) * len(pairs))
        trained = json.loads(tokenizer.to_str())
        trained["added_tokens"] = []
        if settings.kind == "unigram":
            vocabulary = trained["model"]["vocab"]
            trained["model"]["vocab"] = _canonical(vocabulary, settings.vocabulary_size)
        (folder / name).write_text(json.dumps(trained, ensure_ascii=False), encoding="utf-8")
        sizes[name] = len(trained["model"]["vocab"])
    return sizes


def _bpe(size: int) -> tuple[Any, tokenizers.Tokenizer]:
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(RESERVED),
        initial_alphabet=BYTES,
        show_progress=sys.stderr.isatty(),
    )
    return trainer, tokenizers.Tokenizer(models.BPE())


def _unigram(size: int) -> tuple[Any, tokenizers.Tokenizer]:
    trainer = trainers.UnigramTrainer(
        vocab_size=size,
        special_tokens=list(RESERVED),
        initial_alphabet=BYTES,
        unk_token=RESERVED[UNK],
        show_progress=sys.stderr.isatty(),
    )
    return trainer, tokenizers.Tokenizer(models.Unigram())


def _texts(pairs: Pairs, columns: Sequence[int]) -> Iterator[list[str]]:
    """The texts of one side of the pairs, then of the other, in batches."""
    for column in columns:
        for block in pairs.blocks():
            yield block.column(column).to_pylist()


def _canonical(vocabulary: list[tuple[str, float]], size: int) -> list[tuple[str, float]]:
    """Makes a trained vocabulary reproducible and no larger than requested.

    The library sums scores in an order that depends on its threads, gives each byte that was
    pruned or never seen the lowest score plus another 0.0001 in the order of a hash table, and
    keeps more units than a small vocabulary has room for.
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


TRAINERS = {"bpe": _bpe, "unigram": _unigram}
