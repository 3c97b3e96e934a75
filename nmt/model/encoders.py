"""Encoders: an embedded source sentence becomes a memory and a summary."""

from collections.abc import Callable
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from nmt import options
from nmt.model.cells import GRU, build_cell
from nmt.model.contracts import Cell, Encoded, Encoder
from nmt.model.dropout import VariationalDropout
from nmt.model.fused_gru import gru
from nmt.model.multihead import SelfAttentionLayer
from nmt.model.stacks import expect_layers, layer_norms
from nmt.schema import Count, Depth, Fraction, Part, PositiveInt, Settings


class RecurrentEncoder(nn.Module):
    """A stack of recurrent layers, each reading left to right and, if bidirectional, right to left.

    The states of both directions are concatenated (Schuster and Paliwal 1997; Bahdanau et al.
    2015). With the shortcut, each word's embedding is appended to its states, h_j = [->h_j, <-h_j,
    x_j], so that the context also holds the embeddings of the words attended to (source-side
    bridging; Kuang et al. 2018). The summary is the mean of the memory over real tokens.

    Args:
        cell: the recurrent cell.
        hidden_size: the size of the state in each direction.
        layers: number of layers.
        transitions: cells within each time step of a layer; with several layers, BiDeep (Miceli
            Barone et al. 2017).
        residual: add each layer's input to its output, except in the first (He et al. 2016).
        layer_norm: normalise each layer's output (Ba et al. 2016).
        bidirectional: read in both directions.
        shortcut: append each word's embedding to its states in the memory.
        dropout: fraction of values dropped between layers and from the last layer's output, with
            one mask for all time steps.
    """

    reads_source = True

    def __init__(
        self,
        embedding_size: int,
        /,
        *,
        cell: Annotated[Settings | str, Part("nmt.model.cells:CELLS")] = "gru",
        hidden_size: PositiveInt = 256,
        layers: Depth = 1,
        transitions: Depth = 1,
        residual: bool = False,
        layer_norm: bool = False,
        bidirectional: bool = True,
        shortcut: bool = True,
        dropout: Fraction = 0.2,
    ) -> None:
        super().__init__()
        expect_layers(layers, residual=residual)
        directions = 2 if bidirectional else 1
        states_size = directions * hidden_size
        self.hidden_size = hidden_size
        self.shortcut = shortcut
        self.words_size = embedding_size if shortcut else 0
        self.memory_size = states_size + self.words_size
        sizes = [embedding_size] + [states_size] * (layers - 1)
        self.layers = nn.ModuleList(
            nn.ModuleList(
                build_cell(cell, (size, hidden_size), transitions) for _ in range(directions)
            )
            for size in sizes
        )
        self.norms = nn.ModuleList(layer_norms(layer_norm, states_size, layers))
        self.residual = residual
        self.dropout = VariationalDropout(dropout)

    def forward(self, embedded: Tensor, lengths: Tensor) -> Encoded:
        """(B, S, E), (B,) -> the memory, its mask and its summary."""
        positions, mask = _positions(embedded, lengths)
        # Each sentence is reversed within its length, so padding is on the right in both
        # directions: no real token's state depends on it and no step needs a mask.
        mirror = torch.where(mask, lengths.unsqueeze(1) - 1 - positions, positions)
        states = embedded
        for depth, (cells, norm) in enumerate(zip(self.layers, self.norms, strict=True)):
            assert isinstance(cells, nn.ModuleList)
            inputs = self.dropout(states) if depth else states
            outputs = _bidirectional(list(cells), inputs, mirror)
            states = norm(outputs + states if self.residual and depth else outputs)
        return _encoded(self.dropout(states), embedded if self.shortcut else None, mask)


class Sinusoids(nn.Module):
    """Embeddings plus sinusoidal positions (Vaswani et al. 2017, sections 3.4 and 3.5).

    h_j = x_j + p_j / sqrt(E); elements 2i and 2i + 1 of p_j are sin and cos of j / 10000^(2i / E).
    That is the paper's sum divided by sqrt(E), as words have unit length here: an embedding_scale
    beyond 1 makes them longer, and places weigh less beside them.
    """

    words_size = 0
    reads_source = True

    def __init__(self, embedding_size: int, /) -> None:
        super().__init__()
        self.memory_size = embedding_size

    def forward(self, embedded: Tensor, lengths: Tensor) -> Encoded:
        """(B, S, E), (B,) -> the memory (B, S, E), its mask and its summary."""
        size = self.memory_size
        positions, mask = _positions(embedded, lengths)
        exponents = torch.arange(0, size, 2, dtype=embedded.dtype, device=embedded.device) / size
        angles = positions.unsqueeze(1) / 10000**exponents  # (S, E / 2)
        encodings = torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)[:, :size]
        return _encoded(embedded + encodings * size**-0.5, None, mask)


class SelfAttentionEncoder(nn.Module):
    """A Transformer's encoder (Vaswani et al. 2017), alone or on top of recurrent layers.

    x_j = W h_j + b, where h_j encodes the word order; each layer is x' = x + heads(norm(x)),
    x'' = x' + W_2 relu(W_1 norm(x')) (pre-norm; Xiong et al. 2020, but for their final norm, which
    cost 2.6 BLEU above a BiGRU; LOG.md, 2026-11-28). The width of x is heads * head_size.

    Args:
        layers: number of self-attention layers.
        heads: number of heads in each layer.
        head_size: the size of each head's vectors.
        feed_forward_size: the size of the hidden layer between W_1 and W_2.
        reach: words up to this distance have a bias of their own in each head's energies, those
            farther away share it (Raffel et al. 2020); 0 leaves the biases out.
        order: what encodes the word order: sinusoids, or recurrent layers below.
        shortcut: append each word's embedding to its state in the memory.
        dropout: fraction of values dropped from the output of each sublayer.
    """

    reads_source = True

    def __init__(
        self,
        embedding_size: int,
        /,
        *,
        layers: Depth = 2,
        heads: PositiveInt = 4,
        head_size: PositiveInt = 64,
        feed_forward_size: PositiveInt = 512,
        reach: Count = 8,
        order: Annotated[Settings | str, Part("nmt.model.encoders:ORDERS")] = "sinusoids",
        shortcut: bool = True,
        dropout: Fraction = 0.2,
    ) -> None:
        super().__init__()
        width = heads * head_size
        self.shortcut = shortcut
        self.words_size = embedding_size if shortcut else 0
        self.memory_size = width + self.words_size
        self.order = options.build(ORDERS, order, embedding_size, where="order")
        self.enter = nn.Linear(self.order.memory_size, width)
        self.layers = nn.ModuleList(
            SelfAttentionLayer(width, heads, head_size, feed_forward_size, reach, dropout)
            for _ in range(layers)
        )
        nn.init.zeros_(self.enter.bias)

    def forward(self, embedded: Tensor, lengths: Tensor) -> Encoded:
        """(B, S, E), (B,) -> the memory, its mask and its summary."""
        read = self.order(embedded, lengths)
        states = self.enter(read.memory)
        for layer in self.layers:
            states = layer(states, read.mask)
        return _encoded(states, embedded if self.shortcut else None, read.mask)


class NoEncoder(nn.Module):
    """No source: the decoder is a language model, whose memory is the constant 1."""

    words_size = 0
    memory_size = 1
    reads_source = False
    one: Tensor

    def __init__(self, embedding_size: int, /) -> None:
        super().__init__()
        self.register_buffer("one", torch.ones(1, 1), persistent=False)

    def forward(self, embedded: Tensor, lengths: Tensor) -> Encoded:
        """(B, ...), (B,) -> the memory (B, 1, 1), its mask and its summary."""
        summary = self.one.expand(len(lengths), -1)
        return Encoded(summary.unsqueeze(1), summary > 0, summary)


def _positions(embedded: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Positions (S,) and the mask (B, S) of real tokens."""
    positions = torch.arange(embedded.shape[1], device=embedded.device)
    return positions, positions < lengths.unsqueeze(1)


def _encoded(readings: Tensor, words: Tensor | None, mask: Tensor) -> Encoded:
    """Readings (B, S, any size), words (B, S, E) appended if given; the summary is the mean."""
    memory = readings if words is None else torch.cat([readings, words], dim=2)
    memory = memory.masked_fill(~mask.unsqueeze(2), 0.0)
    return Encoded(memory, mask, memory.sum(dim=1) / mask.sum(dim=1, keepdim=True))


def fused(encoder: nn.Module) -> bool:
    """Whether all recurrences of an encoder have a whole-sequence path."""
    return all(_fusible(part) for part in encoder.modules() if hasattr(part, "fusible"))


def _fusible(cell: object) -> bool:
    return isinstance(cell, GRU) and cell.fusible


def _mirrored(tensor: Tensor, mirror: Tensor) -> Tensor:
    return tensor.gather(1, mirror.unsqueeze(2).expand(-1, -1, tensor.shape[2]))


def _bidirectional(cells: list[Any], inputs: Tensor, mirror: Tensor) -> Tensor:
    """One layer over (B, S, E) in one or two directions -> (B, S, D * H)."""
    readings = [inputs, _mirrored(inputs, mirror)][: len(cells)]
    if all(_fusible(cell) for cell in cells):
        outputs = gru(cells, torch.stack(readings))
    else:
        outputs = torch.stack([unroll(c, x) for c, x in zip(cells, readings, strict=True)])
    forward, *backward = outputs.unbind()
    return torch.cat([forward, *(_mirrored(output, mirror) for output in backward)], dim=2)


def unroll(cell: Cell, inputs: Tensor) -> Tensor:
    """Steps a cell over (B, S, E) from an empty state -> its outputs (B, S, H)."""
    projected = cell.project(inputs)
    state = cell.start(projected.new_zeros(len(inputs), cell.hidden_size))
    outputs = []
    for words in projected.unbind(dim=1):  # an index's gradient would be as large as the whole
        output, state = cell.step(words, state)
        outputs.append(output)
    return torch.stack(outputs, dim=1)


ORDERS: dict[str, Callable[..., Encoder]] = {
    "sinusoids": Sinusoids,
    "recurrent": RecurrentEncoder,
}

ENCODERS: dict[str, Callable[..., Encoder]] = {
    "recurrent": RecurrentEncoder,
    "self_attention": SelfAttentionEncoder,
    "none": NoEncoder,
}
