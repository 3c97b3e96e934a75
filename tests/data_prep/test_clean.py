import pytest

from data_prep.clean import drop, empty, predicates
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


def test_duplicates_are_whole_pairs() -> None:
    pairs = [("a", "x"), ("a", "y"), ("b", "x"), ("a", "x"), ("a", "x")]
    kept, counts = drop(pairs, predicates(Clean()))
    assert kept == pairs[:3]
    assert counts["duplicate"] == 2


def test_a_pair_is_counted_once_in_order_and_order_is_kept() -> None:
    long_copy = ("w " * 9, "w " * 9)
    pairs = [("b", "x"), long_copy, ("same", "same"), ("a", "y"), ("b", "x")]
    kept, counts = drop(pairs, predicates(Clean(max_words=5)))
    assert kept == [("b", "x"), ("a", "y")]
    expected = {"too_long": 1, "length_ratio": 0, "copy": 1, "duplicate": 1}
    assert list(counts.items()) == list(expected.items())


def test_options_switch_predicates_off() -> None:
    pairs = [("same", "same"), ("same", "same")]
    kept, counts = drop(pairs, predicates(Clean(drop_copies=False, drop_duplicates=False)))
    assert kept == pairs
    assert set(counts) == {"too_long", "length_ratio"}
