"""A leak-free split: no training pair shares a side with a held-out one.

Two sentences are the same here if they agree after folding case, white space, punctuation and
compatibility forms. Where a source brings its own held-out splits they are kept, and training pairs
that share a side with them are dropped. Otherwise the pairs are grouped so that two which share a
folded source or target, transitively, are in one group, and whole groups are held out. A group is
taken in an order that depends on nothing but its sentences and the seed, test before validation: so
neither the order of the input nor the size of validation changes what test holds.

Every source sentence is equally likely to be held out, but for groups of more than a fiftieth of
the wanted size: these stay in training, because they are one sentence in many guises and would
weigh too much in a score. A corpus so entangled that nearly all of it is one group is refused.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_prep.corpus import Corpus, HeldOut, Pair
from data_prep.marks import Gathered, Marks, digest, fold
from data_prep.pairs import Mask
from nmt.config import Split
from nmt.errors import UserError

LARGEST_GROUP = 50
"""A group has at most the wanted size divided by this many source sentences (or one)."""

AT_FIRST = 10_000
"""Groups whose texts are read to begin with."""

LAST = np.uint64(2**64 - 1)
"""The largest number that a text can have."""

Groups = NDArray[np.int64]
"""(n,) a number for each of some pairs, equal within a group."""


@dataclass(frozen=True)
class Splits:
    """The three parts of a corpus.

    Args:
        train: (N,) which of the pairs are left to train on; none of them shares a folded side with
            another part.
        validation: the validation part.
        test: the test part.
    """

    train: Mask
    validation: HeldOut
    test: HeldOut


def make_splits(gathered: Gathered, corpus: Corpus, settings: Split) -> tuple[Splits, int]:
    """The splits, and how many training pairs were dropped for sharing a side with given ones.

    Args:
        gathered: the training pairs, marked with the seed of the settings.
        corpus: the held-out parts that there are already.
        settings: the sizes of the others.

    Raises:
        UserError: the corpus is too small for the wanted sizes.
    """
    given = {"validation": corpus.validation, "test": corpus.test}
    known = [part for part in given.values() if part is not None]
    train = ~gathered.marks.shared_with(known, settings.seed)
    dropped = len(train) - int(train.sum())
    # Test comes first, so that its size alone decides what it holds.
    wanted = {
        name: size
        for name, size in (("test", settings.test_size), ("validation", settings.validation_size))
        if given[name] is None
    }
    made: dict[str, HeldOut] = {}
    if wanted:
        train, made = _hold_out(gathered, train, wanted, settings.seed)
    parts = {name: part or made[name] for name, part in given.items()}
    return Splits(train, parts["validation"], parts["test"]), dropped


def _hold_out(
    gathered: Gathered, among: Mask, wanted: Mapping[str, int], seed: int
) -> tuple[Mask, dict[str, HeldOut]]:
    """Takes whole groups out of some of the pairs until each split has its size."""
    rows = np.flatnonzero(among)  # (n,) indices of pairs
    group = groups(gathered.marks, rows)
    # (m,) where in `rows` each different source stands first
    first = np.unique(gathered.marks.sentence[rows], return_index=True)[1]
    if 2 * sum(wanted.values()) > len(first):
        raise UserError(_too_small(wanted, f"only {len(first)} different source sentences"))
    sizes = np.bincount(group[first])  # different sources of each group
    most = {name: max(1, size // LARGEST_GROUP) for name, size in wanted.items()}
    small = sizes[group] <= max(most.values())
    room = dict(wanted)
    taken: dict[str, list[int]] = {name: [] for name in wanted}
    for candidate in _in_order(gathered, rows[small], group[small], seed):
        size = int(sizes[candidate])
        if name := next((n for n in wanted if size <= min(room[n], most[n])), None):
            room[name] -= size
            taken[name].append(candidate)
            if not any(room.values()):
                break
    for name, left in room.items():
        # The last groups may all be too large for the last few places; more is a lack of groups.
        if left >= most[name]:
            reason = f"only {wanted[name] - left} source sentences that it may take for {name}"
            raise UserError(_too_small(wanted, reason))
    train, made = among.copy(), {}
    for name, chosen in taken.items():
        held = np.zeros_like(among)
        held[rows[np.isin(group, chosen)]] = True
        train &= ~held
        made[name] = _rows(gathered.pairs.only(held), seed)
    return train, made


def _too_small(wanted: Mapping[str, int], found: str) -> str:
    sizes = " and ".join(f"{size} for {name}" for name, size in wanted.items())
    keys = " and ".join(f"data.split.{name}_size" for name in wanted)
    return (
        f"data.split: cannot hold out {sizes} source sentences that share nothing with training "
        f"and leave it at least half: the corpus has {found}; set {keys} lower"
    )


def groups(marks: Marks, rows: NDArray[np.int64]) -> Groups:
    """The group of each pair: pairs that share a folded side, with others between them or not.

    These are the connected parts of a graph of sources, of which two are neighbours that share a
    target (FastSV, Zhang, Azad and Hu 2020): each source has a parent, at first itself; where two
    neighbours' differ, one and its parent get the other's grandparent if that is lower.
    """
    source = np.unique(marks.source[rows], return_inverse=True)[1]
    target = marks.target[rows]
    order = np.argsort(target)
    same = target[order[1:]] == target[order[:-1]]
    ends = source[order[1:][same]], source[order[:-1][same]]
    one, other = np.concatenate(ends), np.concatenate(ends[::-1])
    parent = np.arange(source.max(initial=-1) + 1)
    while True:
        grandparent = parent[parent]
        lower = grandparent.copy()
        for child in (one, parent[one]):
            np.minimum.at(lower, child, grandparent[other])
        if np.array_equal(lower, parent):
            return parent[source]
        parent = lower


def _in_order(
    gathered: Gathered, rows: NDArray[np.int64], group: Groups, seed: int
) -> Iterator[int]:
    """The groups, by the digest of the smallest folded source of each.

    The numbers of a group's sources are the beginnings of their digests, so its own digest is not
    below the least of them: texts are read of those groups alone that may be among the next.
    """
    least = np.full(group.max(initial=-1) + 1, LAST)
    np.minimum.at(least, group, gathered.marks.source[rows])
    ordered = np.sort(least[np.unique(group)])
    reach, passed = AT_FIRST, -1
    while passed < LAST:
        limit = int(ordered[reach]) if reach < len(ordered) else int(LAST)
        near = least[group] <= limit
        keys = _keys(gathered, rows[near], group[near], seed)
        for candidate in sorted(keys, key=lambda candidate: keys[candidate]):
            if passed < int.from_bytes(keys[candidate][:8]) <= limit:
                yield candidate
        reach, passed = 10 * reach, limit


def _keys(
    gathered: Gathered, rows: NDArray[np.int64], group: Groups, seed: int
) -> dict[int, bytes]:
    """The digest of the smallest folded source of each group."""
    chosen = np.zeros(len(gathered.marks.source), np.bool_)
    chosen[rows] = True
    smallest: dict[int, str] = {}
    for candidate, (source, _) in zip(group.tolist(), gathered.pairs.only(chosen), strict=True):
        folded = fold(source)
        smallest[candidate] = min(folded, smallest.get(candidate, folded))
    return {candidate: digest(text, seed) for candidate, text in smallest.items()}


def _rows(pairs: Iterable[Pair], seed: int) -> HeldOut:
    """One row for each source sentence with all its references, in an order of its own.

    References are ordered by the seed too: sorted by text, the first, which stands for all where
    only one can be used, would be picked by its first letter.
    """
    references: dict[str, set[str]] = {}
    for source, target in pairs:
        references.setdefault(source, set()).add(target)
    sources = sorted(references, key=lambda text: digest(text, seed))
    rows = [sorted(references[source], key=lambda text: digest(text, seed)) for source in sources]
    return HeldOut(sources, [list(row) for row in rows])
