"""Dropout: what is dropped together, how often, and that translating drops nothing."""

import pytest
import torch
from torch import nn

from nmt.model.dropout import Dropout, VariationalDropout, WordDropout

ONES = torch.ones(200, 5, 50)


@pytest.mark.parametrize("rate", [0.0005, 0.1, 0.5, 0.95])
def test_single_values_are_dropped_at_the_rate(rate: float) -> None:
    torch.manual_seed(8)
    dropped = Dropout(rate)(torch.ones(1999, 501))
    assert dropped.unique().tolist() == pytest.approx([0.0, 1 / (1 - rate)])
    count = dropped.numel()
    deviation = (rate * (1 - rate) / count) ** 0.5
    assert (dropped == 0).float().mean().item() == pytest.approx(rate, abs=5 * deviation)


def test_no_value_is_dropped_for_what_its_neighbours_are() -> None:
    """Four values come from one draw: a correlation between them would show here."""
    torch.manual_seed(8)
    zeros = (Dropout(0.3)(torch.ones(100_000, 8)) == 0).float()
    assert (torch.corrcoef(zeros.T) - torch.eye(8)).abs().max() < 0.02


def test_a_feature_is_dropped_at_all_time_steps_or_none() -> None:
    torch.manual_seed(8)
    dropped = VariationalDropout(0.3)(ONES)
    assert (dropped == dropped[:, :1]).all()
    assert set(dropped.unique().tolist()) == {0.0, torch.tensor(1 / 0.7).item()}
    assert (dropped == 0).float().mean().item() == pytest.approx(0.3, abs=0.02)
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.03)


def test_sentences_have_masks_of_their_own() -> None:
    torch.manual_seed(8)
    dropped = VariationalDropout(0.5)(ONES)
    assert not torch.equal(dropped[0], dropped[1])


def test_a_word_is_dropped_whole_or_not_at_all() -> None:
    torch.manual_seed(9)
    dropped = WordDropout(0.2)(ONES)
    assert set(dropped.unique().tolist()) == {0.0, 1.0}
    assert (dropped == dropped[:, :, :1]).all()
    assert (dropped == 0).float().mean().item() == pytest.approx(0.2, abs=0.04)
    assert not torch.equal(dropped[:, 0], dropped[:, 1])


@pytest.mark.parametrize("dropout", [Dropout(0.9), VariationalDropout(0.9), WordDropout(0.9)])
def test_nothing_is_dropped_while_translating(dropout: nn.Module) -> None:
    assert dropout.eval()(ONES) is ONES


@pytest.mark.parametrize("dropout", [Dropout(0.0), VariationalDropout(0.0), WordDropout(0.0)])
def test_a_rate_of_zero_draws_no_random_numbers(dropout: nn.Module) -> None:
    before = torch.get_rng_state()
    assert dropout(ONES) is ONES
    assert torch.equal(torch.get_rng_state(), before)
