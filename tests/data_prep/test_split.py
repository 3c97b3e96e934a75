import hashlib
import random
import re
import string
import tracemalloc
import unicodedata
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep import split
from data_prep.corpus import Corpus, HeldOut, Pair
from data_prep.marks import fold
from nmt.config import Split
from nmt.errors import UserError
from tests.data_prep.stored import gathered

SIZES = Split(validation_size=3, test_size=5)


class Splits(NamedTuple):
    """The three parts, with the training pairs themselves."""

    train: list[Pair]
    validation: HeldOut
    test: HeldOut


def make_splits(
    pairs: list[Pair],
    sizes: Split = SIZES,
    validation: HeldOut | None = None,
    test: HeldOut | None = None,
) -> tuple[Splits, int]:
    whole = gathered(pairs, seed=sizes.seed)
    made, dropped = split.make_splits(whole, Corpus([], validation, test), sizes)
    return Splits(list(whole.pairs.only(made.train)), made.validation, made.test), dropped


def _texts(part: HeldOut) -> tuple[set[str], set[str]]:
    """Folded sources and references of a held-out part."""
    references = {fold(text) for row in part.references for text in row if text is not None}
    return {fold(text) for text in part.sources}, references


def _assert_no_leak(splits: Splits) -> None:
    sources = {fold(source) for source, _ in splits.train}
    targets = {fold(target) for _, target in splits.train}
    for part in (splits.validation, splits.test):
        held_sources, held_targets = _texts(part)
        assert not sources & held_sources
        assert not targets & held_targets


def _corpus(size: int, seed: int = 0) -> list[Pair]:
    """Different pairs, a fifth of which share a side with another up to case and punctuation."""
    rng = random.Random(seed)
    pairs = [(f"source {n}", f"target {n}") for n in range(size)]
    for _ in range(size // 5):
        first, second = rng.choice(pairs), rng.choice(pairs)
        pairs.append((first[0].upper() + "!", second[1]))
    rng.shuffle(pairs)
    return pairs


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Hello, world!", "hello world"),
        ("Straße", "STRASSE"),
        ("caf\u00e9", "cafe\u0301"),
        ("ﬁne", "fine"),
        ("a\u00a0b", "ab"),
        ("snake_case", "snakecase"),
        ("שָׁלוֹם", "שלום"),
        ("a ❤️ b", "a b"),
        ("<BT> Where is it?", "where is it"),
        ("Işık yanıyor.", "ışık yanıyor"),
        ("IŞIK", "ışık"),
        ("İstanbul", "istanbul"),
    ],
)
def test_fold_joins(first: str, second: str) -> None:
    assert fold(first) == fold(second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("?", "!"),
        ("a", "b"),
        ("1", "2"),
        ("да", "нет"),
        ("किताब", "कातिब"),  # a book, a writer
        ("ភាសា", "ភស"),
        ("ปี", "ปู"),  # a year, a crab
    ],
)
def test_fold_keeps_apart(first: str, second: str) -> None:
    assert fold(first) != fold(second)


@given(st.text())
def test_fold_leaves_letters_and_digits(text: str) -> None:
    folded = re.sub(r"^<\w+>\s", "", unicodedata.normalize("NFKC", text).casefold())
    folded = folded.replace("ı", "i")
    letters, others = "".join(filter(str.isalnum, folded)), set[str]()
    if letters:
        assert "".join(filter(str.isalnum, fold(text))) == letters
        others = {sign for sign in fold(text) if not sign.isalnum()}
    elif fold(text) != text:
        others = set(fold(text))
    assert {unicodedata.category(sign) for sign in others} <= {"Mn", "Mc"}


TEXT = st.text(alphabet="abAB.! é" + string.digits[:3], min_size=1, max_size=3)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(TEXT, TEXT), max_size=30), st.integers(0, 3))
def test_no_folded_side_of_training_is_held_out(pairs: list[Pair], seed: int) -> None:
    pairs = pairs + [(f"s{n}", f"t{n}") for n in range(60)]
    sizes = Split(validation_size=4, test_size=6, seed=seed)
    splits, _ = make_splits(pairs, sizes)
    _assert_no_leak(splits)
    validation, test = _texts(splits.validation), _texts(splits.test)
    assert not validation[0] & test[0] and not validation[1] & test[1]
    assert len(splits.validation.sources) == 4 and len(splits.test.sources) == 6
    held = [
        (source, target)
        for part in (splits.validation, splits.test)
        for source, row in zip(part.sources, part.references, strict=True)
        for target in row
    ]
    assert {*splits.train, *held} == set(pairs)  # nothing is lost, nothing is made up


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(TEXT, TEXT), max_size=30),
    st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=4),
)
def test_training_pairs_that_share_a_side_with_given_splits_are_dropped(
    pairs: list[Pair], held: list[Pair]
) -> None:
    part = HeldOut([source for source, _ in held], [[target] for _, target in held])
    splits, dropped = make_splits(pairs, SIZES, part, part)
    _assert_no_leak(splits)
    assert splits.test is part and splits.validation is part
    assert dropped == len(pairs) - len(splits.train)


@settings(max_examples=20, deadline=None)
@given(st.randoms(use_true_random=False))
def test_splits_do_not_depend_on_the_order_of_the_input(rng: random.Random) -> None:
    pairs = _corpus(200)
    before, _ = make_splits(pairs)
    shuffled = pairs.copy()
    rng.shuffle(shuffled)
    after, _ = make_splits(shuffled)
    assert (after.validation, after.test) == (before.validation, before.test)
    assert sorted(after.train) == sorted(before.train)
    kept = set(before.train)
    assert after.train == [pair for pair in shuffled if pair in kept]  # the order of the input


def test_seed_chooses_and_the_size_of_validation_does_not_move_test() -> None:
    corpus = _corpus(200)
    one, _ = make_splits(corpus)
    other_seed, _ = make_splits(corpus, Split(validation_size=3, test_size=5, seed=2))
    larger, _ = make_splits(corpus, Split(validation_size=20, test_size=5))
    assert one.test != other_seed.test
    assert one.test == larger.test


def test_the_rule_is_the_same_as_ever() -> None:
    """Another rule would move test sentences into the training data of whoever prepares again."""
    splits, _ = make_splits(_corpus(200))
    held = repr([(part.sources, part.references) for part in (splits.validation, splits.test)])
    assert hashlib.sha256(held.encode()).hexdigest()[:16] == "ab852a468e40715c"


def test_memory_grows_by_a_few_numbers_a_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(split, "AT_FIRST", 100)
    whole = gathered(_corpus(20_000))
    split.make_splits(whole, Corpus([]), SIZES)  # imports what it needs
    tracemalloc.start()
    try:
        split.make_splits(whole, Corpus([]), SIZES)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100 * len(whole.pairs)


@pytest.mark.parametrize("at_first", [1, 3, 20])
def test_the_order_of_groups_does_not_depend_on_how_many_are_looked_at(
    monkeypatch: pytest.MonkeyPatch, at_first: int
) -> None:
    sizes = Split(validation_size=20, test_size=60)
    whole, _ = make_splits(_corpus(400), sizes)
    monkeypatch.setattr(split, "AT_FIRST", at_first)
    assert make_splits(_corpus(400), sizes)[0] == whole


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 25), st.integers(0, 25)), max_size=40))
def test_groups_are_the_connected_parts(edges: list[tuple[int, int]]) -> None:
    pairs = [(f"s{source}", f"t{target}") for source, target in edges]
    whole = gathered(pairs)
    found = split.groups(whole.marks, np.arange(len(pairs))).tolist()
    joined = list(range(len(pairs)))  # the slow way: until nothing changes
    for _ in pairs:
        for one, first in enumerate(pairs):
            for other, second in enumerate(pairs):
                if first[0] == second[0] or first[1] == second[1]:
                    joined[one] = joined[other] = min(joined[one], joined[other])
    same = [[a == b for b in joined] for a in joined]
    assert [[a == b for b in found] for a in found] == same


def test_a_long_chain_is_one_group() -> None:
    edges = [(n // 2, (n + 1) // 2) for n in range(20_000)]
    random.Random(1).shuffle(edges)
    whole = gathered([(f"s{source}", f"t{target}") for source, target in edges])
    assert len(set(split.groups(whole.marks, np.arange(len(edges))).tolist())) == 1


def test_all_references_of_a_held_out_source_are_in_one_row() -> None:
    pairs = [(f"s{n}", f"{word}{n}") for n in range(40) for word in ("t", "u", "v")]
    splits, _ = make_splits(pairs * 2)
    for source, row in zip(splits.test.sources, splits.test.references, strict=True):
        assert sorted(map(str, row)) == [f"{word}{source[1:]}" for word in "tuv"]
    first = {str(row[0])[0] for row in splits.test.references + splits.validation.references}
    assert len(first) > 1  # the first reference is no matter of the alphabet


def test_large_groups_stay_in_training() -> None:
    large = [
        (f"variant {n} of {group}", f"answer {group}") for group in range(20) for n in range(3)
    ]
    sizes = Split(validation_size=30, test_size=60)
    splits, _ = make_splits(large + _corpus(400), sizes)
    assert set(large) <= set(splits.train)
    assert len(splits.test.sources) == 60  # made of others


def test_only_the_missing_split_is_made() -> None:
    pairs = _corpus(200)
    given_test = HeldOut(["SOURCE 7"], [["something else"]])
    splits, dropped = make_splits(pairs, test=given_test)
    assert splits.test is given_test and dropped >= 1
    assert len(splits.validation.sources) == SIZES.validation_size
    _assert_no_leak(splits)


@pytest.mark.parametrize("pairs", [_corpus(15)[:15], [(f"s{n}", "t") for n in range(500)]])
def test_too_small_or_too_entangled_a_corpus_says_which_keys_to_set(pairs: list[Pair]) -> None:
    with pytest.raises(UserError, match=r"set data\.split\.test_size and .*\.validation_size"):
        make_splits(pairs)
