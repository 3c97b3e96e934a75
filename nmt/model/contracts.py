"""The contracts between the parts of a model: interfaces, and the data that passes between them.

A new variant implements one of them in its family's file and is listed in the table there: CELLS in
`cells`, ENCODERS and ORDERS (what a Transformer's encoder stands on) in `encoders`, SINGLE in
`attention`, READERS (which hold those of SINGLE too) and ATTENTIONS (READERS too) in `memory`,
PASTS in `multihead`. Initial weights go by names: those called `recurrent` are square blocks, one a
gate.
"""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from nmt.state import State


@dataclass(frozen=True)
class Encoded:
    """A source sentence as the decoder sees it.

    Args:
        memory: (B, S, M) one vector per token.
        mask: (B, S) True at real tokens.
        summary: (B, M) one vector for the whole sentence.
    """

    memory: Tensor
    mask: Tensor
    summary: Tensor


class Cell(Protocol):
    """The interface of the entries of CELLS."""

    gates_size: int
    hidden_size: int
    fusible: bool
    """Whether the fused whole-sequence path supports this cell's options."""

    def start(self, output: Tensor) -> State:
        """The state whose last output is `output` (B, H), with any other memory empty."""

    def project(self, inputs: Tensor) -> Tensor:
        """The part of the gates that does not depend on the past: (..., E) -> (..., G)."""

    def step(self, projected: Tensor, state: State) -> tuple[Tensor, State]:
        """One step: (B, G) and a state -> the output (B, H) and the next state."""

    def __call__(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """`project` and `step` in one: (B, E) and a state -> (B, H) and the next state."""


class Encoder(Protocol):
    """The interface of the entries of ENCODERS."""

    memory_size: int
    words_size: int
    """How many of the memory's last features are the word's embedding; 0 if none are."""
    reads_source: bool
    """Whether there is a source at all; without one the decoder is a language model."""

    def __call__(self, embedded: Tensor, lengths: Tensor) -> Encoded:
        """(B, S, E), (B,) -> the memory (B, S, M), its mask and its summary."""


class Attention(Protocol):
    """The interface of the entries of ATTENTIONS."""

    context_size: int
    averages_memory: bool
    """Whether the context ends with a weighted mean of the memory vectors themselves."""
    reads_source: bool
    """Whether it attends to the source at all."""

    def prepare(self, memory: Tensor, mask: Tensor) -> State:
        """What depends on the source alone: (B, S, M), (B, S) -> a state of B rows."""

    def start(self, prepared: State) -> State:
        """The variant's own state at the first step, B rows; () for a read-only memory."""

    def __call__(
        self, query: Tensor, prepared: State, state: State
    ) -> tuple[Tensor, Tensor, State]:
        """(R, Q) -> context (R, C), weights (R, S) and the next state; R = B * K."""


class Past(Protocol):
    """The interface of the entries of PASTS: a decoder's view of its own past states."""

    def start(self, output: Tensor) -> State:
        """The view before the first step, which holds s_0 (B, H): a state of B rows."""

    def __call__(self, output: Tensor, state: State) -> tuple[Tensor, State]:
        """s_i (R, H) and the view of the past -> o_i (R, H) and the next view."""
