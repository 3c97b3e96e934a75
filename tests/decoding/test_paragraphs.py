"""Lines in parts: whatever the text, nothing of it is lost, and alignments fit together."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.decoding import paragraphs
from nmt.decoding.paragraphs import Paragraphs
from nmt.translation import Alignment, Translation, unchanged

END = "</s>"
texts = st.lists(st.text(alphabet="ab. \n\u3002!", max_size=40), max_size=5)


def mirrored(text: str, cut: bool = False) -> Translation:
    """Stands in for a translation: itself, each character from itself, the end from the end."""
    if not text.strip():
        return unchanged(text)
    size = len(text) + 1
    weights = [[float(i == j) for i in range(size)] for j in range(size - cut)]
    alignment = Alignment([*text, END], [*text, *[END] * (not cut)], weights)
    return Translation(text, -1.0, -2.0, cut, [], alignment)


@settings(deadline=None)
@given(texts, st.sampled_from([None, "en"]), st.booleans(), st.integers(3, 30))
def test_all_parts_together_are_the_text(
    lines: list[str], language: str | None, cut: bool, longest: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paragraphs, "LONGEST", longest)
        made = Paragraphs(lines, language)
    assert all(len(part) <= longest for part in made.parts)
    found = made.joined([mirrored(part, cut) for part in made.parts])
    assert [one.text for one in found] == lines
    for line, one in zip(lines, found, strict=True):
        if not line.strip():
            assert one.alignment is None
            continue
        assert one.alignment is not None
        assert one.alignment.source[-1] == END
        assert "".join(one.alignment.source[:-1]).rstrip() == line.rstrip()
        said = one.alignment.target if cut else one.alignment.target[:-1]
        assert "".join(said).rstrip() == line.rstrip()
        assert len(one.alignment.weights) == len(one.alignment.target)
        for place, row in enumerate(one.alignment.weights):
            assert len(row) == len(one.alignment.source)
            assert row.index(1.0) == place and sum(row) == 1.0


def test_of_several_parts_log_probabilities_add_up() -> None:
    made = Paragraphs(["One. Two. Three."], "en")
    assert made.parts == ["One.", "Two.", "Three."]
    [found] = made.joined([mirrored("Eins."), mirrored("Zwei.", cut=True), mirrored("Drei.")])
    assert found.text == "Eins. Zwei. Drei."
    assert (found.log_probability, found.score, found.cut) == (-6.0, -1.0, True)


def test_a_line_that_fits_is_left_to_the_translator_as_it_is() -> None:
    one = mirrored("  One. Two.  ")
    made = Paragraphs(["  One. Two.  "], None)
    assert made.parts == ["  One. Two.  "] and made.joined([one]) == [one]


def test_a_long_line_is_cut_behind_white_space() -> None:
    text = "word " * 1000 + "x" * 5000
    [parts] = Paragraphs([text], None).cut
    assert "".join(parts) == text
    assert max(map(len, parts)) <= paragraphs.LONGEST
    assert parts[0] == "word " * 400
    [parts] = Paragraphs(["没有空格的句子。" * 300], None).cut
    assert parts == ["没有空格的句子。" * 125, "没有空格的句子。" * 125, "没有空格的句子。" * 50]


@pytest.mark.parametrize(
    ("source", "said", "together"),
    [
        ("你好。我很好。", ["Hello.", "I am fine."], "Hello. I am fine."),
        ("你好。 我很好。", ["Hello.", "I am fine."], "Hello. I am fine."),
        ("你好。我很好。", ["こんにちは。", "元気です。"], "こんにちは。元気です。"),
        ("你好。我很好。", ["", "I am fine."], "I am fine."),
    ],
)
def test_sentences_without_space_between_get_one_where_the_translation_wants_it(
    source: str, said: list[str], together: str
) -> None:
    (found,) = Paragraphs([source], "zh").joined([unchanged(text) for text in said])
    assert found.text == together
