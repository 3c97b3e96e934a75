"""A corpus that is too large to be prepared as a whole, a piece at a time."""

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import datasets

from data_prep import manifest, sources
from data_prep.clean import filters_of
from data_prep.corpus import Corpus, HeldOut, Pair
from data_prep.encode import clear_scratch, encode_splits
from data_prep.marks import gather
from data_prep.pairs import BLOCK
from nmt import options
from nmt.config import Data
from nmt.errors import Say, UserError


class Pieces:
    """The training pairs of a corpus, `data.piece` at a time; after the last, the first come again.

    Piece 0 is what `nmt prepare` has read: the tokenizers come from it, and the held-out splits if
    the corpus has none. The others are cleaned as it was, and without pairs that share a folded
    side with validation or test. Of equal pairs in different pieces, each is kept.

    Args:
        data: the settings with which piece 0 was prepared.
        held_out: validation and test.
        say: receives a line for each piece.

    Raises:
        UserError: the corpus is unavailable.
    """

    def __init__(self, data: Data, held_out: Sequence[HeldOut], say: Say) -> None:
        self._data, self._held_out, self._say = data, held_out, say
        self._length = 0
        self._begin()

    @classmethod
    def of(cls, prepared: Path, say: Say) -> "Pieces":
        """The corpus of a prepared folder."""
        found = manifest.read(prepared)
        assert found is not None
        data = options.build(Data, {**found["settings"], "folder": str(prepared)})
        splits = datasets.DatasetDict.load_from_disk(str(prepared / "dataset"))
        parts = (splits[name] for name in ("validation", "test"))
        return cls(data, [HeldOut(part["source"][:], part["references"][:]) for part in parts], say)

    def _begin(self) -> None:
        corpus = sources.read(self._data, self._say)
        self._filters = filters_of(corpus, self._data)
        self._pairs, self._next = self._endless(corpus), 0

    def _endless(self, corpus: Corpus) -> Iterator[Pair]:
        while True:
            length = 0
            for pair in corpus.train:
                length += 1
                yield pair
            size = self._data.piece or 0
            if length < size or length != (self._length or length):
                had = f"{self._length:,}" if self._length else f"{size:,} or more"
                raise UserError(
                    f"data.corpus: expected the pairs that it had ({had}), found {length:,}; put "
                    "it back as it was"
                )
            self._length = length
            corpus = sources.read(self._data, self._say)

    def _skip(self, count: int) -> None:
        while count > 0:
            if self._length:  # known after the first round: whole rounds lead to the same place
                count %= self._length
            step = min(count, BLOCK)
            deque(islice(self._pairs, step), maxlen=0)
            count -= step

    def __call__(self, number: int, folder: Path, tokenizers: Path) -> None:
        """Writes a piece as the training split of `folder/dataset`.

        In order, each continues where the last ended; any other is reached by reading all before.

        Args:
            number: of the piece, from 0.
            folder: where to write; created.
            tokenizers: the folder of those that encode it.

        Raises:
            UserError: the corpus cannot be read any more, or no pair of the piece is left.
        """
        size, seed = self._data.piece, self._data.split.seed
        assert size is not None
        if number < self._next:
            self._begin()
        self._skip((number - self._next) * size)
        self._next = number + 1
        folder.mkdir(parents=True)
        pairs = islice(self._pairs, size)
        piece = gather(folder / "train.pairs", pairs, self._filters, seed)
        kept = ~piece.marks.shared_with(self._held_out, seed) & (piece.marks.filtered == 0)
        if self._data.clean.drop_duplicates:
            kept = piece.marks.once(kept)
        if not kept.any():
            raise UserError(
                f"data.corpus: expected training pairs in piece {number + 1} of {size:,}, found "
                "none that data.clean keeps; take that part out of the corpus, or choose a larger "
                "data.piece, prepare again and start over with --fresh"
            )
        encode_splits(folder, piece.pairs.only(kept), {}, tokenizers)
        read, left = piece.read, int(kept.sum())
        del piece
        clear_scratch(folder)
        self._say(f"piece {number + 1} of the corpus: {read:,} pairs read, {left:,} kept")
