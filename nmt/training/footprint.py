"""How much memory a training batch takes, counted in fp32, and how much is available.

Linux overcommits memory and kills a process that uses too much: on a CPU there is no error to
catch. So batches are cut when they are planned.
"""

from dataclasses import dataclass, replace
from math import inf

import numpy as np
import torch
from datasets import DatasetDict
from numpy.typing import NDArray
from torch import Tensor

from nmt import processes, ram
from nmt.batch import Batch
from nmt.config import Training
from nmt.data.datamodule import TranslationData
from nmt.errors import UserError
from nmt.training.module import TranslationModule
from nmt.training.precision import device
from nmt.vocab import UNK

PROBES = ((8, 8), (8, 24), (24, 8), (24, 24), (8, 40), (40, 8), (32, 40))
"""Source and target tokens of the batches whose memory is counted."""

PEAK = 2.0
"""Peak memory of a batch relative to what autograd saves for it; 1.1 to 1.8 were measured."""

COPIES = 6
"""Copies of the parameters: themselves, gradients, two Adam moments, moving average, and what the
whole-sequence paths keep of them during a backward pass."""

SHARE = 0.9
"""Fraction of the free memory that training may take."""

GB = 1e9


@dataclass(frozen=True)
class Footprint:
    """Bytes that a row of a batch takes, and bytes available for all rows.

    Whatever the model, the size of each tensor of a batch is its number of rows times powers of
    the source length and the target length, apart from tensors as large as a parameter. Their sum
    is a polynomial, whose coefficients are fitted to how much more autograd saves when a few small
    batches get one more row.

    Args:
        coefficients: (6,) of 1, S, T, S T, S S and T T.
        size: bytes for all rows of a batch, which several processes may share.
        most: bytes for a batch of one row, which cannot be cut.
    """

    coefficients: NDArray[np.float64]
    size: float = inf
    most: float = inf

    @classmethod
    def of(cls, module: TranslationModule) -> "Footprint":
        """The footprint of a module as it is: in training mode, on its device."""
        kept = [
            kept_bytes(module, 3, *lengths) - kept_bytes(module, 2, *lengths) for lengths in PROBES
        ]
        terms = np.array([_terms(*lengths) for lengths in PROBES])
        return cls(np.linalg.lstsq(terms, np.array(kept), rcond=None)[0])

    def row(self, source: int, target: int) -> float:
        """Peak bytes per row of a batch with so many tokens, end marks included."""
        return PEAK * max(0.0, float(_terms(source, target) @ self.coefficients))


def _terms(source: int, target: int) -> NDArray[np.float64]:
    s, t = float(source), float(target)
    return np.array([1.0, s, t, s * t, s * s, t * t])


def kept_bytes(module: TranslationModule, rows: int, source: int, target: int) -> int:
    """Bytes that autograd saves for the backward pass of a batch, without the parameters."""
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    batch = Batch.of([[UNK] * (source - 1)] * rows, [[UNK] * (target - 1)] * rows)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = module.rehearsal(batch.to(module.device))
    own = {parameter.untyped_storage().data_ptr() for parameter in module.parameters()}
    found = sum(one.untyped_storage().nbytes() for at, one in kept.items() if at not in own)
    del loss
    return found


def free_for_batches(module: TranslationModule) -> float:
    """Bytes for one batch over all processes, judged by this machine's free memory.

    Raises:
        UserError: there is not enough memory for the model alone.
    """
    numbers = sum(parameter.numel() for parameter in module.parameters())
    here = processes.local_world() if device() == "cpu" else 1
    free = SHARE * ram.free(device()) / here
    needed = 4.0 * COPIES * numbers
    if free <= needed:
        raise UserError(
            f"model: {numbers:,} parameters take {needed / GB:.1f} GB while they are trained, "
            f"expected that to be free in each of {here} processes, found {free / GB:.1f} GB; "
            "choose smaller sizes"
        )
    return (free - needed) * processes.world()


def plan_batches(
    module: TranslationModule,
    dataset: DatasetDict,
    training: Training,
    size: float,
    most: float = inf,
) -> TranslationData:
    """The data in batches that fit into memory.

    On a GPU, the widest batch is tried, and the memory allowed is halved until it fits.

    Args:
        module: the module that is trained.
        dataset: from `open_dataset`.
        training: its `batch_tokens` and `seed`.
        size: bytes for one batch.
        most: bytes for a single sentence pair.

    Raises:
        UserError: a single sentence pair takes more.
    """
    module.to(device())
    footprint = Footprint.of(module)
    while True:
        room = replace(footprint, size=size, most=most)
        data = TranslationData(dataset, training.batch_tokens, training.seed, room)
        if device() == "cpu" or not processes.all_max(_overflows(module, data))[0]:
            return data
        size = min(size, data.plan.bytes_of(data.plan.widest)) / 2
        if len(data.plan.widest) == 1:
            most = size


def _overflows(module: TranslationModule, data: TranslationData) -> bool:
    try:
        loss = module.rehearsal(data.widest_batch().to(module.device))
        loss.backward()  # type: ignore[no-untyped-call]
    except torch.OutOfMemoryError:
        return True
    finally:
        module.zero_grad()
        torch.cuda.empty_cache()
    return False
