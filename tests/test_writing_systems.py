"""Lengths and words of texts in any script."""

import re

import pytest

from nmt.writing_systems import SIGNS, is_unspaced, letters, same_language, same_variety


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


@pytest.mark.parametrize(
    "word", ["हिन्दी", "ສະບາຍດີ", "ເຂົ້າ", "བོད", "མཛད", "မြန်မာ", "ខ្ញុំ", "สวัสดี", "ދިވެހި"]
)
def test_vowel_signs_belong_to_their_word(word: str) -> None:
    assert re.findall(rf"[\w{SIGNS}]+", f"{word}, {word}") == [word, word]


@pytest.mark.parametrize(
    ("one", "other", "language", "variety"),
    [
        ("de", "de_AT", True, True),
        ("zh-CN", "zh-Hans-CN", True, True),
        ("zh-TW", "zh_tw", True, True),
        ("zh-TW", "zh-CN", True, False),
        ("pt-BR", "pt-PT", True, False),
        ("tw", "zh-TW", False, False),
    ],
)
def test_codes_may_denote_the_same(one: str, other: str, language: bool, variety: bool) -> None:
    assert same_language(one, other) == same_language(other, one) == language
    assert same_variety(one, other) == same_variety(other, one) == variety
