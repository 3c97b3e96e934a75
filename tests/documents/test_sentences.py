"""Sentences are found, and nothing is lost between them."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.documents.sentences import split

ODD = st.text(alphabet="ab. A!?…。！\n\t\"'”()[]¿\ufffc1é\u00a0\u2028-", max_size=60)


@given(ODD | st.text(), st.sampled_from(["en", "de", "ja", "xx"]))
def test_the_parts_are_the_text(text: str, language: str) -> None:
    parts = split(text, language)
    assert "".join(parts) == text
    assert all(parts) or parts == [""]


@pytest.mark.parametrize(
    ("language", "sentences"),
    [
        ("en", ["One two. ", "Three!  ", "Four?\n", "Five"]),
        ("en", ["Dr. Smith met J. R. Smith at 5 p.m. on Monday. ", "He left."]),
        (
            "en",
            ['He said: "Go on." ', "(And so I did.) ", "Then e.g. this, v1.2.3 and so on. ", "End"],
        ),
        ("en", ["It was 1999. ", "Then... nothing... ", "Well?! ", "¿Qué? ", "No. 5 is ready."]),
        ("en", ["1. Open the file. ", "2. Close it."]),
        ("de", ["Am 3. Oktober kam er z.B. mit Dr. Maier. ", "Es war 1999. ", "Ende."]),
        ("de_AT", ["Am 3. Oktober kam er. ", "Ende."]),
        ("ja", ["こんにちは。", "元気ですか？", "「はい。」", "では"]),
        ("hi", ["यह एक है। ", "वह दो है।"]),
        ("mr", ["मुले खेळत आहेत. ", "ती आनंदी आहेत."]),
        ("ru", ["Это раз. ", "Это два."]),
        ("am", ["ይህ አንድ ነው። ", "ያ ሁለት ነው።"]),
        ("ur", ["یہ ایک ہے۔ ", "وہ دو ہے۔"]),
        ("km", ["នេះជាមួយ។ ", "នោះជាពីរ។"]),
        ("my", ["ဒါက တစ်ပါ။ ", "ဟိုဟာ နှစ်ပါ။"]),
    ],
)
def test_where_sentences_end(language: str, sentences: list[str]) -> None:
    assert split("".join(sentences), language) == sentences


@pytest.mark.parametrize("unit", [".", "a. ", "!", '."', "。", "( ", ". - "])
def test_time_grows_with_the_length_alone(unit: str) -> None:
    start = time.process_time()
    assert "".join(split(unit * 100_000, "en")) == unit * 100_000
    assert time.process_time() - start < 5
