"""What attention says of which word leads to which."""

import pytest
import torch

from nmt.batch import Batch
from nmt.decoding import lexicon, scoring
from nmt.decoding.lexicon import learn_shortlist
from nmt.vocab import EOS
from tests.decoding import tiny


def test_attention_links_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three links of 4 to 9, two to 8, one to 7: a list of two holds 9 and 8."""
    batch = Batch.of([[4, 5], [4], [4]], [[9, 6, 7], [8, 9], [9, 8]])
    weights = torch.zeros(3, 4, 3)
    weights[0, 0] = torch.tensor([0.9, 0.1, 0.0])  # 9 from 4
    weights[0, 1] = torch.tensor([0.3, 0.7, 0.0])  # 6 from 5, and from 4 as well
    weights[0, 2] = torch.tensor([0.4, 0.35, 0.25])  # 7 from 4, 5 and EOS
    weights[1:, :2] = torch.tensor([0.5, 0.1, 0.9])  # padding attends, but is not linked
    weights[0, 3] = torch.tensor([0.0, 0.0, 1.0])
    weights[1:, 2] = torch.tensor([0.0, 1.0, 0.0])  # the end from the end
    monkeypatch.setattr(scoring, "align", lambda model, batch: weights)
    monkeypatch.setattr(lexicon, "FREQUENT", 2)
    learnt = learn_shortlist(tiny.model(), [batch, batch], size=2)
    assert learnt.lists[4].tolist() == [9, 8]
    assert set(learnt.lists[5].tolist()) == {6, 7}
    assert learnt.lists[6].tolist() == [EOS, EOS]
    assert learnt.frequent.tolist() == [EOS, 9]
