"""What makes a translation look wrong, rule by rule, and how often that is right."""

import json
from collections import Counter
from pathlib import Path

import pytest

from nmt.decoding.health import Health, reached, reasons, told
from nmt.translation import Alignment, Translation


def translation(text: str, cut: bool = False, alignment: Alignment | None = None) -> Translation:
    return Translation(text, 0.0, 0.0, cut, [], alignment)


@pytest.mark.parametrize(
    ("source", "text", "wrong"),
    [
        ("a fine day", "ein guter Tag", []),
        ("go on", "weiter weiter weiter", ["loop"]),
        ("he ran all day long", "er lief und lief und lief und lief", ["loop"]),
        ("he ran and ran and ran and ran", "er lief und lief und lief und lief", []),
        ("no no no no", "nein nein nein", []),
        ("my grandparents live here", "मेरे दादा-दादी यहाँ रहते हैं।", []),
        ("one two Three", "one two Three", []),
        ("Tom Jackson, Mary Smith", "Tom Jackson, Mary Smith", []),
        ("one two three four", "one  two three four", ["copied"]),
        ("a sentence of some length that says a lot", "Satz", ["ratio"]),
        ("Ja.", "This is a sentence of some length", ["ratio"]),
        ("Ja.", "", []),
        ("  ", "  ", []),
        ("a b c d e f g h i j k l m n", "", ["ratio"]),
    ],
)
def test_each_reason(source: str, text: str, wrong: list[str]) -> None:
    assert list(reasons(source, translation(text), Health())) == wrong


def test_a_translation_at_the_length_limit_is_cut() -> None:
    assert list(reasons("a", translation("b", cut=True), Health())) == ["cut"]


def test_the_pieces_of_a_word_share_the_attention_that_it_got() -> None:
    alignment = Alignment(
        ["a", " wo", "rd", ",", " far", "</s>"],
        ["x", "y"],
        [
            [0.5, 0.0, 0.0, 0.0, 0.0, 0.5],
            [0.2, 0.04, 0.05, 0.2, 0.01, 0.5],
        ],
    )
    words, sums = zip(*reached(alignment), strict=True)
    assert words == ("a", "word,", "far")
    assert sums == pytest.approx((0.7, 0.29, 0.01))


LABELLED = [
    json.loads(line)
    for line in Path(__file__).with_name("health.jsonl").read_text(encoding="utf-8").splitlines()
]
"""Sentences of Tatoeba (CC-BY 2.0 FR) and their translations by a model in the middle of its
training, read and labelled by hand: cut, loop, copied, missing (a part of the source is).

`reached` is each word of the source and the attention that it got. The copies among them are made
by hand, since no model of ours made one.
"""

MEANT = {
    "cut": {"cut"},
    "loop": {"loop"},
    "copied": {"copied"},
    "ratio": {"missing", "loop"},
    "unreached": {"missing"},
}
"""What a line should suffer from that has this reason."""


def precision(health: Health) -> dict[str, tuple[int, int]]:
    """For each reason how many lines have it, and how many of them rightly."""
    right, flagged = Counter[str](), Counter[str]()
    for row in LABELLED:
        words, sums = zip(*row["reached"], strict=True)
        alignment = Alignment([f" {word}" for word in words] + ["</s>"], [""], [[*sums, 0.0]])
        for reason in reasons(
            row["source"], translation(row["text"], row["cut"], alignment), health
        ):
            flagged[reason] += 1
            right[reason] += bool(MEANT[reason] & set(row["wrong"]))
    return {reason: (right[reason], flagged[reason]) for reason in MEANT}


def test_most_lines_that_look_wrong_are_wrong() -> None:
    assert len(LABELLED) == 200
    assert precision(Health()) == {  # docs/jobs.md tells them
        "cut": (3, 3),
        "loop": (32, 33),
        "copied": (20, 20),
        "ratio": (30, 30),
        "unreached": (79, 81),
    }


@pytest.mark.parametrize(
    "health",
    [Health(loop=99), Health(copied=99), Health(ratio=99), Health(unreached=0)],
)
def test_each_threshold_is_asked(health: Health) -> None:
    found, usual = precision(health), precision(Health())
    assert sum(found[reason] != usual[reason] for reason in MEANT) == 1


def test_what_was_counted_is_told() -> None:
    assert told(Counter({"all": 3})) is None
    tally = Counter({"all": 1200, "flagged": 3, "cut": 1, "loop": 3})
    assert told(tally) == "3 of 1,200 translations look wrong: loop 3, cut 1"
