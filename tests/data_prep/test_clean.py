import pytest

from data_prep.clean import empty, is_repeat, predicates
from data_prep.marks import Marks
from nmt.config import Clean

Pair = tuple[str, str]


@pytest.mark.parametrize(
    ("pair", "dropped"),
    [(("", "x"), True), (("x", " \u00a0\t"), True), (("x", "."), False)],
)
def test_empty(pair: Pair, dropped: bool) -> None:
    assert empty(*pair) is dropped


@pytest.mark.parametrize(
    ("name", "dropped", "kept"),
    [
        ("too_long", ("a b c d", "a"), ("a b c", "x y z")),
        ("too_long", ("a", "a b c d"), ("x", "y")),
        ("length_ratio", ("x", "y" * 13), ("x", "y" * 12)),
        ("length_ratio", ("y" * 13, "x"), ("y" * 12, "x")),
        ("copy", ("same", "same"), ("same", "Same")),
    ],
)
def test_each_predicate_at_its_boundary(name: str, dropped: Pair, kept: Pair) -> None:
    # (13 + 10) / (1 + 10) > 2 = (12 + 10) / (1 + 10)
    drops = predicates(Clean(max_words=3, max_ratio=2.0))[name]
    assert drops(*dropped)
    assert not drops(*kept)


def test_duplicates_are_whole_pairs_and_the_first_is_kept() -> None:
    pairs = [("a", "x"), ("a", "y"), ("b", "x"), ("a", "x"), ("a", "x"), ("ab", ""), ("a", "b")]
    assert is_repeat(Marks.of(pairs, {}, 1).pair).tolist() == [False] * 3 + [True] * 2 + [False] * 2
    assert is_repeat(Marks.of([], {}, 1).pair).tolist() == []


def test_a_pair_is_counted_once_in_order() -> None:
    long_copy = ("w " * 9, "w " * 9)
    pairs = [("b", "x"), long_copy, ("same", "same"), ("a", "y"), ("b", "x" * 30)]
    filters = predicates(Clean(max_words=5))
    assert list(filters) == ["too_long", "length_ratio", "copy"]
    assert Marks.of(pairs, filters, 1).filtered.tolist() == [0, 1, 3, 0, 2]


def test_options_switch_predicates_off() -> None:
    assert set(predicates(Clean(drop_copies=False))) == {"too_long", "length_ratio"}


@pytest.mark.parametrize(
    "translation",
    [
        "政府宣布了一项减少大城市空气污染的新计划。",
        "정부는 대도시의 대기 오염을 줄이기 위한 새로운 계획을 발표했다.",
    ],
)
def test_lengths_are_compared_in_letters(translation: str) -> None:
    english = "The government announced a new plan to reduce air pollution in large cities."
    drops = predicates(Clean())["length_ratio"]
    assert not drops(english, translation) and not drops(translation, english)
    assert drops(english, translation[:3])
