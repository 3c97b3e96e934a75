"""The prepared data set as a stream of training batches and a list of validation batches."""

import os
import tempfile
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow.compute as pc
import pytorch_lightning as pl
from torch.utils.data import DataLoader, IterableDataset

from nmt import processes
from nmt.batch import Batch
from nmt.data.batching import BatchPlan, Indices, Room, TooLong
from nmt.errors import Say, UserError
from nmt.files import errors_named, sha256
from nmt.vocab import load_vocabularies, tokenizer_files

MakePiece = Callable[[int], datasets.Dataset]
"""The training pairs of an epoch, counted from 0, where each has a piece of the corpus."""


def open_dataset(folder: Path) -> datasets.DatasetDict:
    """The Arrow data set of a prepared folder, memory-mapped.

    Raises:
        UserError: the folder holds none, or a damaged one.
    """
    if not (folder / "dataset" / "dataset_dict.json").exists():
        raise UserError(
            f"{folder.resolve()}: expected prepared data here, found none (data.folder is taken "
            "from where you are); run `nmt prepare` first"
        )
    try:
        return datasets.DatasetDict.load_from_disk(str(folder / "dataset"))
    except (OSError, ValueError) as error:  # pyarrow's errors are of these kinds
        raise UserError(
            f"{folder}: expected whole prepared data, found damaged files ({error}); run "
            "`nmt prepare` again, or copy the folder again"
        ) from None


def lengths_of(split: datasets.Dataset, column: str) -> Indices:
    """(N,) list lengths of a column, read through Arrow without touching Python objects."""
    column_lengths = pc.list_value_length(split.data.column(column))
    return np.asarray(column_lengths, dtype=np.int64)


def read_batch(split: datasets.Dataset, indices: Indices) -> Batch:
    """The given sentence pairs, padded."""
    rows = split[indices.tolist()]
    return Batch.of(rows["source_ids"], rows["target_ids"])


def read_part(split: datasets.Dataset, indices: Indices, rank: int, world: int) -> Batch:
    """One of `world` parts of a batch, with similar numbers of rows and similar lengths.

    If a batch has fewer rows than parts, each empty part gets its first row without target tokens,
    because a process without a backward pass would keep the others waiting.
    """
    own = indices[rank::world]
    return read_batch(split, own) if len(own) else read_batch(split, indices[:1]).silent()


def read_own(split: datasets.Dataset, indices: Indices) -> Batch:
    """The part of a batch that this process learns from."""
    return read_part(split, indices, processes.rank(), processes.world())


def encoded_for(
    run: Path,
    prepared: Path,
    dataset: datasets.DatasetDict,
    say: Say,
    place: Path | None = None,
) -> datasets.DatasetDict:
    """The same pairs with the ids of a run's own tokenizer, which may come from another corpus.

    `place` has room for them; by default the run's folder.
    """
    run_files, own_files = tokenizer_files(run), tokenizer_files(prepared)
    if [sha256(file) for file in run_files] == [sha256(file) for file in own_files]:
        return dataset
    say(f"encoding {prepared} anew with the tokenizer of the run")
    source, target = load_vocabularies(run)

    def encode(rows: dict[str, list[str]]) -> dict[str, list[list[int]]]:
        return {
            "source_ids": source.encode(rows["source"]),
            "target_ids": target.encode(rows["target"]),
        }

    return datasets.DatasetDict(
        {name: mapped(split, encode, place or run) for name, split in dataset.items()}
    )


def mapped(split: datasets.Dataset, change: Callable[..., Any], folder: Path) -> datasets.Dataset:
    """A split with its rows changed: on disk, so that it may be larger than memory.

    Args:
        split: any data set.
        change: takes and returns batches of rows, as columns.
        folder: has room for the rows, in a file without a name: it goes with its last reader.
    """
    place = folder if os.access(folder, os.W_OK) else None
    # Where a file that is read cannot be removed (Windows), the next session of the run does it.
    own = tempfile.TemporaryDirectory(".partial", ".rows-", place, ignore_cleanup_errors=True)
    with errors_named(Path(own.name)), own as name:
        file = str(Path(name) / "rows.arrow")
        return split.map(change, batched=True, cache_file_name=file, load_from_cache_file=False)


class BatchStream(IterableDataset[Batch]):
    """Training batches of all epochs as one stream, which can start at any step.

    With several processes, each gets its part of every batch: all have equally many batches, and a
    position means the same whatever the number of processes.

    Where each epoch has a piece of the corpus, it has as many batches as the first: of the others
    the last are left out, or the first come again.

    Args:
        split: the training pairs, of all epochs or of the first.
        plan: their batches.
        steps: total number of batches.
        further: the pairs of a later epoch and their batches, if not the same.
    """

    def __init__(
        self,
        split: datasets.Dataset,
        plan: BatchPlan,
        steps: int,
        further: Callable[[int], tuple[datasets.Dataset, BatchPlan]] | None = None,
    ) -> None:
        self.split = split
        self.plan = plan
        self.steps = steps
        self.further = further
        self.start = 0

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[Batch]:
        step = self.start
        while step < self.steps:
            epoch, position = divmod(step, len(self.plan))
            for batch in islice(self._epoch(epoch, position), self.steps - step):
                yield batch
                step += 1

    def _epoch(self, epoch: int, position: int) -> Iterator[Batch]:
        """The batches of an epoch from a position on; its piece is not held any longer."""
        split, plan = self.split, self.plan
        if epoch > 0 and self.further:
            split, plan = self.further(epoch)
        for indices in islice(cycle(plan.epoch(epoch)), position, len(self.plan)):
            yield read_own(split, indices)


class ResumableLoader(DataLoader[Batch]):
    """A loader whose position is the trainer's step, so a checkpoint needs nothing else."""

    def __init__(self, stream: BatchStream, step: Callable[[], int]) -> None:
        super().__init__(stream, batch_size=None)
        self._stream = stream
        self._step = step

    def state_dict(self) -> dict[str, Any]:
        """The position: the number of batches trained on."""
        return {"step": self._step()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes to a position."""
        self._stream.start = state["step"]


class TranslationData(pl.LightningDataModule):
    """Feeds Lightning from a prepared folder.

    Lightning sees one long epoch of `steps` batches, so that a position is a single number; the
    passes over the data are the plan's.

    Args:
        dataset: from `open_dataset`.
        batch_tokens: maximum tokens of a batch on either side, padding included.
        seed: random seed of the order.
        room: memory for a batch.

    Raises:
        UserError: a split that training needs is empty, or a pair takes more memory than there is.
    """

    def __init__(
        self,
        dataset: datasets.DatasetDict,
        batch_tokens: int,
        seed: int,
        room: Room | None = None,
    ) -> None:
        super().__init__()
        for name in ("train", "validation"):
            if len(dataset[name]) == 0:
                raise UserError(f"the prepared data has no sentence pairs in its {name} split")
        self.dataset = dataset
        self.make_piece: MakePiece | None = None
        """Gives the pairs of each epoch but the first, if not the same."""
        self._batches = batch_tokens, seed, room
        self.plan = self._plan("train", dataset["train"], *self._batches)
        # Without gradients four times as many positions fit; `room` still counts gradients.
        self.validation_plan = self._plan(
            "validation", dataset["validation"], 4 * batch_tokens, seed, room
        )
        self.steps = len(self.plan)

    @property
    def is_cut(self) -> bool:
        """Whether batches were cut to fit into memory."""
        return any(len(plan) > plan.wished for plan in (self.plan, self.validation_plan))

    def _plan(
        self, name: str, split: datasets.Dataset, batch_tokens: int, seed: int, room: Room | None
    ) -> BatchPlan:
        lengths = [lengths_of(split, column) for column in ("source_ids", "target_ids")]
        try:
            return BatchPlan(lengths[0], lengths[1], batch_tokens, seed, room=room)
        except TooLong as error:
            assert room is not None
            source, target = (int(of[error.index]) for of in lengths)
            text = split[error.index].get("source")  # a shortened pair has only ids
            cure = "set training.max_length" + (" lower" if text is None else "")
            if self.make_piece:
                cure += ", and start over with --fresh"
            if name != "train":
                cure = f"take it out of the {name} part of the corpus"
            raise UserError(
                f"pair {error.index + 1} of the {name} split"
                + ("" if text is None else f" ({text[:40]!r}...)")
                + f": expected what fits into {room.size / 1e9:.1f} GB of memory, found {source:,} "
                f"and {target:,} tokens, which take about {error.needed / 1e9:.1f} GB; {cure}"
            ) from None

    def train_dataloader(self) -> ResumableLoader:
        further = self._piece if self.make_piece else None
        stream = BatchStream(self.dataset["train"], self.plan, self.steps, further)
        return ResumableLoader(stream, lambda: self.trainer.global_step if self.trainer else 0)

    def _piece(self, epoch: int) -> tuple[datasets.Dataset, BatchPlan]:
        assert self.make_piece is not None
        split = self.make_piece(epoch)
        return split, self._plan("train", split, *self._batches)

    def val_dataloader(self) -> DataLoader[Batch]:
        split = self.dataset["validation"]
        batches = [read_batch(split, indices) for indices in self.validation_plan.epoch(0)]
        return DataLoader(batches, batch_size=None)  # type: ignore[arg-type]

    def widest_batch(self) -> Batch:
        """The training batch that takes the most memory."""
        return read_own(self.dataset["train"], self.plan.widest)
