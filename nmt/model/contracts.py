"""The contracts between the parts of a model: what each family offers, and what passes between.

A new variant implements one of these in its family's file and stands in the table at its foot.
"""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from nmt.state import State


@dataclass(frozen=True)
class Encoded:
    """A source sentence as the decoder sees it.

    Args:
        memory: (B, S, M) one vector for each token.
        mask: (B, S) True at real tokens.
        summary: (B, M) one vector for the whole sentence.
    """

    memory: Tensor
    mask: Tensor
    summary: Tensor


class Cell(Protocol):
    """What every entry of CELLS offers."""

    gates_size: int
    hidden_size: int
    fusible: bool
    """Whether the whole-sequence path of its family computes what these options say."""

    def start(self, output: Tensor) -> State:
        """The state whose last output is `output` (B, H), with an empty memory beside it."""

    def project(self, inputs: Tensor) -> Tensor:
        """What does not depend on the past: (..., E) -> (..., G)."""

    def step(self, projected: Tensor, state: State) -> tuple[Tensor, State]:
        """One step: (B, G) and a state -> the output (B, H) and the next state."""

    def __call__(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """`project` and `step` in one: (B, E) and a state -> (B, H) and the next state."""


class Encoder(Protocol):
    """What every entry of ENCODERS offers."""

    memory_size: int
    words_size: int
    """Of the memory's last numbers that are a word's own vector; 0 where there are none."""
    reads_source: bool
    """Whether there is a source at all; without one the decoder is a language model."""
    scales_words: bool
    """Whether it multiplies words' vectors by itself."""

    def fused(self) -> bool:
        """Whether all its recurrences have a whole-sequence path."""

    def __call__(self, embedded: Tensor, lengths: Tensor) -> Encoded:
        """(B, S, E), (B,) -> the memory (B, S, M), its mask and its summary."""


class Attention(Protocol):
    """What every entry of ATTENTIONS offers."""

    context_size: int
    averages_memory: bool
    """Whether a context ends with a weighted mean of the memory's own vectors."""
    reads_source: bool
    """Whether it looks for anything in the memory."""

    def prepare(self, memory: Tensor, mask: Tensor) -> State:
        """What depends on the source alone: (B, S, M), (B, S) -> a state of B rows."""

    def start(self, prepared: State) -> State:
        """The variant's own state at the first step, B rows; () for a read-only memory."""

    def __call__(
        self, query: Tensor, prepared: State, state: State
    ) -> tuple[Tensor, Tensor, State]:
        """(R, Q) -> context (R, C), weights (R, S) and the next state; R = B * K."""


class Past(Protocol):
    """What every entry of PASTS offers: a decoder's view of its own past states."""

    def start(self, output: Tensor) -> State:
        """What is known at first, with the start s_0 (B, H): a state of B rows."""

    def __call__(self, output: Tensor, state: State) -> tuple[Tensor, State]:
        """s_i (R, H) and what is known of the past -> o_i (R, H) and what is known then."""
