"""A leak-free split: no training pair shares a side with a held-out one.

Two sentences are the same here if they agree after folding case, white space, punctuation and
compatibility forms. Where a source brings its own held-out splits they are kept, and training pairs
that share a side with them are dropped. Otherwise the pairs are grouped so that two which share a
folded source or target, transitively, are in one group, and whole groups are held out. A group is
taken in an order that depends on nothing but its sentences and the seed, so neither the order of
the input nor one split's size changes what the other holds, as long as the pairs are the same.

Every source sentence is equally likely to be held out, but for groups of more than a fiftieth of
the wanted size: these stay in training, because they are one sentence in many guises and would
weigh too much in a score. A corpus so entangled that nearly all of it is one group is refused.
"""

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tqdm import tqdm

from data_prep.corpus import Corpus, HeldOut, Pair
from nmt.config import Split
from nmt.errors import UserError

LARGEST_GROUP = 50
"""A group has at most the wanted size divided by this many source sentences (or one)."""

_ASCII_SIGNS = bytes(code for code in range(128) if not chr(code).isalnum())
_NOT_ALPHANUMERIC = re.compile(r"[\W_]")


@dataclass(frozen=True)
class Splits:
    """The three parts of a corpus; no pair of `train` shares a folded side with another part."""

    train: list[Pair]
    validation: HeldOut
    test: HeldOut


def fold(text: str) -> str:
    """What two sentences must have in common to count as the same.

    NFKC and case folding, then only letters and digits; a text without any is itself.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    # Most of what goes is ASCII, and this is five times as fast as searching for it.
    folded = folded.encode().translate(None, _ASCII_SIGNS).decode()
    if not folded.isalnum():
        folded = _NOT_ALPHANUMERIC.sub("", folded)
    return folded or text


def make_splits(corpus: Corpus, settings: Split) -> tuple[Splits, int]:
    """The splits, and how many training pairs were dropped for sharing a side with given ones.

    Raises:
        UserError: the corpus is too small for the wanted sizes.
    """
    given = {"validation": corpus.validation, "test": corpus.test}
    train = without_leaks(corpus.train, [part for part in given.values() if part is not None])
    dropped = len(corpus.train) - len(train)
    # Test comes first, so that its size alone decides what it holds.
    wanted = {
        name: size
        for name, size in (("test", settings.test_size), ("validation", settings.validation_size))
        if given[name] is None
    }
    made: dict[str, HeldOut] = {}
    if wanted:
        train, made = _hold_out(train, wanted, settings.seed)
    parts = {name: part or made[name] for name, part in given.items()}
    return Splits(train, parts["validation"], parts["test"]), dropped


def without_leaks(pairs: Sequence[Pair], parts: Sequence[HeldOut]) -> list[Pair]:
    """The pairs that share no folded side with the held-out parts."""
    if not parts:
        return list(pairs)
    sources = {fold(text) for part in parts for text in part.sources}
    targets = {fold(t) for part in parts for row in part.references for t in row if t is not None}
    return [
        pair
        for pair in tqdm(pairs, "comparing with the held-out parts", disable=None, leave=False)
        if fold(pair[0]) not in sources and fold(pair[1]) not in targets
    ]


def _hold_out(
    pairs: Sequence[Pair], wanted: Mapping[str, int], seed: int
) -> tuple[list[Pair], dict[str, HeldOut]]:
    """Takes whole groups out of the pairs until each split has its size."""
    groups, keys = _groups(pairs)
    group_of = {source: group for (source, _), group in zip(pairs, groups, strict=True)}
    if 2 * sum(wanted.values()) > len(group_of):
        raise UserError(_too_small(wanted, f"only {len(group_of)} different source sentences"))
    sizes = Counter(group_of.values())
    room = dict(wanted)
    split_of: dict[int, str] = {}
    for group in sorted(keys, key=lambda group: _digest(keys[group], seed)):
        size = sizes[group]
        fits = (n for n in wanted if size <= room[n] and size <= max(1, wanted[n] // LARGEST_GROUP))
        if name := next(fits, None):
            room[name] -= size
            split_of[group] = name
            if not any(room.values()):
                break
    for name, left in room.items():
        # The last groups may all be too large for the last few places; more is a lack of groups.
        if left >= max(1, wanted[name] // LARGEST_GROUP):
            reason = f"only {wanted[name] - left} source sentences that it may take for {name}"
            raise UserError(_too_small(wanted, reason))
    train: list[Pair] = []
    taken: dict[str, list[Pair]] = {name: [] for name in wanted}
    for pair, group in zip(pairs, groups, strict=True):
        (taken[split_of[group]] if group in split_of else train).append(pair)
    return train, {name: _rows(part, seed) for name, part in taken.items()}


def _too_small(wanted: Mapping[str, int], found: str) -> str:
    sizes = " and ".join(f"{size} for {name}" for name, size in wanted.items())
    keys = " and ".join(f"data.split.{name}_size" for name in wanted)
    return (
        f"data.split: cannot hold out {sizes} source sentences that share nothing with training "
        f"and leave it at least half: the corpus has {found}; set {keys} lower"
    )


def _groups(pairs: Sequence[Pair]) -> tuple[list[int], dict[int, str]]:
    """Connected parts of the graph whose nodes are folded sources, joined by sharing a target.

    Returns:
        The group of each pair; the smallest folded source of each group, from which its order
        follows.
    """
    nodes: dict[str, int] = {}
    parents: list[int] = []

    def root_of(node: int) -> int:
        while parents[node] != node:
            parents[node] = parents[parents[node]]
            node = parents[node]
        return node

    node_of_pair = []
    first_with: dict[str, int] = {}  # of the sources that share a folded target
    for source, target in tqdm(pairs, "grouping the pairs", disable=None, leave=False):
        node = nodes.setdefault(fold(source), len(parents))
        if node == len(parents):
            parents.append(node)
        node_of_pair.append(node)
        other = first_with.setdefault(fold(target), node)
        if other != node:
            parents[root_of(node)] = root_of(other)
    keys: dict[int, str] = {}
    for source, node in nodes.items():
        root = root_of(node)
        keys[root] = min(source, keys.get(root, source))
    return [root_of(node) for node in node_of_pair], keys


def _rows(pairs: Iterable[Pair], seed: int) -> HeldOut:
    """One row for each source sentence with all its references, in an order of its own.

    References are ordered by the seed too: sorted by text, the first, which stands for all where
    only one can be used, would be picked by its first letter.
    """
    references: dict[str, set[str]] = {}
    for source, target in pairs:
        references.setdefault(source, set()).add(target)
    sources = sorted(references, key=lambda text: _digest(text, seed))
    rows = [sorted(references[source], key=lambda text: _digest(text, seed)) for source in sources]
    return HeldOut(sources, [list(row) for row in rows])


def _digest(text: str, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed}\n{text}".encode(), digest_size=16).digest()
