"""The whole network: embeddings, encoder, decoder and output; and ensembles of networks."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn

from nmt import options
from nmt.model.decoder import Decoder, Output
from nmt.model.dropout import VariationalDropout, WordDropout
from nmt.model.encoders import ENCODERS, fused
from nmt.model.initialization import RecurrentRule, Rule, initialize
from nmt.schema import Fraction, Part, Positive, PositiveInt, Settings
from nmt.state import State

LARGEST_TABLE = 1 << 24
"""Maximum number of elements of a table of projected words: 64 MB in fp32."""


class Embedding(nn.Embedding):
    """Word embeddings, multiplied by a constant (Vaswani et al. 2017, section 3.4)."""

    def __init__(self, vocabulary: int, size: int, scale: float) -> None:
        super().__init__(vocabulary, size)
        self.scale = scale

    def forward(self, tokens: Tensor) -> Tensor:
        """(...) -> (..., E)."""
        return super().forward(tokens) * self.scale


def _expect_ties(kind: str, embedding_size: int, readout_size: int) -> None:
    """Refuses to tie matrices of different sizes."""
    if kind != "none" and readout_size != embedding_size:
        raise ValueError(
            f"tie_embeddings: {kind} needs readout_size = embedding_size "
            f"({embedding_size}), found {readout_size}"
        )


TWO_VOCABULARIES = (
    "tie_embeddings: all needs one vocabulary for both languages, found two; set "
    "data.tokenizer.joint: true and prepare again, or tie_embeddings: target, for a new run"
)
"""Why they are refused."""


def _expect_joint(ties: str, source_vocabulary: int, target_vocabulary: int) -> None:
    """Refuses to tie the embeddings of different vocabularies."""
    if ties == "all" and source_vocabulary != target_vocabulary:
        raise ValueError(TWO_VOCABULARIES)


def _expect_no_source(attention_reads: bool, ties: str) -> None:
    """Refuses options that need a source, which a language model does not have."""
    if attention_reads:
        raise ValueError(
            "encoder: none needs decoder.attention: none, or a turing_machine with source: none"
        )
    if ties == "all":
        raise ValueError("tie_embeddings: all needs a source, found encoder: none; use target")


class Seq2Seq(nn.Module):
    """An encoder-decoder with attention; this signature is the schema of a YAML's `model:`.

    Args:
        embedding_size: the size E of the embeddings on both sides.
        embedding_scale: factor of the embeddings, which have unit length at first; with sqrt(E)
            the model learns more in the first epoch, and less in later ones.
        encoder: how the source is read.
        decoder: how the target is generated.
        readout_size: the size of the deep output layer; null is the embedding's.
        readout_shortcut: what else reaches the output layer, past its tanh: words (the part of the
            context that the encoder's shortcut filled with embeddings; all of the context if there
            is no such part); context (all of it); none.
        tie_embeddings: none; target (the output projection is the target embedding); all (the
            source embedding too: needs a joint vocabulary).
        dropout: fraction of values dropped from embeddings (one mask for all time steps) and from
            the deep output layer.
        word_dropout: fraction of words whose embedding is dropped whole, on both sides.
        initialization: the rule for all matrices but recurrent ones, embeddings and the projection
            to the vocabulary.
        recurrent_initialization: the rule for the cells' recurrent matrices, gate by gate.
    """

    def __init__(
        self,
        source_vocabulary: int,
        target_vocabulary: int,
        /,
        *,
        embedding_size: PositiveInt = 256,
        embedding_scale: Positive = 1.0,
        encoder: Annotated[Settings | str, Part("nmt.model.encoders:ENCODERS")] = "recurrent",
        decoder: Annotated[Settings | None, Part("nmt.model.decoder:Decoder")] = None,
        readout_size: PositiveInt | None = None,
        readout_shortcut: Literal["none", "words", "context"] = "words",
        tie_embeddings: Literal["none", "target", "all"] = "target",
        dropout: Fraction = 0.2,
        word_dropout: Fraction = 0.0,
        initialization: Rule = "xavier_uniform",
        recurrent_initialization: RecurrentRule = "orthogonal",
    ) -> None:
        super().__init__()
        readout_size = readout_size or embedding_size
        _expect_ties(tie_embeddings, embedding_size, readout_size)
        _expect_joint(tie_embeddings, source_vocabulary, target_vocabulary)
        built = options.build(ENCODERS, encoder, embedding_size, where="encoder")
        self.reads_source: bool = built.reads_source
        self.source_embedding: Any = None  # None in a language model; else an Embedding
        if self.reads_source:
            self.source_embedding = Embedding(source_vocabulary, embedding_size, embedding_scale)
        self.target_embedding = Embedding(target_vocabulary, embedding_size, embedding_scale)
        self.encoder = built
        self.decoder: Decoder = options.build(
            Decoder,
            decoder or {},
            embedding_size,
            self.encoder.memory_size,
            where="decoder",
        )
        attention = self.decoder.attention
        if not self.reads_source:
            _expect_no_source(attention.reads_source, tie_embeddings)
        context_size = attention.context_size
        words_size = (attention.averages_memory and self.encoder.words_size) or context_size
        shortcut = {"none": 0, "words": words_size, "context": context_size}
        self.output = Output(
            self.decoder.sizes,
            readout_size,
            target_vocabulary,
            shortcut=shortcut[readout_shortcut],
            dropout=dropout,
        )
        self.projected_words: Tensor | None = None
        self.dropout = nn.Sequential(VariationalDropout(dropout), WordDropout(word_dropout))
        initialize(self, initialization, recurrent_initialization)
        if tie_embeddings != "none":
            self.output.projection.weight = self.target_embedding.weight
        if tie_embeddings == "all":
            self.source_embedding.weight = self.target_embedding.weight

    def encode(self, source: Tensor, lengths: Tensor) -> State:
        """Reads sentences: (B, S), (B,) -> all that the decoder needs from them, B rows."""
        if self.source_embedding is not None:
            source = self.dropout(self.source_embedding(source))
        return self.decoder.prepare(self.encoder(source, lengths))

    def project_memory(self, source: State) -> State:
        """The same source with its memory projected to the cell's gates too, where that is exact.

        It pays with several hypotheses for each sentence.
        """
        return self.decoder.project_memory(source)

    def project_words(self) -> None:
        """Projects every target word to the cell's gates once, so that a step looks it up.

        For inference. A table that would be too large is not made.
        """
        words = self.target_embedding
        if words.num_embeddings * self.decoder.cell.gates_size <= LARGEST_TABLE:
            with torch.no_grad():
                self.projected_words = self.decoder.cell.project(words.weight * words.scale)

    def start(self, source: State) -> State:
        """The decoder's state before the first word, B rows."""
        return self.decoder.start(source)

    def step(self, tokens: Tensor, source: State, state: State) -> tuple[Tensor, State, Tensor]:
        """Advances by one word: (R,) previous words -> features (R, F), state, weights (R, S).

        R = B * K: row b * K + k is hypothesis k of sentence b; `source` is not repeated.
        """
        known = None if self.projected_words is None else self.projected_words[tokens]
        return self.decoder.step(self.target_embedding(tokens), source, state, known)

    def forward(self, source: Tensor, lengths: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Teacher forcing: (B, S), (B,), (B, T) -> features (B, T, F), weights (B, T, S)."""
        embedded = self.dropout(self.target_embedding(target))
        features, weights = self.decoder(embedded, self.encode(source, lengths))
        return features, weights

    def parameters_count(self) -> int:
        """Number of trainable parameters; tied ones count once."""
        return sum(parameter.numel() for parameter in self.parameters())

    def paths(self) -> str:
        """Which parts run as whole sequences and which step by step, for the start-up line."""
        encoder, decoder = fused(self.encoder), self.decoder.fused()
        if encoder and decoder:
            return "fused encoder and decoder"
        slow = [name for name, fast in (("encoder", encoder), ("decoder", decoder)) if not fast]
        return f"{' and '.join(slow)} step by step (no fused path for these options)"


class Ensemble(nn.Module):
    """Several models with the same vocabularies: p(y) is the mean of their probabilities.

    It offers the interface that search and scoring use. Its features are the models' features
    concatenated, its state and source are tuples of theirs, its attention weights their mean.

    Args:
        models: trained models of any architecture, since predictions are combined only as
            probabilities.
    """

    def __init__(self, models: Sequence[Seq2Seq]) -> None:
        super().__init__()
        self.models = nn.ModuleList(models)
        self.sizes = [model.decoder.features_size for model in models]

    @property
    def reads_source(self) -> bool:
        """Whether all of them translate; otherwise some are language models."""
        return all(model.reads_source for model in self._each())

    def _each(self) -> list[Seq2Seq]:
        return [model for model in self.models if isinstance(model, Seq2Seq)]

    def encode(self, source: Tensor, lengths: Tensor) -> State:
        """See `Seq2Seq.encode`."""
        return tuple(model.encode(source, lengths) for model in self._each())

    def project_memory(self, source: State) -> State:
        """See `Seq2Seq.project_memory`."""
        return tuple(
            model.project_memory(own) for model, own in zip(self._each(), source, strict=True)
        )

    def start(self, source: State) -> State:
        """See `Seq2Seq.start`."""
        return tuple(model.start(own) for model, own in zip(self._each(), source, strict=True))

    def step(self, tokens: Tensor, source: State, state: State) -> tuple[Tensor, State, Tensor]:
        """See `Seq2Seq.step`; F is the sum of the models'."""
        every = zip(self._each(), source, state, strict=True)
        done = [model.step(tokens, own, its) for model, own, its in every]
        features, states, weights = zip(*done, strict=True)
        return torch.cat(features, dim=1), states, torch.stack(weights).mean(dim=0)

    def forward(self, source: Tensor, lengths: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """See `Seq2Seq.forward`; F is the sum of the models'."""
        done = [model(source, lengths, target) for model in self._each()]
        features, weights = zip(*done, strict=True)
        return torch.cat(features, dim=2), torch.stack(weights).mean(dim=0)

    def output(self, features: Tensor) -> Tensor:
        """(..., F) -> log p (..., V), up to a constant."""
        parts = zip(self._each(), torch.split(features, self.sizes, dim=-1), strict=True)
        log_probs = [model.output(own).log_softmax(-1, dtype=torch.float32) for model, own in parts]
        return torch.stack(log_probs).logsumexp(dim=0)
