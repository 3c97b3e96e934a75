"""Drawing sentences from step functions whose probabilities are known."""

import pytest
import torch
from torch import Tensor

from nmt.decoding.sampling import sample
from nmt.state import State
from nmt.vocab import BOS, EOS

A, B = 4, 5
COUNT = 4000


def table(tokens: Tensor, source: State, state: State) -> tuple[Tensor, State]:
    """After BOS: A 0.6, B 0.3, EOS 0.1; after A: B; after B: EOS. PAD and UNK would be likely."""
    assert isinstance(state, Tensor)
    probabilities = torch.zeros(len(tokens), 6)
    probabilities[tokens == BOS] = torch.tensor([9.0, 0.0, 0.1, 9.0, 0.6, 0.3])
    probabilities[tokens == A, B] = 1.0
    probabilities[tokens == B, EOS] = 1.0
    probabilities[tokens == EOS, EOS] = 1.0
    return probabilities.log(), state + 1


def draw(temperature: float = 1.0, limits: tuple[int, ...] = (9, 1)) -> list[list[list[int]]]:
    torch.manual_seed(1)
    start = torch.zeros(len(limits), 1)
    return sample(*(table, (), start, torch.tensor(limits)), count=COUNT, temperature=temperature)


def test_sentences_come_as_often_as_they_are_likely() -> None:
    long, _ = draw()
    assert {tuple(one) for one in long} == {(A, B), (B,), ()}
    shares = [sum(one == wanted for one in long) / COUNT for wanted in ([A, B], [B], [])]
    assert shares == pytest.approx([0.6, 0.3, 0.1], abs=0.03)


def test_each_source_has_its_own_sentences_and_limit() -> None:
    long, short = draw()
    assert len(long) == len(short) == COUNT
    assert {tuple(one) for one in short} == {(A,), (B,), ()}


def test_a_low_temperature_draws_the_likeliest() -> None:
    assert all(one == [A, B] for one in draw(temperature=0.01)[0])


def test_the_same_seed_draws_the_same() -> None:
    assert draw() == draw()
