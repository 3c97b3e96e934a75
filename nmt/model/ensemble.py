"""Several models that translate together."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nmt.model.seq2seq import Seq2Seq
from nmt.state import State


class Ensemble(nn.Module):
    """Models with the same vocabularies as one: p(y) is the mean of their probabilities.

    It has what search and scoring ask of a model. Its features are those of all models side by
    side, its state and its source are tuples of theirs, its attention the mean of theirs.

    Args:
        models: finished models; of any architecture, for nothing of theirs is mixed before the
            probabilities.
    """

    def __init__(self, models: Sequence[Seq2Seq]) -> None:
        super().__init__()
        self.models = nn.ModuleList(models)
        self.sizes = [model.decoder.features_size for model in models]

    def _each(self) -> list[Seq2Seq]:
        return [model for model in self.models if isinstance(model, Seq2Seq)]

    def encode(self, source: Tensor, lengths: Tensor) -> State:
        """See `Seq2Seq.encode`."""
        return tuple(model.encode(source, lengths) for model in self._each())

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
        gains = [model.output(own).log_softmax(-1, dtype=torch.float32) for model, own in parts]
        return torch.stack(gains).logsumexp(dim=0)
