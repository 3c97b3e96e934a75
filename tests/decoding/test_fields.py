"""A text within a line is translated, and nothing else of the line is touched."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.decoding.fields import KEY, field_of
from nmt.errors import UserError
from nmt.lines import Line
from nmt.translation import unchanged


def through(name: str | None, text: str, translate: Callable[[str], str] = str.upper) -> str:
    field = field_of(name)
    line = field.read(Line(text, "\n"), "in, line 1")
    return field.write(line, unchanged(translate(line.text)))


def test_a_whole_line_becomes_its_translation() -> None:
    assert through(None, "a\tb") == "A\tB\n"


def test_a_column_keeps_its_line_and_adds_the_last_one() -> None:
    assert through("2", "id 7\ta dog\tmore") == "id 7\ta dog\tmore\tA DOG\n"
    assert through("1", "a dog") == "a dog\tA DOG\n"
    assert through("1", "x\ty", lambda text: "two\twords") == "x\ty\ttwo words\n"


@given(st.dictionaries(st.text().filter(KEY.__ne__), st.integers() | st.text()))
def test_a_key_keeps_its_object_and_adds_another(rest: dict[str, object]) -> None:
    content = {**rest, "text": "a dog"}
    found = json.loads(through("text", json.dumps(content)))
    assert found == {**content, "translation": "A DOG"}


def test_nothing_of_an_object_is_written_otherwise() -> None:
    kept = '{ "n": 0.12345678901234567890, "n": 1e400, "text" : "a dog"'
    assert through("text", f"{kept} }} ") == f'{kept} , "translation": "A DOG"}}\n'


@pytest.mark.parametrize("name", ["1", "text"])
@pytest.mark.parametrize("blank", ["", "  ", "\u00a0"])
def test_a_blank_line_stays_as_it_is(name: str, blank: str) -> None:
    assert through(name, blank) == f"{blank}\n"


def test_a_row_of_empty_cells_gets_another_one() -> None:
    assert through("2", "\t\t") == "\t\t\t\n"
    assert through("1", "\t") == "\t\t\n"
    assert through("3", "\t") == "\t\n"  # less than a row


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("3", "a\tb", "in, line 1: expected a column 3 between tabs, found 2"),
        ("text", "a dog", "in, line 1: expected a JSON object, found other text"),
        ("text", '["a dog"]', "in, line 1: .* a text under 'text', found none"),
        ("text", '{"text": 7}', "in, line 1: .* a text under 'text', found none"),
        ("text", '{"text": "a", "x": ' + "[" * 5000 + "]" * 5000 + "}", "expected a JSON object"),
        ("text", '{"text": "a", "translation": "b"}', "expected no key 'translation'.* rename it"),
        ("translation", '{"translation": "b"}', "expected no key 'translation'"),
        ("--2", "a dog", "expected a JSON object"),
        ("0", "a dog", "--field: expected a column from 1 or a key, found 0"),
        ("-1", "a dog", "--field: expected a column from 1 or a key, found -1"),
    ],
)
def test_a_line_without_the_field_is_named(name: str, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        through(name, text)


def test_half_a_character_is_no_text_and_stays_where_it_was() -> None:
    line = '{"text": "a \\ud83d dog", "more": "\\udc00 \\u00e9"}'
    written = through("text", line)
    assert written.encode()
    found = json.loads(written)
    assert found == {**json.loads(line), "translation": "A \ufffd DOG"}
