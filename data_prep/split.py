"""A leak-free split: no training pair shares a side with a held-out one.

Two sentences count as the same if they agree after folding case, white space, punctuation and
compatibility forms. If a source has its own held-out splits, they are kept, and training pairs that
share a side with them are dropped. Otherwise pairs that share a folded source or target, directly
or transitively, form a group, and whole groups are held out. The order in which groups are taken
depends only on their sentences and the seed, and test is filled before validation, so neither the
order of the input nor the size of validation changes what test holds.

Every source sentence is equally likely to be held out, except in groups larger than a fiftieth of
the wanted size: they stay in training, because they are one sentence in many guises and would weigh
too much in a score. A corpus so entangled that nearly all of it is one group is refused.
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
"""A held-out group has at most max(1, wanted size // LARGEST_GROUP) source sentences."""

AT_FIRST = 10_000
"""Groups whose texts are read in the first pass."""

LAST = np.uint64(2**64 - 1)
"""The largest number that a text can have."""

Groups = NDArray[np.int64]
"""(n,) the group number of each of n pairs."""


@dataclass(frozen=True)
class Splits:
    """The three parts of a corpus.

    Args:
        train: (N,) which of the pairs remain for training; none shares a folded side with the
            other parts.
        validation: the validation part.
        test: the test part.
    """

    train: Mask
    validation: HeldOut
    test: HeldOut


def make_splits(gathered: Gathered, corpus: Corpus, settings: Split) -> tuple[Splits, int]:
    """The splits, and how many training pairs were dropped for sharing a side with given splits.

    Args:
        gathered: the training pairs, marked with the seed of the settings.
        corpus: provides the held-out parts that already exist.
        settings: the sizes of the held-out parts to be made.

    Raises:
        UserError: the corpus is too small for the wanted sizes.
    """
    given = {"validation": corpus.validation, "test": corpus.test}
    known = [part for part in given.values() if part is not None]
    train = ~gathered.marks.shared_with(known, settings.seed)
    dropped = len(train) - int(train.sum())
    # Test comes first, so that its content depends on its own size only.
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
    """Holds out whole groups from the pairs `among` until each split has the wanted size."""
    rows = np.flatnonzero(among)  # (n,) indices of pairs
    group = groups(gathered.marks, rows)
    # (m,) the position in `rows` of the first occurrence of each distinct source
    first = np.unique(gathered.marks.sentence[rows], return_index=True)[1]
    if 2 * sum(wanted.values()) > len(first):
        raise UserError(_too_small(wanted, f"only {len(first)} different source sentences"))
    sizes = np.bincount(group[first])  # distinct sources in each group
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
        # The last few places may stay empty if no group fits; a larger gap means too few groups.
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
    """The group of each pair: pairs that share a folded side, directly or transitively.

    These are the connected components of the graph of sources in which two that share a target are
    neighbours (FastSV, Zhang, Azad and Hu 2020). Each source has a parent, initially itself; for
    each two neighbours, one and its parent get the other's grandparent as parent if it is lower.
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
    """The groups, ordered by the digest of the smallest folded source of each.

    The numbers of a group's sources are the leading bytes of their digests, so the group's digest
    is not below the least of them: only the texts of groups that may come next need be read.
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
    """One row for each source sentence with all its references, in an order set by the seed.

    The references are also ordered by the seed: were they sorted by text, the first, which is used
    where only one reference can be, would be chosen by its initial letter.
    """
    references: dict[str, set[str]] = {}
    for source, target in pairs:
        references.setdefault(source, set()).add(target)
    sources = sorted(references, key=lambda text: digest(text, seed))
    rows = [sorted(references[source], key=lambda text: digest(text, seed)) for source in sources]
    return HeldOut(sources, [list(row) for row in rows])
