"""Learns which target words each source word may lead to, from attention over training data."""

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray

from nmt.batch import Batch
from nmt.decoding import scoring
from nmt.decoding.shortlist import Shortlist
from nmt.model.seq2seq import Seq2Seq
from nmt.vocab import EOS, PAD

FREQUENT = 200
"""Number of most frequent target words, which every sentence may use."""

SHARE = 0.2
"""Attention that links a target word to a source word; the most attended one always counts."""

Counts = NDArray[np.int64]


def learn_shortlist(model: Seq2Seq, batches: Iterable[Batch], size: int) -> Shortlist:
    """The target words most often linked to each source word, and the most frequent overall.

    Args:
        model: in evaluation mode.
        batches: the training data.
        size: maximum number of target words for each source word.
    """
    sources = model.source_embedding.num_embeddings
    targets = model.target_embedding.num_embeddings
    links, counts = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    frequency = np.zeros(targets, dtype=np.int64)
    for batch in batches:
        frequency += np.bincount(batch.labels[batch.target_mask].numpy(), minlength=targets)
        new, times = np.unique(_links(model, batch, targets), return_counts=True)
        links, places = np.unique(np.concatenate([links, new]), return_inverse=True)
        weights = np.concatenate([counts, times])
        counts = np.bincount(places, weights, len(links)).astype(np.int64)
    frequent = np.argsort(-frequency, kind="stable")[:FREQUENT].astype(np.int32)
    lists = _best(links // targets, links % targets, counts, (sources, size))
    return Shortlist(torch.from_numpy(lists), torch.from_numpy(frequent), targets)


def _links(model: Seq2Seq, batch: Batch, targets: int) -> Counts:
    """Each link of a batch, encoded as source id * target vocabulary size + target id."""
    weights = scoring.align(model, batch)  # (B, T, S)
    weights = weights.masked_fill((batch.source == PAD).unsqueeze(1), -1.0)
    linked = weights >= SHARE
    linked.scatter_(2, weights.argmax(dim=2, keepdim=True), True)
    sentence, target, source = (linked & batch.target_mask.unsqueeze(2)).nonzero(as_tuple=True)
    links = batch.source[sentence, source] * targets + batch.labels[sentence, target]
    found: Counts = links.numpy()
    return found


def _best(
    sources: Counts,
    targets: Counts,
    counts: Counts,
    shape: tuple[int, int],
) -> NDArray[np.int32]:
    """The most frequent targets of each source, as a table of this shape or narrower."""
    order = np.lexsort((targets, -counts, sources))
    sources, targets = sources[order], targets[order]
    first = np.searchsorted(sources, sources)
    rank = np.arange(len(sources)) - first
    kept = rank < shape[1]
    width = min(shape[1], rank.max(initial=0) + 1)
    lists = np.full((shape[0], width), EOS, dtype=np.int32)
    lists[sources[kept], rank[kept]] = targets[kept]
    return lists
