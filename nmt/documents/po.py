"""PO and POT: the catalogues of gettext.

Entries without a translation get one; those that are translated, fuzzy or obsolete stay.
polib comes with the extra `documents` and is imported when such a file is read.
"""

import codecs
import gettext
import io
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from nmt.documents.segments import Raw, Result, Segment, note_of
from nmt.errors import UserError
from nmt.files import errors_named
from nmt.lines import Invalid, read_lines

if TYPE_CHECKING:
    from polib import POEntry, POFile

Form = int | None
"""Which plural form of an entry; None is an entry that has no plural."""

PRINTF = {f"{language}-format" for language in ("c", "objc", "python", "php", "perl", "lua")}
"""Flags of entries that a function like printf reads."""

ENOUGH = 1000
"""Numbers that show which plural forms a language has, and for how many numbers each."""


class Catalogue:
    """A PO file, and what of it is to be translated."""

    def __init__(self, file: "POFile", raw: Raw) -> None:
        self.file = file
        self.places: list[tuple[POEntry, Form]] = []
        self.segments: list[Segment] = []
        forms = _plural_forms(file.metadata.get("Plural-Forms", ""))
        left = 0
        for entry in file:
            if entry.obsolete or entry.fuzzy:
                continue
            if not entry.msgid_plural:
                self._add(entry, None, entry.msgid, entry.msgstr)
            elif forms is None:
                left += 1
            else:
                for form in range(forms.count):
                    text = _text_of_form(entry, form, forms.of_number)
                    self._add(entry, form, text, entry.msgstr_plural.get(form, ""))
        if left:
            raw.say(
                f"{raw.name}: expected Plural-Forms in the header to translate {left:,} entries "
                "with a plural, found none; add it, and translate them again"
            )

    def _add(self, entry: "POEntry", form: Form, text: str, translation: str) -> None:
        if not translation and text.strip():
            self.places.append((entry, form))
            # There a percent sign always begins a placeholder: `% f` of "100% fine" is one.
            self.segments.append(Segment.of([text], "%" if PRINTF & set(entry.flags) else ""))

    def write(self, results: Sequence[Result]) -> bytes:
        for (entry, form), result in zip(self.places, results, strict=True):
            if form is None:
                entry.msgstr = result.text
            else:
                entry.msgstr_plural[form] = result.text
            if result.fault:
                told = entry.tcomment.splitlines()
                note = note_of(result.fault)  # once, where several plural forms have the same
                entry.tcomment = "\n".join([*told, *([] if note in told else [note])])
                entry.flags += [] if entry.fuzzy else ["fuzzy"]
        content = str(self.file)
        return (content if content.endswith("\n") else f"{content}\n").encode("utf-8")


def read(raw: Raw) -> Catalogue:
    """Understands a PO file.

    Raises:
        UserError: it is damaged, or polib is not installed.
    """
    try:
        import polib
    except ImportError:
        raise UserError(
            f"{raw.name}: PO files need polib, which is not installed; "
            "`pip install 'nmt[documents]'` adds it"
        ) from None
    text = _decoded(raw)
    # Of a string polib takes U+2028 and others for the end of a line; of a file, as gettext does,
    # line feeds and carriage returns alone.
    with TemporaryDirectory() as folder:
        path = Path(folder) / "text.po"
        with errors_named(path):
            path.write_bytes(text.encode())
        try:
            file = polib.pofile(str(path), encoding="utf-8")
        except OSError as error:
            number = re.search(r"line (\d+)", str(error))
            raise UserError(
                f"{raw.name}, line {number[1] if number else 1}: expected an entry of a PO file, "
                "found something else; `msgfmt -c` tells more"
            ) from None
    _complete(file, raw)
    return Catalogue(file, raw)


def _decoded(raw: Raw) -> str:
    """The text of a file in the encoding that its header names."""
    named = re.search(rb"charset=([\w.:-]+)", raw.content)
    encoding = "utf-8"
    with suppress(LookupError):  # a template says CHARSET
        encoding = codecs.lookup(named[1].decode()).name if named else encoding
    if encoding not in ("utf-8", "ascii"):
        try:
            return raw.content.decode(encoding, "strict" if raw.strict else "replace")
        except (LookupError, UnicodeError) as error:
            raise UserError(
                f"{raw.name}: expected text in {encoding}, as its header says, found other bytes "
                f"({error}); convert the file to UTF-8"
            ) from None
    invalid = Invalid()
    lines = read_lines(io.BytesIO(raw.content), raw.name, None if raw.strict else invalid)
    text = "".join(line.text + line.ending for line in lines)
    if invalid.count:
        raw.say(invalid.told(raw.name))
    return text


def _complete(file: "POFile", raw: Raw) -> None:
    """A header that says the encoding and the language of what is written."""
    header = file.metadata
    if language := header.get("Language"):
        raw.expect_target(language)
    else:
        header["Language"] = raw.languages[1]
    header.setdefault("MIME-Version", "1.0")
    header["Content-Type"] = "text/plain; charset=UTF-8"
    header["Content-Transfer-Encoding"] = "8bit"
    file.encoding = "utf-8"


@dataclass(frozen=True)
class Plurals:
    """How many plural forms a language has, and the form of each number."""

    count: int
    of_number: list[int]


def _plural_forms(header: str) -> Plurals | None:
    """What the header says of plurals, if it says anything that makes sense."""
    match = re.fullmatch(r"\s*nplurals\s*=\s*(\d)\s*;\s*plural\s*=([^;]+);?\s*", header)
    if match is None:
        return None
    try:
        return Plurals(int(match[1]), list(map(gettext.c2py(match[2]), range(ENOUGH))))
    except (ValueError, ZeroDivisionError):
        return None


def _text_of_form(entry: "POEntry", form: int, of_number: Sequence[int]) -> str:
    """The singular for the form of 1, unless all numbers take it, or others that it hides."""
    if of_number[1] != form or of_number[2] == form:
        return entry.msgid_plural
    alone = of_number.count(form) == 1
    one, many = (
        [tag.text for tag in Segment.of([text]).tags] for text in (entry.msgid, entry.msgid_plural)
    )
    return entry.msgid if alone or sorted(one) == sorted(many) else entry.msgid_plural
