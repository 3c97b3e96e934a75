"""Encodes text as ids in an Arrow data set that training memory-maps."""

import gc
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.compute as pc
from tqdm import tqdm

from data_prep.corpus import HeldOut
from data_prep.pairs import Pairs
from nmt.vocab import Vocabulary, load_vocabularies

FEATURES = datasets.Features(
    source=datasets.Value("string"),
    target=datasets.Value("string"),
    references=datasets.List(datasets.Value("string")),
    source_ids=datasets.List(datasets.Value("int32")),
    target_ids=datasets.List(datasets.Value("int32")),
)
"""Ids exclude the sentence marks; `target` is the first reference; training pairs have an empty
list of `references`."""

SIDES = ("source", "target")
TEXTS = pa.schema([FEATURES.arrow_schema.field(name) for name in (*SIDES, "references")])
IDS = FEATURES.arrow_schema.field("source_ids").type

BLOCK = 200_000
"""Pairs held in memory at once."""

AT_ONCE = 10_000
"""Words passed to the tokenizer at once; it needs about a kilobyte for each."""

MOST_KNOWN = 1_000_000
"""Words whose ids are cached, at about 250 bytes each."""

LONGEST_KNOWN = 40
"""Characters of a word that may be cached: in a language without spaces, a sentence is a word."""

_RUN_OF_SPACES = r" [\s\v\x85\pZ]| $"
"""A space that may not begin a word: any white space (in RE2's syntax) or the end follows."""

_MARK = b"\xff"
"""A byte that never occurs in UTF-8."""

Measures = dict[str, dict[str, int]]
"""For each side: the total `words` and `tokens`, and the number of tokens of the `longest`
sentence."""


def encode_splits(
    folder: Path, train: Pairs, held_out: Mapping[str, HeldOut], tokenizers: Path | None = None
) -> dict[str, Measures]:
    """Writes `folder/dataset`, using the tokenizers in the folder or in another.

    Returns:
        The measures of each split.
    """
    texts = {"train": (len(train), _training_texts(train))}
    for name, part in held_out.items():
        columns = {"source": part.sources, "target": part.targets, "references": part.references}
        table = pa.table(columns, schema=TEXTS)
        texts[name] = (len(table), iter([table]))
    encoders = [WordEncoder(vocabulary) for vocabulary in load_vocabularies(tokenizers or folder)]
    result = datasets.DatasetDict()
    measures = {}
    for name, (size, blocks) in texts.items():
        place = folder / f"{name}.arrow"
        measures[name] = _encode(encoders, blocks, size, place)
        with pa.memory_map(str(place)) as file:
            table = pa.ipc.open_stream(file).read_all()
        result[name] = datasets.Dataset(table, fingerprint=_fingerprint(table))
    result.save_to_disk(str(folder / "dataset"))
    return measures


def _training_texts(pairs: Pairs) -> Iterator[pa.Table]:
    """The texts of the pairs in blocks of `BLOCK`; the last may be smaller."""
    waiting: list[pa.RecordBatch] = []
    for block in pairs.blocks():
        waiting.append(block)
        while sum(map(len, waiting)) >= BLOCK:
            table = pa.Table.from_batches(waiting)
            yield _without_references(table[:BLOCK])
            waiting = table[BLOCK:].to_batches()
    if waiting:
        yield _without_references(pa.Table.from_batches(waiting))


def _without_references(table: pa.Table) -> pa.Table:
    none = pa.array([[]] * len(table), TEXTS.field("references").type)
    return table.append_column("references", none).combine_chunks()


def _encode(
    encoders: Sequence["WordEncoder"], blocks: Iterable[pa.Table], size: int, place: Path
) -> Measures:
    """Writes texts and their ids to a file, block by block."""
    measures = {side: dict.fromkeys(("words", "tokens", "longest"), 0) for side in SIDES}
    with (
        pa.OSFile(str(place), "wb") as file,
        pa.ipc.new_stream(file, FEATURES.arrow_schema) as stream,
        # Arrow releases the interpreter lock, so the two sides can overlap.
        ThreadPoolExecutor(len(SIDES)) as pool,
        tqdm(total=size, desc=f"encoding {place.stem}", disable=None, leave=False) as bar,
    ):
        for table in blocks:
            texts = [table.column(side).combine_chunks() for side in SIDES]
            ids = list(pool.map(WordEncoder.encode, encoders, texts))
            for side, *measured in zip(SIDES, texts, ids, strict=True):
                _measure(measures[side], *measured)
            columns = [*table.columns, *ids]
            stream.write_table(pa.table(columns, FEATURES.arrow_schema).combine_chunks())
            bar.update(len(table))
    return measures


class WordEncoder:
    """Returns the same ids as a vocabulary, several times as fast.

    A tokenizer splits text into words, each with the space before it, and then splits each word
    into units independently of the others. So every distinct word is encoded only once, and the
    rest needs no Python object per word or id. Text with a run of white space, where the split
    depends on what follows, is treated as one word.
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
        found: dict[str, list[int]] = {}
        for start in range(0, len(new), AT_ONCE):
            part = new[start : start + AT_ONCE]
            found.update(zip(part, self._vocabulary.encode(part), strict=True))
        short = {word: ids for word, ids in found.items() if len(word) <= LONGEST_KNOWN}
        self._known.update(short)
        return [found[word] if word in found else self._known[word] for word in words]


def _fingerprint(table: pa.Table) -> str:
    """A digest of the content; the library's own pickles the table, making two copies of it."""
    digest = hashlib.blake2b(digest_size=8)
    for column in table.columns:
        for chunk in column.chunks:
            for buffer in chunk.buffers():
                digest.update(buffer or b"")  # without nulls there is no validity buffer
    return digest.hexdigest()


def _measure(measures: dict[str, int], texts: pa.StringArray, ids: pa.ListArray) -> None:
    """Adds a block's counts to the measures."""
    lengths = pc.list_value_length(ids)
    measures["words"] += sum(len(text.split()) for text in texts.to_pylist())
    measures["tokens"] += pc.sum(lengths).as_py() or 0
    measures["longest"] = max(measures["longest"], pc.max(lengths).as_py() or 0)


def clear_scratch(folder: Path) -> None:
    """Deletes what was only needed while a folder was made."""
    gc.collect()  # Windows cannot delete a file while it is memory-mapped
    for path in chain(folder.glob("*.pairs"), folder.glob("*.arrow")):
        path.unlink()
