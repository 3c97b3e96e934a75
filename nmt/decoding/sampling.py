"""Sampling from a model's own distribution, over any step function: it knows no model."""

import torch
from torch import Tensor

from nmt.decoding.search import FIRST_WORD, NEVER, Step
from nmt.state import State, repeat
from nmt.vocab import BOS, EOS


@torch.no_grad()
def sample(
    step: Step,
    source: State,
    state: State,
    max_lengths: Tensor,
    *,
    count: int,
    temperature: float = 1.0,
) -> list[list[list[int]]]:
    """Samples sentences for each source, word by word (ancestral sampling).

    PAD, BOS and UNK are never drawn. Randomness comes from torch's default generator.

    Args:
        step: one decoder step; row b * count + k is sentence k of source b.
        source: B rows; passed to `step` as it is, never repeated.
        state: the decoder's initial state, B rows.
        max_lengths: (B,) maximum number of tokens of a sentence, EOS included.
        count: number of sentences for each source.
        temperature: words are drawn from p^(1 / temperature), renormalised; values below 1 favour
            likely words.

    Returns:
        For each source its sentences, as ids without BOS and EOS; two may be the same.
    """
    limits = max_lengths.repeat_interleave(count)
    words = [torch.full_like(limits, BOS)]
    state, ended = repeat(state, count), torch.zeros_like(limits, dtype=torch.bool)
    while not bool(ended.all()):
        logits, state = step(words[-1], source, state)
        logits = logits.float().clone()
        end = logits[:, EOS].clone()
        logits[:, :FIRST_WORD] = NEVER
        logits[:, EOS] = end
        # Of the differences to the largest: a tiny temperature must not make two infinities.
        logits = (logits - logits.amax(dim=1, keepdim=True)) / temperature
        drawn = torch.multinomial(torch.softmax(logits, dim=1), 1).squeeze(1)
        words.append(drawn.masked_fill(ended, EOS))
        ended = ended | (drawn == EOS) | (len(words) > limits)
    rows = torch.stack(words[1:], dim=1).tolist()
    sentences = [row[: row.index(EOS)] if EOS in row else row for row in rows]
    return [sentences[start : start + count] for start in range(0, len(rows), count)]
