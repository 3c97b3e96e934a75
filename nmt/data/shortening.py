"""Shortens long training sentences, a few of which decide how much memory a batch takes."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import datasets
import numpy as np

from nmt.config import Longer
from nmt.data.datamodule import lengths_of, mapped
from nmt.errors import Say

Ids = list[int]
SIDES = ("source_ids", "target_ids")


def shortened(
    dataset: datasets.DatasetDict, limit: int, longer: Longer, say: Say, folder: Path
) -> datasets.DatasetDict:
    """The data with training sentences limited to `limit` tokens; validation stays as it is.

    Args:
        dataset: from `open_dataset`.
        limit: maximum tokens on either side, the end mark not counted.
        longer: truncate cuts each side off at the limit; chunk cuts both sides into the same number
            of pieces of equal length and pairs these up, which suits monolingual data, and two
            languages as far as they have the same order.
        say: prints how many pairs were too long.
        folder: has room for the shortened pairs.
    """
    train = dataset["train"]
    sizes = [lengths_of(train, side) for side in SIDES]
    long = int((np.maximum(*sizes) > limit).sum())
    if not long:
        return dataset
    how = {"truncate": "truncated", "chunk": "cut into chunks"}[longer]
    say(f"{long:,} of {len(train):,} training pairs have more than {limit} tokens: {how}")

    def cut(rows: dict[str, list[Ids]]) -> dict[str, list[Ids]]:
        pairs = zip(*(rows[side] for side in SIDES), strict=True)
        made = [pair for source, target in pairs for pair in CUTS[longer](source, target, limit)]
        return {side: [pair[place] for pair in made] for place, side in enumerate(SIDES)}

    short = mapped(train.select_columns(list(SIDES)), cut, folder)
    return datasets.DatasetDict({**dataset, "train": short})


def _truncated(source: Ids, target: Ids, limit: int) -> list[tuple[Ids, Ids]]:
    return [(source[:limit], target[:limit])]


def _chunks(source: Ids, target: Ids, limit: int) -> list[tuple[Ids, Ids]]:
    count = max(1, -(-max(len(source), len(target)) // limit))
    pieces = zip(_pieces(source, count), _pieces(target, count), strict=True)
    return [(one, other) for one, other in pieces if (one and other) or count == 1]


def _pieces(ids: Ids, count: int) -> list[Ids]:
    ends = [len(ids) * place // count for place in range(count + 1)]
    return [ids[start:end] for start, end in pairwise(ends)]


CUTS: dict[Longer, Callable[[Ids, Ids, int], list[tuple[Ids, Ids]]]] = {
    "truncate": _truncated,
    "chunk": _chunks,
}
