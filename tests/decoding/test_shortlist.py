"""Shortlists: what a sentence may say, learnt from attention."""

from pathlib import Path

import torch
from torch import Tensor

from nmt.decoding.shortlist import Shortlist
from nmt.vocab import EOS, PAD, RESERVED

SIZE = 30
LISTS = torch.tensor([[EOS, EOS]] * 4 + [[10, 11], [12, EOS], [25, 10]], dtype=torch.int32)
SHORTLIST = Shortlist(LISTS, torch.tensor([20, 21], dtype=torch.int32), SIZE)
"""Source words 4, 5 and 6."""


def said(source: list[list[int]], row: int = 0) -> set[int]:
    found = SHORTLIST.candidates(torch.tensor(source))
    return set(found.ids[found.allowed[row]].tolist())


def test_a_sentence_may_say_its_words_lists_the_frequent_and_the_reserved() -> None:
    assert said([[4, 6, EOS]]) == {0, 1, 2, 3, 10, 11, 25, 20, 21}


def test_a_sentence_may_say_the_same_whoever_stands_beside_it() -> None:
    assert said([[5, EOS, PAD], [4, 6, EOS]]) == said([[5, EOS]]) == {0, 1, 2, 3, 12, 20, 21}


def test_candidates_are_the_union_in_order_with_the_reserved_ids_first() -> None:
    found = SHORTLIST.candidates(torch.tensor([[5, EOS, PAD], [4, 6, EOS]]))
    assert found.ids.tolist() == [0, 1, 2, 3, 10, 11, 12, 20, 21, 25]
    assert found.ids[: len(RESERVED)].tolist() == list(range(len(RESERVED)))


def test_a_shortlist_is_written_and_read(tmp_path: Path) -> None:
    SHORTLIST.write(tmp_path / "list")
    read = Shortlist.read(tmp_path / "list", len(LISTS), SIZE)

    def sees(one: Shortlist) -> Tensor:
        return one.candidates(torch.tensor([[4, 6, EOS]])).ids

    assert torch.equal(sees(read), sees(SHORTLIST))
