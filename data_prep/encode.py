"""Text to ids, as an Arrow data set that training maps into memory."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.compute as pc
from tqdm import tqdm

from data_prep.split import Splits
from nmt.vocab import Vocabulary, load_vocabularies

FEATURES = datasets.Features(
    source=datasets.Value("string"),
    target=datasets.Value("string"),
    references=datasets.List(datasets.Value("string")),
    source_ids=datasets.List(datasets.Value("int32")),
    target_ids=datasets.List(datasets.Value("int32")),
)
"""Ids are without sentence marks; `target` is the first reference; training has no others."""

IDS = FEATURES.arrow_schema.field("source_ids").type

BLOCK = 200_000
"""Texts whose words are in memory at once."""

AT_ONCE = 10_000
"""Words given to the tokenizer at once, which takes a kilobyte for each."""

MOST_KNOWN = 1_000_000
"""Words whose ids are remembered, which takes about 250 bytes each."""

_RUN_OF_SPACES = r" [\s\v\x85\pZ]| $"
"""A space that may not begin a word: all white space there is, as RE2 spells it, may follow."""

_MARK = b"\xff"
"""No byte of UTF-8."""

Measures = dict[str, dict[str, int]]
"""For each side: `words` and `tokens` in all, and the tokens of the `longest` sentence."""


def encode_splits(folder: Path, splits: Splits) -> dict[str, Measures]:
    """Writes `folder/dataset` with the tokenizers that lie in the folder.

    Returns:
        The measures of each split.
    """
    vocabularies = load_vocabularies(folder)
    sources = [source for source, _ in splits.train]
    texts: dict[str, tuple[list[str], list[str], Sequence[Sequence[str | None]]]] = {
        "train": (sources, [target for _, target in splits.train], [[]] * len(sources))
    }
    for name, part in (("validation", splits.validation), ("test", splits.test)):
        texts[name] = (part.sources, part.targets, part.references)
    result = datasets.DatasetDict()
    measures = {}
    for name, (source, target, references) in texts.items():
        # Arrow leaves the interpreter to the other side meanwhile.
        with ThreadPoolExecutor(2) as pool:
            what = [f"encoding {name} source", f"encoding {name} target"]
            ids = list(pool.map(_encode, vocabularies, (source, target), what))
        columns: dict[str, Any] = {"source": source, "target": target, "references": references}
        columns |= {"source_ids": ids[0], "target_ids": ids[1]}
        # `Dataset.from_dict` would walk through every id in Python.
        table = pa.table(columns, schema=FEATURES.arrow_schema)
        result[name] = datasets.Dataset(table, fingerprint=_fingerprint(table))
        measures[name] = {"source": _measure(source, ids[0]), "target": _measure(target, ids[1])}
    result.save_to_disk(str(folder / "dataset"))
    return measures


def _encode(vocabulary: Vocabulary, texts: Sequence[str], what: str) -> pa.ListArray:
    """The ids of each text, made block by block."""
    encoder = WordEncoder(vocabulary)
    blocks = []
    with tqdm(total=len(texts), desc=what, disable=None, leave=False) as bar:
        for start in range(0, len(texts), BLOCK):
            block = pa.array(texts[start : start + BLOCK], pa.string())
            blocks.append(encoder.encode(block))
            bar.update(len(block))
    # In one piece, so that the bytes of the file do not depend on the size of a block.
    return pa.concat_arrays(blocks)


class WordEncoder:
    """Gives the ids that a vocabulary gives, several times as fast.

    A tokenizer cuts text into words, each with the space before it, and then each word into units
    without a look at the others. So every different word is encoded once, and the rest is done
    without a Python object for a word or an id. Text with a run of white space, whose cut depends
    on what follows, counts as one word.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._known: dict[str, list[int]] = {}

    def encode(self, texts: pa.StringArray) -> pa.ListArray:
        """The ids of each text, without sentence marks."""
        whole = texts.cast(pa.binary())
        marked = pc.replace_substring(whole, pattern=b" ", replacement=_MARK + b" ")
        has_run = pc.match_substring_regex(texts, pattern=_RUN_OF_SPACES)
        words = pc.split_pattern(pc.if_else(has_run, whole, marked), pattern=_MARK)
        numbered = pc.dictionary_encode(words.values)
        ids = self._encode_words(numbered.dictionary.cast(pa.string()).to_pylist())
        ids_of_words = pa.array(ids, IDS).take(numbered.indices)
        offsets = ids_of_words.offsets.take(words.offsets)
        return pa.ListArray.from_arrays(offsets, ids_of_words.values)

    def _encode_words(self, words: Sequence[str]) -> list[list[int]]:
        if len(self._known) > MOST_KNOWN:
            self._known.clear()
        new = [word for word in words if word not in self._known]
        for start in range(0, len(new), AT_ONCE):
            part = new[start : start + AT_ONCE]
            self._known.update(zip(part, self._vocabulary.encode(part), strict=True))
        return [self._known[word] for word in words]


def _fingerprint(table: pa.Table) -> str:
    """A digest of the content; the library's own pickles the table, which takes two copies."""
    digest = hashlib.blake2b(digest_size=8)
    for column in table.columns:
        for chunk in column.chunks:
            for buffer in chunk.buffers():
                digest.update(buffer or b"")  # there is none where nothing is missing
    return digest.hexdigest()


def _measure(texts: Sequence[str], ids: pa.ListArray) -> dict[str, int]:
    lengths = pc.list_value_length(ids)
    return {
        "words": sum(len(text.split()) for text in texts),
        "tokens": pc.sum(lengths).as_py(),
        "longest": pc.max(lengths).as_py(),
    }
