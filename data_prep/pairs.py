"""Sentence pairs in a file: texts are read where they lie, however many there are."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data_prep.corpus import Pair

Mask = NDArray[np.bool_]
"""(N,) which of some pairs are meant."""

BLOCK = 10_000
"""Pairs that are in memory at once."""

SCHEMA = pa.schema([("source", pa.string()), ("target", pa.string())])


class Pairs:
    """Some of the sentence pairs of a file that is mapped into memory, in its order.

    Args:
        blocks: all pairs of the file.
        chosen: (N,) which of them; all where it is None.
    """

    def __init__(self, blocks: Sequence[pa.RecordBatch], chosen: Mask | None = None) -> None:
        self._blocks = blocks
        size = sum(len(block) for block in blocks)
        self._chosen = np.ones(size, np.bool_) if chosen is None else chosen

    @classmethod
    def open(cls, path: Path) -> "Pairs":
        """All pairs of a file that `writing` has made."""
        with pa.memory_map(str(path)) as file:
            return cls(pa.ipc.open_stream(file).read_all().to_batches())

    def __len__(self) -> int:
        return int(self._chosen.sum())

    def __iter__(self) -> Iterator[Pair]:
        for block in self.blocks():
            yield from zip(*(column.to_pylist() for column in block.columns), strict=True)

    def __add__(self, others: "Pairs") -> "Pairs":
        chosen = np.concatenate([self._chosen, others._chosen])
        return Pairs([*self._blocks, *others._blocks], chosen)

    def blocks(self) -> Iterator[pa.RecordBatch]:
        """The chosen pairs, some at once, as columns `source` and `target`."""
        start = 0
        for block in self._blocks:
            yield block.filter(pa.array(self._chosen[start : start + len(block)]))
            start += len(block)

    def only(self, chosen: Mask) -> "Pairs":
        """Those of all the file's pairs that a mask (N,) chooses, whatever is chosen here."""
        return Pairs(self._blocks, chosen)


@contextmanager
def writing(path: Path) -> Iterator[Callable[[Sequence[Pair]], None]]:
    """A new file, and what adds some pairs to it."""

    def write(pairs: Sequence[Pair]) -> None:
        sides = [[source for source, _ in pairs], [target for _, target in pairs]]
        stream.write_batch(pa.record_batch([pa.array(s, pa.string()) for s in sides], SCHEMA))

    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, SCHEMA) as stream:
        yield write


def in_blocks(pairs: Iterable[Pair]) -> Iterator[list[Pair]]:
    """The pairs, so many at once."""
    rest = iter(pairs)
    while block := list(islice(rest, BLOCK)):
        yield block
