"""A decoder's attention to its own past, against attention to a list of it."""

import torch

from nmt.model.multihead import NoPast, PastAttention
from tests.model.variants import assert_same, perturb

SIZE, ROWS = 5, 3


def test_a_state_is_joined_by_what_it_finds_in_those_before_it() -> None:
    torch.manual_seed(30)
    past = PastAttention(SIZE, heads=2, head_size=3)
    perturb(past)
    heads = past.attention
    states = list(torch.randn(4, ROWS, SIZE, dtype=torch.double))
    known = past.start(states[0])
    for i in range(1, 4):
        output, known = past(states[i], known)
        before = torch.stack(states[:i], dim=1)  # (R, i, H)
        mask = torch.ones(ROWS, i, dtype=torch.bool)
        found, _, _ = heads(states[i], heads.prepare(before, mask), ())
        assert_same(output, states[i] + found)


def test_without_it_a_state_stays_what_it_is() -> None:
    output = torch.randn(ROWS, SIZE)
    past = NoPast(SIZE)
    found, state = past(output, past.start(output))
    assert found is output
    assert state == ()
