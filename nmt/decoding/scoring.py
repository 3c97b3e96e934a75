"""Forced decoding: the log-probabilities and alignments of given translations."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from nmt.batch import Batch
from nmt.model.forced import log_probabilities
from nmt.model.memory import TuringMachine
from nmt.model.seq2seq import Ensemble, Seq2Seq
from nmt.state import State


@dataclass(frozen=True)
class Scored:
    """The log-probability (natural log) and the number of tokens of a translation, EOS included."""

    log_probability: float
    tokens: int


@torch.inference_mode()
def score(model: Seq2Seq | Ensemble, batch: Batch) -> list[Scored]:
    """The log-probability of each target of a batch, given its source (forced decoding)."""
    found = log_probabilities(model, batch).tolist()
    return [Scored(*pair) for pair in zip(found, batch.target_lengths.tolist(), strict=True)]


@torch.inference_mode()
def align(model: Seq2Seq | Ensemble, batch: Batch) -> Tensor:
    """Attention weights (B, T, S) of given targets, from one teacher-forced pass.

    Row t shows where the model looked before it predicted label t; rows and columns of padding are
    meaningless.
    """
    _, weights = model(batch.source, batch.source_lengths, batch.target_input)
    assert isinstance(weights, Tensor)
    return weights


@contextmanager
def recorded_heads(model: nn.Module) -> Iterator[dict[str, list[Tensor]]]:
    """Records where the heads of Turing machines look while the model runs: (B, slots) per step.

    Keys name the heads: `write 1`, `read 1`, ...; without a Turing machine the result is empty.
    """
    machines = [part for part in model.modules() if isinstance(part, TuringMachine)]
    found: dict[str, list[Tensor]] = {}

    def record(which: str, module: object, inputs: object, outputs: tuple[State, ...]) -> None:
        _, reads, writes, _ = outputs[2]
        for kind, heads in (("write", writes), ("read", reads)):
            assert isinstance(heads, Tensor)
            for number, weights in enumerate(heads.unbind(dim=1), start=1):
                found.setdefault(f"{which}{kind} {number}", []).append(weights)

    names = [""] if len(machines) == 1 else [f"{i}: " for i in range(1, len(machines) + 1)]
    with ExitStack() as hooks:
        for name, machine in zip(names, machines, strict=True):
            hooks.enter_context(machine.register_forward_hook(partial(record, name)))
        yield found
