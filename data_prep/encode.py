"""Text to ids, as an Arrow data set that training maps into memory."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
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

BATCH = 2000

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
        ids = [_encode(vocabularies[0], source, f"encoding {name} source")]
        ids.append(_encode(vocabularies[1], target, f"encoding {name} target"))
        columns: dict[str, Any] = {"source": source, "target": target, "references": references}
        columns |= {"source_ids": ids[0], "target_ids": ids[1]}
        # `Dataset.from_dict` would walk through every id in Python.
        result[name] = datasets.Dataset(pa.table(columns, schema=FEATURES.arrow_schema))
        measures[name] = {"source": _measure(source, ids[0]), "target": _measure(target, ids[1])}
    result.save_to_disk(str(folder / "dataset"))
    return measures


def _encode(vocabulary: Vocabulary, texts: Sequence[str], what: str) -> list[list[int]]:
    ids: list[list[int]] = []
    with tqdm(total=len(texts), desc=what, disable=None, leave=False) as bar:
        for start in range(0, len(texts), BATCH):
            ids += vocabulary.encode(texts[start : start + BATCH])
            bar.update(len(ids) - start)
    return ids


def _measure(texts: Sequence[str], ids: Sequence[Sequence[int]]) -> dict[str, int]:
    return {
        "words": sum(len(text.split()) for text in texts),
        "tokens": sum(len(row) for row in ids),
        "longest": max(len(row) for row in ids),
    }
