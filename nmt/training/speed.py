"""How long an update takes on this machine: measured, not guessed."""

import copy
import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from nmt.batch import Batch
from nmt.config import Config, Precision, Training
from nmt.data.datamodule import TranslationData, read_batch
from nmt.model.seq2seq import Seq2Seq
from nmt.training.module import TranslationModule
from nmt.training.optim import clip_gradients, make_optimizer, moving_average
from nmt.training.precision import choose_precision, device

WARM_UP, MEASURED = 5, 25
"""Numbers of updates."""


def updates(model: Seq2Seq, training: Training, precision: Precision) -> Callable[[Batch], Tensor]:
    """A function that updates a copy of the model and returns the loss.

    It computes loss, backward, clipping, optimiser and average, but nothing that a trainer does
    around an update (reading the batch, logging).
    """
    module = TranslationModule(copy.deepcopy(model).train(), training, steps=1)
    optimizer = make_optimizer(module.model, training)
    average = moving_average(training.average_decay)
    averaged = AveragedModel(module.model, multi_avg_fn=average) if training.average_decay else None

    def update(batch: Batch) -> Tensor:
        optimizer.zero_grad()
        kind = batch.source.device.type
        with torch.autocast(kind, torch.bfloat16, enabled=precision == "bf16"):
            loss, _, tokens = module.loss(batch, training.label_smoothing)
        (loss / tokens).backward()  # type: ignore[no-untyped-call]
        clip_gradients(module.model, training)
        optimizer.step()
        if averaged is not None:
            averaged.update_parameters(module.model)
        return loss.detach() / tokens

    return update


def seconds_an_update(config: Config, model: Seq2Seq, data: TranslationData) -> float:
    """The median over some batches, including reading them, on the device used for training."""
    here = torch.device(device())
    precision = choose_precision(config.training.precision, here.type)
    update = updates(model.to(here), config.training, precision)
    taken = []
    for indices in data.plan.epoch(0)[: WARM_UP + MEASURED]:
        started = time.perf_counter()
        update(read_batch(data.dataset["train"], indices).to(here)).item()  # waits for a GPU
        taken.append(time.perf_counter() - started)
    return median(taken[WARM_UP:] or taken)
