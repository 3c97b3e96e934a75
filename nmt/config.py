"""One experiment's settings: a YAML file and command-line overrides, checked before anything runs.

Sections: `data` (read by data_prep), `model` (the constructors in nmt.model are its schema),
`training` and `decoding`. Everything is plain data, so that it can be written back to YAML.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt

from nmt import options
from nmt.errors import UserError
from nmt.files import read_yaml
from nmt.schema import (
    BeamSize,
    Code,
    Count,
    Fraction,
    NonNegative,
    Part,
    Paths,
    Place,
    Positive,
    PositiveInt,
    Settings,
)

Longer = Literal["truncate", "chunk"]
"""What happens to training sentences that are longer than a limit."""


@dataclass(frozen=True, kw_only=True)
class Clean:
    """Filters of training pairs. Text is never rewritten; validation and test are never filtered.

    Args:
        max_words: drop pairs with more words than this on either side.
        max_ratio: drop pairs whose numbers of letters differ by more than this factor (ten are
            added to each side first, to spare short sentences; a character of Han, kana or Hangul
            counts as three letters).
        drop_copies: drop pairs whose two sides are identical.
        drop_duplicates: drop pairs already seen.
    """

    max_words: PositiveInt = 100
    max_ratio: Positive = 3.0
    drop_copies: bool = True
    drop_duplicates: bool = True


@dataclass(frozen=True, kw_only=True)
class Split:
    """The leak-free split, made if the corpus has none of its own.

    Pairs that share a source or a target sentence (transitively, after folding case, space and
    punctuation) land in the same split.

    Args:
        validation_size: number of distinct source sentences for validation.
        test_size: number of distinct source sentences for test.
        seed: random seed of the split; the same data and seed give the same split.
    """

    validation_size: PositiveInt = 1000
    test_size: PositiveInt = 2000
    seed: int = 1


@dataclass(frozen=True, kw_only=True)
class Tokenizer:
    """Subword units, trained on the training split only.

    Args:
        kind: bpe (byte-level byte pair encoding; Sennrich et al. 2016) or unigram (Kudo 2018,
            over bytes); both reproduce any text exactly.
        vocabulary_size: units in each vocabulary, including the four reserved ids and 256 bytes.
        joint: one vocabulary for both languages instead of one for each.
    """

    kind: Literal["bpe", "unigram"] = "bpe"
    vocabulary_size: Annotated[int, Ge(260), Le(10**7)] = 4000
    joint: bool = False


@dataclass(frozen=True, kw_only=True)
class Data:
    """From raw corpora to a prepared folder.

    Args:
        folder: where `nmt prepare` writes and `nmt train` reads.
        source_language: code of the language to translate from.
        target_language: code of the language to translate into.
        corpus: where the pairs come from.
        piece: for a corpus that is too large for the disk: pairs to read from it at a time.
            `nmt prepare` reads the first so many, each further epoch of `nmt train` the next, and
            after the last the first again; null prepares all.
        clean: filters of training pairs.
        split: the leak-free split.
        tokenizer: subword units.
        synthetic: files of synthetic pairs, as `nmt synthesize` writes them; used for training
            only, without pairs that share a side with validation or test.
    """

    folder: Place
    source_language: Code
    target_language: Code
    corpus: Annotated[Settings, Part("nmt.corpora:CORPORA")]
    clean: Clean = field(default_factory=Clean)
    split: Split = field(default_factory=Split)
    tokenizer: Tokenizer = field(default_factory=Tokenizer)
    synthetic: Paths | None = None
    piece: PositiveInt | None = None

    def __post_init__(self) -> None:
        if self.piece and self.synthetic:
            raise UserError(
                "piece: synthetic pairs would belong to the first piece alone, expected none "
                f"beside a corpus in pieces, found data.synthetic {', '.join(self.synthetic)}; put "
                "them into the corpus, or leave data.piece out"
            )


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a model is trained.

    Args:
        folder: the run's folder, which `nmt translate` reads.
        max_epochs: stop after this many passes over the training data.
        max_steps: stop after this many updates, if that comes first. Either is rounded up to a
            whole number of validations, so that the last update is validated too.
        patience: stop after this many validations without a better BLEU (for a language model:
            loss).
        validate_every: updates between validations; null validates once an epoch.
        validation_beam: beam size for validation BLEU; 1 is greedy.
        batch_tokens: maximum tokens of a batch, padding included: number of sentences times the
            longest sentence on either side, end mark included.
        max_length: maximum tokens of a training sentence; null sets no limit.
        longer: what happens to longer ones: truncate, or chunk (cut both sides into the same
            number of pieces).
        learning_rate: peak rate of Adam (Kingma and Ba 2015).
        warmup_steps: updates over which the rate rises linearly to its peak.
        schedule: what follows the warm-up: linear or cosine decay, which would reach `final_rate`
            with one more update than there are, inverse_sqrt decay, or constant.
        final_rate: fraction of the peak rate left at the end of a linear or cosine decay.
        label_smoothing: fraction of the target's probability spread over the vocabulary (Szegedy
            et al. 2016).
        objective: what is minimised: the cross-entropy of the reference words (likelihood), or the
            expected loss of sentence BLEU (risk).
        clip_norm: maximum norm of the gradient (Pascanu et al. 2013); 0 disables clipping.
        clip_value: maximum absolute value of each element of the gradient, clipped before its
            norm; 0 disables clipping.
        weight_decay: decoupled weight decay of matrices (Loshchilov and Hutter 2019).
        average_decay: decay of the exponential moving average of the weights, which is validated
            and saved; smaller at first; 0 disables averaging.
        precision: fp32, bf16 (mixed), or auto: the faster in a short measurement at the start.
        seed: random seed of initialisation, data order and dropout.
        threads: CPU threads of each process; null leaves the choice to torch.
        processes: training processes on this machine, each of which takes a part of every batch;
            torchrun sets their number itself, on several machines.
        log_every: updates between rows of the CSV and TensorBoard logs.
    """

    folder: Place
    max_epochs: PositiveInt = 10
    max_steps: PositiveInt | None = None
    patience: PositiveInt = 10
    validate_every: PositiveInt | None = None
    validation_beam: BeamSize = 1
    batch_tokens: PositiveInt = 1200
    max_length: PositiveInt | None = None
    longer: Longer = "truncate"
    learning_rate: Positive = 1e-3
    warmup_steps: Count = 200
    schedule: Literal["linear", "cosine", "inverse_sqrt", "constant"] = "linear"
    final_rate: Fraction = 0.05
    label_smoothing: Fraction = 0.1
    objective: Annotated[Settings | str, Part("nmt.training.objectives:OBJECTIVES")] = "likelihood"
    clip_norm: NonNegative = 1.0
    clip_value: NonNegative = 0.0
    weight_decay: NonNegative = 0.0
    average_decay: Fraction = 0.998
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    seed: Annotated[int, Ge(0), Lt(2**32)] = 1
    threads: Annotated[int, Gt(0), Le(4096)] | None = None
    processes: PositiveInt = 1
    log_every: PositiveInt = 50

    def __post_init__(self) -> None:
        if self.longer == "chunk" and self.max_length is None:
            raise UserError("longer: chunk needs training.max_length, found null there")


def expect_whole(piece: int | None, why: str) -> None:
    """Requires a corpus that is prepared as a whole, not in pieces of so many pairs."""
    if piece:
        raise UserError(
            f"data.piece: {why}, expected all of a corpus, found pieces of {piece:,} pairs; leave "
            "it out, and take a part of the corpus if need be"
        )


Precision = Literal["fp32", "bf16", "int8"]
"""Precision of the matrix products in decoding."""


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How translations are searched for.

    Args:
        beam_size: hypotheses kept at each step; 1 is greedy search.
        length_penalty: a hypothesis scores log P / length ** this (Wu et al. 2016, without
            their constant); 0 is the bare log probability.
        max_length_ratio: a translation has at most this many tokens for each source token.
        max_length_extra: tokens that a translation may have on top of max_length_ratio.
        batch_tokens: maximum source tokens of a batch, padding included, times the beam size.
        precision: of the decoder's matrix products: fp32, bf16, or int8 (weights and inputs
            quantised row by row). bf16 and int8 are faster on CPUs with instructions for them.
        health: thresholds beyond which a translation is suspicious.
    """

    beam_size: BeamSize = 5
    length_penalty: NonNegative = 1.0
    max_length_ratio: Positive = 2.0
    max_length_extra: PositiveInt = 10
    batch_tokens: PositiveInt = 8000
    precision: Precision = "fp32"
    health: Annotated[Settings, Part("nmt.decoding.health:Health")] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Config:
    """All settings of one experiment.

    Args:
        data: from raw corpora to a prepared folder.
        model: the network; see the constructors in nmt.model.
        training: how the model is trained.
        decoding: how translations are searched for.
    """

    data: Data
    training: Training
    model: Annotated[Settings, Part("nmt.model.seq2seq:Seq2Seq")] = field(default_factory=dict)
    decoding: Decoding = field(default_factory=Decoding)


def load(path: Path, overrides: Sequence[options.Override] = ()) -> Config:
    """Reads a YAML file, applies the overrides and checks every key and value.

    Args:
        path: the YAML file.
        overrides: see `options.apply_overrides`.

    Raises:
        UserError: naming the file, the key, what was expected and what was found.
    """
    raw = read_yaml(path)
    options.apply_overrides(Config, raw, overrides)
    return from_dict(raw, f"{path} and the command line" if overrides else str(path))


def from_dict(raw: Any, where: str) -> Config:
    """Checked settings from plain data; `where` names their origin in error messages."""
    try:
        built: Config = options.build(Config, raw)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    return built


EXAMPLE: Settings = {
    "data": {
        "folder": "data/NAME",
        "source_language": "en",
        "target_language": "es",
        "corpus": {"kind": "tatoeba", "language": "es"},
    },
    "training": {"folder": "checkpoints/NAME"},
}
"""A minimal configuration, for help texts."""
