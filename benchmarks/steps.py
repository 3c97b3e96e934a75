"""One training step and one search, as the product makes them, ready to be timed."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from torch import Tensor

from benchmarks import synthetic
from benchmarks.arithmetic import Sizes
from nmt.batch import Batch
from nmt.config import Config, Precision, Training
from nmt.decoding.translator import Translator
from nmt.model.seq2seq import Seq2Seq
from nmt.training.speed import updates
from nmt.translation import Translation

TRAINING: tuple[Precision, ...] = ("fp32", "bf16")
SEARCH: tuple[Precision, ...] = ("fp32", "bf16", "int8")
"""The precisions that each has."""


def training_step(
    model: Seq2Seq, training: Training, batch: Batch, precision: Precision
) -> Callable[[], Tensor]:
    """An update of a copy of the model by one batch; see `nmt.training.speed`."""
    update = updates(model, training, precision)
    return lambda: update(batch)


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
