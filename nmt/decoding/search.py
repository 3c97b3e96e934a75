"""Beam search over any step function: it knows no model.

All sentences of a batch and all hypotheses of a sentence advance together, as tensors; finished
sentences leave the batch. With a beam of 1 this is greedy search.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from nmt.state import State, select
from nmt.vocab import BOS, EOS, RESERVED

Step = Callable[[Tensor, State, State], tuple[Tensor, State]]
"""(R,) previous tokens, source of B rows, state of R rows -> logits (R, V), next state."""

FIRST_WORD = len(RESERVED)
"""Of the ids below this one, only EOS is ever emitted."""

NEVER = float("-inf")


@dataclass(frozen=True)
class Hypothesis:
    """A translation found by the search.

    Args:
        tokens: ids, without BOS and EOS.
        log_probability: natural logarithm; includes EOS if finished.
        score: log_probability / length ** length_penalty, where the length counts EOS.
        finished: False if it was cut at the length limit, before EOS.
    """

    tokens: list[int]
    log_probability: float
    score: float
    finished: bool


@dataclass(frozen=True)
class _Beam:
    """The hypotheses of all sentences of the batch.

    `tokens` (B, K, L) holds BOS, the words and padding; `totals` (B, K) log-probabilities, with
    -inf in empty slots; `lengths` (B, K) counts words, and EOS in finished hypotheses.
    """

    tokens: Tensor
    totals: Tensor
    lengths: Tensor

    @classmethod
    def start(cls, batch_size: int, width: int, total: float, device: torch.device) -> "_Beam":
        shape = (batch_size, width)
        return cls(
            torch.full((*shape, 1), BOS, device=device),
            # In single precision, sums over long sentences would lose the fourth decimal.
            torch.full(shape, total, dtype=torch.float64, device=device),
            torch.ones(shape, dtype=torch.long, device=device),
        )

    def scores(self, length_penalty: float) -> Tensor:
        return self.totals / self.lengths**length_penalty

    def keep(self, sentences: Tensor) -> "_Beam":
        """Selects sentences, by a mask (B,) or by indices."""
        return _Beam(self.tokens[sentences], self.totals[sentences], self.lengths[sentences])

    def pick(self, places: Tensor) -> "_Beam":
        """Selects hypotheses within each sentence, by indices (B, N)."""
        words = places[:, :, None].expand(-1, -1, self.tokens.shape[2])
        return _Beam(
            self.tokens.gather(1, words),
            self.totals.gather(1, places),
            self.lengths.gather(1, places),
        )


@dataclass(frozen=True)
class _Candidates:
    """Extensions of live hypotheses, best first: each (B, up to 2K)."""

    totals: Tensor
    origins: Tensor
    tokens: Tensor


@torch.inference_mode()
def beam_search(
    step: Step,
    source: State,
    state: State,
    max_lengths: Tensor,
    *,
    beam_size: int,
    length_penalty: float,
    n_best: int,
) -> list[list[Hypothesis]]:
    """The best hypotheses of each sentence, best first.

    A hypothesis ends when its extension by EOS ranks among the best K extensions of its sentence.
    A sentence is done at its length limit, or when K hypotheses have ended and no live one, at its
    present length, scores above the worst of them (with a length penalty of 0, nothing better can
    follow). PAD, BOS and UNK are never emitted, but probabilities are normalised over the whole
    vocabulary, so that a hypothesis has the same score as under forced decoding.

    Args:
        step: one decoder step. Hypothesis k of sentence b is row b * K + k; K is 1 at first.
        source: B rows; passed to `step` without repeating rows.
        state: the decoder's initial state, B rows.
        max_lengths: (B,) maximum number of tokens of a hypothesis, EOS included; at least 1.
        beam_size: K.
        length_penalty: exponent of the length in the score.
        n_best: number of hypotheses to return, at most K.

    Returns:
        For each sentence, `n_best` distinct hypotheses, or fewer if fewer exist. Finished ones come
        first; hypotheses cut at the length limit only fill the remaining places.
    """
    batch_size, device = len(max_lengths), max_lengths.device
    found: list[list[Hypothesis]] = [[] for _ in range(batch_size)]
    sentences = torch.arange(batch_size, device=device)
    done = torch.zeros_like(sentences, dtype=torch.bool)
    live = _Beam.start(batch_size, 1, 0.0, device)
    ended = _Beam.start(batch_size, beam_size, NEVER, device)
    while len(sentences):
        logits, state = step(live.tokens[:, :, -1].flatten(), source, state)
        candidates = _extend(live, logits, beam_size)
        ended = _end(ended, live, candidates, length_penalty)
        width = live.totals.shape[1]
        live, origins = _go_on(live, candidates, beam_size)
        best, worst = live.scores(length_penalty)[:, 0], ended.scores(length_penalty)[:, -1]
        stay = torch.arange(len(done), device=device)
        now = ((live.lengths[:, 0] >= max_lengths) | (worst >= best)) & ~done
        if now.any():
            finished = _read(ended.keep(now), length_penalty, finished=True)
            cut = _read(live.keep(now), length_penalty, finished=False)
            for sentence, first, rest in zip(sentences[now].tolist(), finished, cut, strict=True):
                found[sentence] = (first + rest)[:n_best]
            done |= now
            stay = _staying(done)
        if len(stay) < len(done):
            source = select(source, stay)
            sentences, max_lengths, done = sentences[stay], max_lengths[stay], done[stay]
            live, ended = live.keep(stay), ended.keep(stay)
        state = _follow(state, origins, width, stay)
    return found


def _extend(live: _Beam, logits: Tensor, beam_size: int) -> _Candidates:
    """The best 2K extensions: at most K of them are EOS, so at least K are words."""
    batch_size = len(live.totals)
    # Faster than logsumexp, whose exponential takes twenty times as long for logits of -inf.
    log_probs = logits.log_softmax(1, dtype=torch.float32)
    end = log_probs[:, EOS, None].clone()
    log_probs[:, :FIRST_WORD] = NEVER
    words, ids = _top(log_probs, min(beam_size, log_probs.shape[1] - FIRST_WORD))
    log_probs = torch.cat([end, words], dim=1).double()
    tokens = functional.pad(ids, (1, 0), value=EOS).view(batch_size, -1)
    totals = (live.totals.view(-1, 1) + log_probs).view(batch_size, -1)
    best = totals.topk(min(2 * beam_size, totals.shape[1]))
    return _Candidates(
        best.values, best.indices // log_probs.shape[1], tokens.gather(1, best.indices)
    )


GROUP = 32
"""Size of the groups in which `_top` looks for the best numbers of a row."""


def _top(log_probs: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """`log_probs.topk(count)`, several times faster on wide rows.

    The largest `count` numbers lie in the `count` groups with the largest maxima, so torch's topk
    only has to see the maxima and the members of those groups.
    """
    rows, width = log_probs.shape
    groups = width // GROUP
    if groups <= 2 * count:
        return log_probs.topk(count)
    even = groups * GROUP
    # Group g has the indices g, g + groups, g + 2 groups, ...: the maximum runs over whole rows.
    maxima = log_probs[:, :even].view(rows, GROUP, groups).amax(dim=1)
    chosen = maxima.topk(count).indices.unsqueeze(2)  # (R, N, 1)
    members = chosen + groups * torch.arange(GROUP, device=log_probs.device)
    rest = torch.arange(even, width, device=log_probs.device).expand(rows, -1)
    places = torch.cat([members.flatten(1), rest], dim=1)
    best = log_probs.gather(1, places).topk(count)
    return best.values, places.gather(1, best.indices)


def _end(ended: _Beam, live: _Beam, candidates: _Candidates, length_penalty: float) -> _Beam:
    """The best K of the hypotheses that had ended and those that end now."""
    beam_size = ended.totals.shape[1]
    ends = candidates.tokens[:, :beam_size] == EOS
    if not ends.any():
        return ended
    now = live.pick(candidates.origins[:, :beam_size])
    missing = now.tokens.shape[2] - ended.tokens.shape[2]
    both = _Beam(
        torch.cat([functional.pad(ended.tokens, (0, missing)), now.tokens], dim=1),
        torch.cat(
            [ended.totals, candidates.totals[:, :beam_size].masked_fill(~ends, NEVER)], dim=1
        ),
        torch.cat([ended.lengths, torch.full_like(now.lengths, now.tokens.shape[2])], dim=1),
    )
    return both.pick(both.scores(length_penalty).topk(beam_size).indices)


def _go_on(live: _Beam, candidates: _Candidates, beam_size: int) -> tuple[_Beam, Tensor]:
    """The best K hypotheses that do not end, one word longer, and the origin of each (B, K)."""
    ends = candidates.tokens == EOS
    # A tiny vocabulary may offer fewer than K words: a dead hypothesis then fills the slot.
    places = ends.byte().argsort(dim=1, stable=True)[:, :beam_size]
    totals = candidates.totals.masked_fill(ends, NEVER).gather(1, places)
    origins = candidates.origins.gather(1, places)
    words = candidates.tokens.gather(1, places)
    before = live.pick(origins).tokens
    tokens = torch.cat([before, words[:, :, None]], dim=2)
    return _Beam(tokens, totals, torch.full_like(words, before.shape[2])), origins


def _staying(done: Tensor) -> Tensor:
    """The indices of the sentences to continue: those not done, and some done ones as filling.

    Filling rounds the batch size up to four significant bits. The library prepares each product
    anew for each number of rows and caches the last thousand: a new size at every step would fill
    that cache with 300 to 600 MB and cost small models a quarter of their speed. Less than an
    eighth of the rows are filling.
    """
    left = len(done) - int(done.sum())
    grain = 1 << max(0, left.bit_length() - 4)
    size = min(len(done), -(-left // grain) * grain)
    return done.byte().argsort(stable=True)[:size].sort().values


def _follow(state: State, origins: Tensor, width: int, stay: Tensor) -> State:
    """The state rows that the new hypotheses extend, for the sentences in `stay`."""
    batch_size = len(origins)
    starts = torch.arange(batch_size, device=origins.device) * width
    rows = (starts[:, None] + origins)[stay].flatten()
    unmoved = torch.arange(batch_size * width, device=origins.device)
    return state if torch.equal(rows, unmoved) else select(state, rows)


def _read(beam: _Beam, length_penalty: float, finished: bool) -> list[list[Hypothesis]]:
    fields = (beam.tokens, beam.totals, beam.scores(length_penalty), beam.lengths)
    return [
        [
            Hypothesis(tokens[1 : length + (not finished)], total, score, finished)
            for tokens, total, score, length in zip(*sentence, strict=True)
            if total > NEVER
        ]
        for sentence in zip(*(field.tolist() for field in fields), strict=True)
    ]
