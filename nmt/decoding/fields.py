"""Fields: where in a line the text to translate is found, and where its translation goes."""

import json
import re
from typing import Any, Protocol

from nmt.errors import UserError
from nmt.lines import Line
from nmt.translation import Translation

KEY = "translation"
"""The key under which the translation is added to a JSON object."""


class Field(Protocol):
    """The interface of all fields."""

    def read(self, line: Line, where: str) -> Line:
        """The text to translate; `where` names the line in errors."""

    def write(self, line: Line, translation: Translation) -> str:
        """The output line, which holds the translation."""


class Whole:
    """The whole line is the text; its translation replaces it."""

    def read(self, line: Line, where: str) -> Line:
        return line

    def write(self, line: Line, translation: Translation) -> str:
        return translation.text + line.ending


class Column:
    """A column of tab-separated values; the translation is appended as the last column.

    Args:
        number: the column, counted from 1.
    """

    def __init__(self, number: int) -> None:
        self.number = number

    def read(self, line: Line, where: str) -> Line:
        columns = line.text.split("\t")
        if self._is_blank(line.text):
            return line
        if len(columns) < self.number:
            raise UserError(
                f"{where}: expected a column {self.number} between tabs, found {len(columns)} "
                "columns; correct the line, or name another --field"
            )
        return Line(columns[self.number - 1], line.ending, line.text)

    def write(self, line: Line, translation: Translation) -> str:
        if self._is_blank(line.whole):
            return line.whole + line.ending
        return f"{line.whole}\t{translation.text.replace(chr(9), ' ')}{line.ending}"

    def _is_blank(self, text: str) -> bool:
        """Whether there is nothing in a line; a row of empty cells gets another one."""
        return not text.strip() and text.count("\t") + 1 < max(2, self.number)


class Key:
    """A key of a JSON object; the translation is added under `translation`.

    Args:
        name: the key.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def read(self, line: Line, where: str) -> Line:
        if not line.text.strip():
            return line
        try:
            found: Any = json.loads(line.text)
        except (ValueError, RecursionError) as error:
            raise UserError(
                f"{where}: expected a JSON object, found other text ({error})"
            ) from None
        if isinstance(found, dict) and KEY in found:
            raise UserError(
                f"{where}: expected no key {KEY!r}, where the translation goes, found one; rename "
                "it"
            )
        text = found.get(self.name) if isinstance(found, dict) else None
        if not isinstance(text, str):
            raise UserError(
                f"{where}: expected a JSON object with a text under {self.name!r}, found none; "
                "correct the line, or name another --field"
            )
        # JSON can contain a lone surrogate, "\ud83d", which is no character.
        whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return Line(whole, line.ending, line.text)

    def write(self, line: Line, translation: Translation) -> str:
        if not line.whole.strip():
            return line.whole + line.ending
        added = json.dumps(translation.text, ensure_ascii=False)
        return f'{line.whole.rstrip()[:-1]}, "{KEY}": {added}}}{line.ending}'


def field_of(name: str | None) -> Field:
    """The field that `--field` names: a number is a column, another name a key, None the line.

    Raises:
        UserError: a column number below 1.
    """
    if name is None:
        return Whole()
    if not re.fullmatch(r"-?\d+", name):
        return Key(name)
    if int(name) < 1:
        raise UserError(f"--field: expected a column from 1 or a key, found {name}")
    return Column(int(name))
