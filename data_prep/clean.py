"""Named predicates that drop training pairs.

Filters see training pairs only and drop whole pairs; text is never rewritten. A source's own
validation and test splits are never filtered. Where held-out splits are taken from the training
pairs, only pairs with an empty side are dropped beforehand (there is nothing to translate or to
score); every other filter runs afterwards, on what remains for training. The cleaning settings
therefore never change what a system is tested on.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from data_prep.corpus import Corpus
from nmt.config import Clean, Data
from nmt.writing_systems import lengths

Predicate = Callable[[str, str], bool]


def empty(source: str, target: str) -> bool:
    """True if either side is empty or only white space."""
    return not source.strip() or not target.strip()


def predicates(settings: Clean) -> dict[str, Predicate]:
    """The filters that the settings enable, in order; True drops the pair.

    Duplicates cannot be recognised from a single pair: see `is_repeat`.
    """

    def long(text: str) -> bool:
        # More than n words take more than 2n characters, so most texts need not be split.
        return len(text) > 2 * settings.max_words and len(text.split()) > settings.max_words

    def too_long(source: str, target: str) -> bool:
        return long(source) or long(target)

    def length_ratio(source: str, target: str) -> bool:
        short, long = lengths(source, target)
        return long > settings.max_ratio * short

    def copy(source: str, target: str) -> bool:
        return source == target

    chosen: dict[str, Predicate] = {"too_long": too_long, "length_ratio": length_ratio}
    if settings.drop_copies:
        chosen["copy"] = copy
    return chosen


def filters_of(corpus: Corpus, data: Data) -> dict[str, Predicate]:
    """The filters for a corpus; all pairs of a monolingual one are copies."""
    return predicates(replace(data.clean, drop_copies=False) if corpus.monolingual else data.clean)


def is_repeat(marks: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """(N,) True for each number that already occurs earlier in the array."""
    again = np.ones(len(marks), np.bool_)
    again[np.unique(marks, return_index=True)[1]] = False
    return again
