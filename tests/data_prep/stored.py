"""Pairs and their marks without a file."""

from collections.abc import Mapping, Sequence

import pyarrow as pa

from data_prep.clean import Predicate
from data_prep.corpus import Pair
from data_prep.marks import Gathered, Marks
from data_prep.pairs import SCHEMA, Pairs


def stored(pairs: Sequence[Pair], block: int = 7) -> Pairs:
    """The pairs, in more than one block."""
    table = pa.table([[pair[side] for pair in pairs] for side in (0, 1)], schema=SCHEMA)
    return Pairs(table.to_batches(max_chunksize=block))


def gathered(
    pairs: Sequence[Pair], filters: Mapping[str, Predicate] | None = None, seed: int = 1
) -> Gathered:
    """What `gather` makes of pairs none of which is empty on a side."""
    return Gathered(stored(pairs), Marks.of(pairs, filters or {}, seed), len(pairs))
