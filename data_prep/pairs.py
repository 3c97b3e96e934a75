"""Sentence pairs in a memory-mapped file, so that their number is not limited by memory."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data_prep.corpus import Pair

Mask = NDArray[np.bool_]
"""(N,) selects some of N pairs."""

BLOCK = 10_000
"""Pairs held in memory at once."""

SCHEMA = pa.schema([("source", pa.string()), ("target", pa.string())])


class Pairs:
    """A selection of the sentence pairs of a memory-mapped file, in file order.

    Args:
        blocks: all pairs of the file.
        chosen: (N,) which of them are selected; None for all.
    """

    def __init__(self, blocks: Sequence[pa.RecordBatch], chosen: Mask | None = None) -> None:
        self._blocks = blocks
        size = sum(len(block) for block in blocks)
        self._chosen = np.ones(size, np.bool_) if chosen is None else chosen

    @classmethod
    def open(cls, path: Path) -> "Pairs":
        """All pairs of a file that `writing` has written."""
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
        """The chosen pairs, block by block, as columns `source` and `target`."""
        start = 0
        for block in self._blocks:
            yield block.filter(pa.array(self._chosen[start : start + len(block)]))
            start += len(block)

    def only(self, chosen: Mask) -> "Pairs":
        """A new selection from all the file's pairs by a mask (N,), ignoring the present one."""
        return Pairs(self._blocks, chosen)


@contextmanager
def writing(path: Path) -> Iterator[Callable[[Sequence[Pair]], None]]:
    """Opens a new file and yields a function that appends pairs to it."""

    def write(pairs: Sequence[Pair]) -> None:
        sides = [[source for source, _ in pairs], [target for _, target in pairs]]
        stream.write_batch(pa.record_batch([pa.array(s, pa.string()) for s in sides], SCHEMA))

    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, SCHEMA) as stream:
        yield write


def in_blocks(pairs: Iterable[Pair]) -> Iterator[list[Pair]]:
    """The pairs in lists of at most `BLOCK`."""
    rest = iter(pairs)
    while block := list(islice(rest, BLOCK)):
        yield block
