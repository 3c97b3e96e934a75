"""The model as search sees it: encode once, then step, with the output layer cut to a shortlist."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from nmt.batch import Batch
from nmt.config import Decoding
from nmt.decoding.sampling import sample
from nmt.decoding.search import NEVER, Hypothesis, Step, beam_search
from nmt.decoding.shortlist import Shortlist
from nmt.model.decoder import Output
from nmt.model.packed import Int8Linear, PackedLinear
from nmt.model.seq2seq import Ensemble, Seq2Seq
from nmt.state import State


class Engine:
    """Searches for translations, from ids to ids.

    Args:
        model: in evaluation mode; with a shortlist, a single packed model.
        shortlist: the target tokens that each sentence may use; None allows all of them.
    """

    def __init__(self, model: Seq2Seq | Ensemble, shortlist: Shortlist | None = None) -> None:
        self.model = model
        self.shortlist = shortlist

    @torch.inference_mode()
    def search(
        self, batch: Batch, decoding: Decoding, count: int | None = None
    ) -> list[list[Hypothesis]]:
        """The best `count` hypotheses (default: all K) of each source sentence, best first."""
        source = self.model.encode(batch.source, batch.source_lengths)
        if decoding.beam_size > 1:
            source = self.model.project_memory(source)
        start = self.model.start(source)
        step, ids = self._step(), None
        if self.shortlist is not None:
            candidates = self.shortlist.candidates(batch.source)
            step, ids = self._short_step(candidates.ids), candidates.ids
            source = (source, candidates.allowed)
        found = beam_search(
            step,
            source,
            start,
            _limits(batch, decoding),
            beam_size=decoding.beam_size,
            length_penalty=decoding.length_penalty,
            n_best=count or decoding.beam_size,
        )
        return found if ids is None else _renamed(found, ids.tolist())

    @torch.no_grad()
    def sample(
        self, batch: Batch, decoding: Decoding, count: int, temperature: float = 1.0
    ) -> list[list[list[int]]]:
        """`count` sentences for each source of a batch, sampled from the model's distribution."""
        source = self.model.encode(batch.source, batch.source_lengths)
        start, limits = self.model.start(source), _limits(batch, decoding)
        return sample(self._step(), source, start, limits, count=count, temperature=temperature)

    def _step(self) -> Step:
        def step(tokens: Tensor, source: State, state: State) -> tuple[Tensor, State]:
            features, state, _ = self.model.step(tokens, source, state)
            return self.model.output(features), state

        return step

    def _short_step(self, ids: Tensor) -> Step:
        """A step in which tokens are indices into `ids` (C,); a reserved id is its own index."""
        output = self.model.output
        assert isinstance(output, Output)
        projection: nn.Module = output.projection
        assert isinstance(projection, PackedLinear | Int8Linear)
        projection = projection.rows(ids)

        def step(places: Tensor, source: State, state: State) -> tuple[Tensor, State]:
            source, allowed = source
            assert isinstance(allowed, Tensor)
            features, state, _ = self.model.step(ids[places], source, state)
            logits = projection(output.readout(features))
            table = logits.view(*allowed.shape[:1], -1, len(ids))  # (B, K, C)
            table.masked_fill_(~allowed.unsqueeze(1), NEVER)
            return logits, state

        return step


def _limits(batch: Batch, decoding: Decoding) -> Tensor:
    """The length limit of each sentence's translation, in tokens: (B,)."""
    lengths = batch.source_lengths * decoding.max_length_ratio + decoding.max_length_extra
    return lengths.long()


def _renamed(found: list[list[Hypothesis]], ids: list[int]) -> list[list[Hypothesis]]:
    return [
        [replace(one, tokens=[ids[place] for place in one.tokens]) for one in some]
        for some in found
    ]
