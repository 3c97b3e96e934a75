"""The attentional decoder and the output layer."""

from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from nmt import options
from nmt.model.activations import tanh
from nmt.model.attention import AdditiveAttention, WeightedMean
from nmt.model.cells import LSTM, build_cell
from nmt.model.contracts import Attention, Cell, Encoded, Past
from nmt.model.dropout import Dropout
from nmt.model.fused_lstm import attentional_lstm
from nmt.model.memory import ATTENTIONS
from nmt.model.multihead import PASTS, NoPast
from nmt.model.packed import rounds_inputs
from nmt.model.stacks import Stack, expect_layers
from nmt.schema import Depth, Fraction, Part, PositiveInt, Settings
from nmt.state import State


class Decoder(nn.Module):
    """A recurrent decoder that attends to the source at each step; s_0 = tanh(W summary + b).

    After the cell, which is fed the previous context (input feeding; Luong et al. 2015):
    s_i = cell([y_(i-1), c_(i-1)], s_(i-1)); c_i = attention(s_i); c_0 = attention(s_0).
    Before the cell (Bahdanau et al. 2015), so that the query does not yet know the word y_(i-1):
    c_i = attention(s_(i-1)); s_i = cell([y_(i-1), c_i], s_(i-1)).
    Both give features_i = [s_i, c_i, y_(i-1)]. With attention to its own past, the decoder uses
    o_i in place of s_i in the features and as the query.

    Args:
        cell: the recurrent cell.
        attention: how the source is read.
        attend: attend to the source after or before the cell's step.
        self_attention: whether and how the decoder attends to its own past states.
        hidden_size: the size H of the state.
        layers: number of layers; the top one gives the query, the lowest is fed the context.
        transitions: cells within each time step of a layer; with several layers, BiDeep (Miceli
            Barone et al. 2017).
        residual: add each layer's input to its output, except in the first (He et al. 2016).
        layer_norm: normalise each layer's output (Ba et al. 2016).
        dropout: fraction of values dropped between layers.
    """

    def __init__(
        self,
        embedding_size: int,
        memory_size: int,
        /,
        *,
        cell: Annotated[Settings | str, Part("nmt.model.cells:CELLS")] = "lstm",
        attention: Annotated[Settings | str, Part("nmt.model.memory:ATTENTIONS")] = "additive",
        attend: Literal["after", "before"] = "after",
        self_attention: Annotated[Settings | str, Part("nmt.model.multihead:PASTS")] = "none",
        hidden_size: PositiveInt = 512,
        layers: Depth = 1,
        transitions: Depth = 1,
        residual: bool = False,
        layer_norm: bool = False,
        dropout: Fraction = 0.0,
    ) -> None:
        super().__init__()
        self.attends_after = attend == "after"
        self.attention: Attention = options.build(
            ATTENTIONS, attention, memory_size, hidden_size, where="attention"
        )
        self.past: Past = options.build(PASTS, self_attention, hidden_size, where="self_attention")
        expect_layers(layers, residual=residual, dropout=dropout)
        inputs = [embedding_size, *[hidden_size] * (layers - 1)]
        cells = [build_cell(cell, (size, hidden_size), transitions) for size in inputs]
        plain = layers == 1 and not layer_norm
        self.cell: Cell = (
            cells[0]
            if plain
            else Stack(cells, residual=residual, layer_norm=layer_norm, dropout=dropout)
        )
        self.context_size = self.attention.context_size
        self.context = nn.Linear(self.context_size, self.cell.gates_size, bias=False)
        self.bridge = nn.Linear(memory_size, hidden_size)
        self.sizes = (hidden_size, self.context_size, embedding_size)  # of s, c, y
        self.features_size = sum(self.sizes)
        nn.init.zeros_(self.bridge.bias)

    def prepare(self, encoded: Encoded) -> State:
        """Everything that the decoder needs from the source, as a state of B rows."""
        start = torch.tanh(self.bridge(encoded.summary))
        return self.attention.prepare(encoded.memory, encoded.mask), start

    def project_memory(self, source: State) -> State:
        """The same source with W_c m_j beside each vector m_j of the memory, where that is exact.

        Since W_c c = sum_j a_j W_c m_j for a weighted mean c, a step then needs no product with
        W_c, which pays with several hypotheses for each sentence.
        """
        prepared, start = source
        if not isinstance(self.attention, WeightedMean) or rounds_inputs(self.context):
            return source
        return self.attention.with_projection(prepared, self.context), start

    def start(self, source: State) -> State:
        """The state before the first word: (carried, cell state, attention state, past).

        The next step begins with `carried`: W_c c of the last context if attention comes after the
        cell, the last output if it comes before.
        """
        prepared, output = source
        assert isinstance(output, Tensor)
        cell_state, attention_state = self.cell.start(output), self.attention.start(prepared)
        past = self.past.start(output)
        if not self.attends_after:
            return output, cell_state, attention_state, past
        # Reading counts from the first word on: c_0 does not change the attention state.
        context, _, _ = self.attention(output, prepared, attention_state)
        return self._fed(context), cell_state, attention_state, past

    def step(
        self, embedded: Tensor, source: State, state: State, projected: Tensor | None = None
    ) -> tuple[Tensor, State, Tensor]:
        """Advances by one word.

        Args:
            embedded: (R, E) the previous word; R = B * K, the K rows of a sentence adjacent.
            source: from `prepare`, B rows.
            state: R rows.
            projected: (R, G) the word as the cell projects it, if it is known.

        Returns:
            Features (R, F), the next state, and the attention weights (R, S).
        """
        if projected is None:
            projected = self.cell.project(embedded)
        carried, cell_state, attention_state, past = state
        assert isinstance(carried, Tensor)
        prepared = source[0]
        if self.attends_after:
            output, cell_state = self.cell.step(carried + projected, cell_state)
            output, past = self.past(output, past)
            context, weights, attention_state = self.attention(output, prepared, attention_state)
            carried = self._fed(context)
        else:
            context, weights, attention_state = self.attention(carried, prepared, attention_state)
            output, cell_state = self.cell.step(self._fed(context) + projected, cell_state)
            output, past = self.past(output, past)
            carried = output
        features = torch.cat([output, context[:, : self.context_size], embedded], dim=1)
        return features, (carried, cell_state, attention_state, past), weights

    def _fed(self, context: Tensor) -> Tensor:
        """W_c c for a context c (R, C), which [c, W_c c] already holds if it was read ahead."""
        size = self.context_size
        found: Tensor = context[:, size:] if context.shape[1] > size else self.context(context)
        return found

    def fused(self) -> bool:
        """Whether `forward` has a whole-sequence path for this cell and attention."""
        return self._fusible() is not None

    def _fusible(self) -> tuple[LSTM, AdditiveAttention, nn.Linear] | None:
        if (
            isinstance(self.cell, LSTM)
            and self.cell.fusible
            and isinstance(self.attention, AdditiveAttention)
            and isinstance(self.past, NoPast)
            and isinstance(self.context, nn.Linear)  # not packed for inference
        ):
            return self.cell, self.attention, self.context
        return None

    def forward(self, embedded: Tensor, source: State) -> tuple[Tensor, Tensor]:
        """Teacher forcing: (B, T, E) -> features (B, T, F), attention weights (B, T, S)."""
        if (parts := self._fusible()) is None:
            return self.forward_stepped(embedded, source)
        outputs, contexts, weights = attentional_lstm(
            *parts, embedded, source, after=self.attends_after
        )
        return torch.cat([outputs, contexts, embedded], dim=2), weights

    def forward_stepped(self, embedded: Tensor, source: State) -> tuple[Tensor, Tensor]:
        """`forward` step by step, for every variant."""
        projected = self.cell.project(embedded)
        state = self.start(source)
        features, weights = [], []
        # Not by index, as the gradient of each slice would be as large as the whole.
        for words, inputs in zip(embedded.unbind(dim=1), projected.unbind(dim=1), strict=True):
            feature, state, weight = self.step(words, source, state, inputs)
            features.append(feature)
            weights.append(weight)
        return torch.stack(features, dim=1), torch.stack(weights, dim=1)


class Output(nn.Module):
    """Deep output (Pascanu et al. 2014) and the projection to the vocabulary.

    r = tanh(W [s, c, y] + b); logits = O r + d. With a shortcut, r = tanh(W [s, c, y] + b) + V c',
    so that a word found by attention reaches the output without passing the tanh (after the
    lexical model of Nguyen and Chiang 2018). O may be the target embedding (Press and Wolf 2017).

    Args:
        sizes: the sizes of s, c and y.
        shortcut: the size of c', the last numbers of c; 0 leaves it out.
    """

    def __init__(
        self,
        sizes: tuple[int, int, int],
        readout_size: int,
        vocabulary_size: int,
        *,
        shortcut: int,
        dropout: float,
    ) -> None:
        super().__init__()
        end = sizes[0] + sizes[1]
        self.attended = slice(end - shortcut, end)  # c' among the features
        self.hidden = nn.Linear(sum(sizes), readout_size)
        self.straight = nn.Linear(shortcut, readout_size, bias=False) if shortcut else None
        self.dropout = Dropout(dropout)
        self.projection = nn.Linear(readout_size, vocabulary_size)
        nn.init.zeros_(self.hidden.bias)
        nn.init.zeros_(self.projection.bias)

    def readout(self, features: Tensor) -> Tensor:
        """(..., F) -> (..., readout), the input of `projection`."""
        hidden = tanh(self.hidden(features))
        if self.straight is not None:
            hidden = hidden + self.straight(features[..., self.attended])
        dropped: Tensor = self.dropout(hidden)
        return dropped

    def forward(self, features: Tensor) -> Tensor:
        """(..., F) -> logits (..., V)."""
        logits: Tensor = self.projection(self.readout(features))
        return logits
