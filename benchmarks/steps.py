"""One training step and one search, as the product makes them, ready to be timed."""

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.optim.swa_utils import AveragedModel

from benchmarks import synthetic
from benchmarks.arithmetic import Sizes
from nmt.batch import Batch
from nmt.config import Config, Precision, Training
from nmt.decoding.translation import Translation
from nmt.decoding.translator import Translator
from nmt.model.seq2seq import Seq2Seq
from nmt.training.callbacks import moving_average
from nmt.training.module import TranslationModule
from nmt.training.optim import make_optimizer

TRAINING: tuple[Precision, ...] = ("fp32", "bf16")
SEARCH: tuple[Precision, ...] = ("fp32", "bf16", "int8")
"""The precisions that each has."""


def training_step(
    model: Seq2Seq, training: Training, batch: Batch, precision: Precision
) -> Callable[[], Tensor]:
    """An update of a copy of the model: loss (given back), backward, clipping, optimiser, average.

    What a trainer does around it (reading the batch, logging) is not in it.
    """
    module = TranslationModule(copy.deepcopy(model).train(), training, steps=1)
    optimizer = make_optimizer(module.model, training)
    average = moving_average(training.average_decay)
    averaged = AveragedModel(module.model, multi_avg_fn=average) if training.average_decay else None

    def step() -> Tensor:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            loss, _, tokens = module.loss(batch, training.label_smoothing)
        (loss / tokens).backward()  # type: ignore[no-untyped-call]
        if training.clip_norm > 0:
            clip_grad_norm_(module.model.parameters(), training.clip_norm)
        optimizer.step()
        if averaged is not None:
            averaged.update_parameters(module.model)
        return loss.detach() / tokens

    return step


def search(
    config: Config, sizes: Sizes, beam: int, precision: Precision
) -> Callable[[], list[Translation]]:
    """Translates one batch of made-up lines with an endless model.

    Each translation has `target_length` tokens, so every step has all its rows.
    """
    decoding = replace(
        config.decoding,
        beam_size=beam,
        max_length_ratio=1e-6,
        max_length_extra=sizes.target_length,
        batch_tokens=sizes.batch * sizes.source_length * beam,
        precision=precision,
    )
    with TemporaryDirectory() as folder:
        synthetic.save_run(Path(folder) / "run", replace(config, decoding=decoding))
        translator = Translator.load(Path(folder) / "run")
    length = sizes.source_length - 1  # the end mark is the last token
    vocabulary_size = config.data.tokenizer.vocabulary_size
    texts = list(synthetic.lines(sizes.batch, vocabulary_size, length, length))
    return lambda: translator.translate(texts)
