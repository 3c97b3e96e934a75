"""Minimum risk training: fine-tuning on the quality of translations (Shen et al. 2016).

R = sum_y Q(y) (1 - reward(y)), Q(y) = P(y)^a / sum_y' P(y')^a, over some of the model's own
translations and the reference (eq. 10 to 12). Sampler and reward are passed in, so that training
does not depend on decoding.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from nmt.batch import Batch
from nmt.model.dropout import without_dropout
from nmt.model.forced import log_probabilities
from nmt.training.objectives import MinimumRisk

if TYPE_CHECKING:
    from nmt.model.seq2seq import Seq2Seq

Ids = list[int]


@dataclass(frozen=True)
class Risk:
    """Sampler and reward, provided by the caller.

    Args:
        sample: (model, batch, count) -> `count` translations of each source, as bare ids.
        reward: (translations of a sentence, its reference) -> the reward of each, 0 to 1.
    """

    sample: Callable[["Seq2Seq", Batch, int], list[list[Ids]]]
    reward: Callable[[Sequence[Ids], Ids], list[float]]


def expected_risk(
    model: "Seq2Seq", batch: Batch, risk: Risk, settings: MinimumRisk
) -> tuple[Tensor, int]:
    """The risk, summed over the sentences of a batch, and the number of sentences.

    Args:
        model: in training mode; translations are sampled without dropout.
        batch: sentence pairs; a pair without target tokens does not count.
        risk: sampler and reward.
        settings: samples for each sentence (equal ones count once), and a. Samples are cut at twice
            the length of the batch's longest reference.
    """
    with without_dropout(model):
        drawn = risk.sample(model, batch, settings.samples)
    longest = batch.longest().labels.shape[1] - 1  # without EOS: what the memory plan assumes
    groups, costs = [], []
    references = _words(batch.target[:, 1:], batch.target_lengths)
    for reference, own in zip(references, drawn, strict=True):
        cut = [ids[:longest] for ids in own]
        group = [list(ids) for ids in dict.fromkeys(map(tuple, [reference, *cut]))]
        groups.append(group)
        costs.append([1.0 - reward for reward in risk.reward(group, reference)])
    sizes = [len(group) for group in groups]
    sources = _words(batch.source, batch.source_lengths)
    repeated = [source for source, size in zip(sources, sizes, strict=True) for _ in range(size)]
    candidates = Batch.of(repeated, list(chain.from_iterable(groups))).to(batch.source.device)
    shares = torch.split(settings.sharpness * log_probabilities(model, candidates), sizes)
    losses = [
        # No matrix product: in mixed precision it would round the costs, which differ little.
        (torch.softmax(share, dim=0) * share.new_tensor(cost)).sum()
        for share, cost in zip(shares, costs, strict=True)
    ]
    real = batch.target_lengths > 0
    return torch.stack(losses)[real].sum().float(), int(real.sum())


def _words(ids: Tensor, lengths: Tensor) -> list[Ids]:
    """Rows (B, L) without padding and without EOS, the last of a row's tokens."""
    rows = zip(ids.tolist(), lengths.tolist(), strict=True)
    return [row[: max(0, length - 1)] for row, length in rows]
