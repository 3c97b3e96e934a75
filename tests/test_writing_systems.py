"""Lengths and words of texts in any script."""

import pytest

from nmt.writing_systems import is_unspaced, letters


def test_a_sign_of_a_syllable_or_a_word_is_three_letters() -> None:
    assert letters("one two") == 7
    assert letters("één") == 3
    assert letters("空気 é") == 8
    assert letters("カナ") == letters("한글") == letters("\U00020000a") + 2 == 6


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("她明天早上就会回来。", True),
        ("カナです", True),
        ("สวัสดีครับ", True),
        ("ខ្ញុំស្រឡាញ់", True),
        ("bonjour", False),
        ("한국어 문장", False),
        ("नमस्ते दुनिया", False),
        ("Beijing 北京 is large", False),
        ("...", False),
        ("", False),
    ],
)
def test_scripts_without_spaces_are_known(text: str, expected: bool) -> None:
    assert is_unspaced(text) is expected
