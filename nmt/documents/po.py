"""PO and POT: gettext catalogues.

Untranslated entries get a translation; translated, fuzzy and obsolete ones are left unchanged.
polib comes with the extra `documents` and is imported only when such a file is read.
"""

import codecs
import gettext
import io
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from nmt.documents.placeholders import BACKSLASH
from nmt.documents.segments import Raw, Result, Segment, note_of
from nmt.errors import UserError
from nmt.files import errors_named
from nmt.lines import Invalid, read_lines

if TYPE_CHECKING:
    from polib import POEntry, POFile

Form = int | None
"""The plural form of an entry; None if the entry has no plural."""

PRINTF = {f"{language}-format" for language in ("c", "objc", "python", "php", "perl", "lua")}
"""Flags of entries that a printf-like function formats."""

_UNKNOWN_ESCAPE = re.compile(r'\\(?:[\\ntrvbf"]|(.))')
"""Finds all escapes; the group is there in those that polib would take for a backslash."""

_LINE = re.compile(
    r'\s*(?:#.*|(?:(?:msgctxt|msgid|msgid_plural|msgstr(?:\[\d+\])?)\s*)?"(?:[^"\\]|\\.)*"\s*)?'
)
"""A line of a PO file: polib drops the first and last character of a text, whatever they are."""

_KEYWORD = re.compile(r"\s*(?:#~\s*)?(msgctxt|msgid|msgstr)\b")
_FOLLOWING = {"msgctxt": "msgid", "msgid": "msgstr"}
"""The keyword that must follow another in an entry."""

ENOUGH = 1000
"""Numbers tried to find which plural forms a language has and how many numbers take each."""


class Catalogue:
    """A PO file and the segments of it to translate."""

    def __init__(self, file: "POFile", raw: Raw, after: str) -> None:
        self.file = file
        self.after = after  # the comments after the last entry
        self.places: list[tuple[POEntry, Form]] = []
        self.segments: list[Segment] = []
        header = file.metadata.get("Plural-Forms", "")
        forms = _plural_forms(header)
        left = 0
        for entry in file:
            if entry.obsolete or entry.fuzzy:
                continue
            if not entry.msgid_plural:
                self._add(entry, None, entry.msgid, entry.msgstr)
            elif forms is None:
                left += not all(entry.msgstr_plural.values())
            else:
                # Templates have two forms for all languages; more than the header's are refused.
                kept = entry.msgstr_plural.items()
                entry.msgstr_plural = {n: text for n, text in kept if text or n < forms.count}
                for form in range(forms.count):
                    text = _text_of_form(entry, form, forms.of_number)
                    self._add(entry, form, text, entry.msgstr_plural.get(form, ""))
        if left:
            raw.say(
                f"{raw.name}: expected valid Plural-Forms in the header to translate {left:,} "
                f"entries with a plural, found {header or 'none'}; add them, and translate again"
            )

    def _add(self, entry: "POEntry", form: Form, text: str, translation: str) -> None:
        if not translation and text.strip():
            self.places.append((entry, form))
            # In printf formats, "%" always begins a placeholder: `% f` in "100% fine" is one.
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
        content = str(self.file).replace(BACKSLASH, "\\")
        content = content if content.endswith("\n") else f"{content}\n"
        return (f"{content}\n{self.after}\n" if self.after else content).encode("utf-8")


def read(raw: Raw) -> Catalogue:
    """Parses a PO file.

    Raises:
        UserError: it is malformed, or polib is not installed.
    """
    try:
        import polib
    except ImportError:
        raise UserError(
            f"{raw.name}: PO files need polib, which is not installed; "
            "`pip install 'nmt[documents]'` adds it"
        ) from None
    text = _decoded(raw)
    _check(re.split(r"\r\n|\r|\n", text), raw)
    end = _end_of_entries(text)
    after = re.sub(r"\r\n?", "\n", text[end:]).strip()
    text = _for_polib(text[:end])
    # In a string, polib takes U+2028 and others for line ends; in a file, like gettext, only line
    # feeds and carriage returns.
    with TemporaryDirectory() as folder:
        path = Path(folder) / "text.po"
        with errors_named(path):
            path.write_bytes(text.encode())
        try:
            file = polib.pofile(str(path), encoding="utf-8")
        except OSError as error:
            found = re.search(r"line (\d+)", str(error))
            raise _malformed(raw, int(found[1]) if found else 1) from None
    _complete(file, raw)
    return Catalogue(file, raw, after)


def _check(lines: Sequence[str], raw: Raw) -> None:
    """Refuses what polib would cut or drop in silence."""
    for number, line in enumerate(lines, start=1):
        if not _LINE.fullmatch(line):
            raise _malformed(raw, number)
    found = enumerate(map(_KEYWORD.match, lines), start=1)
    words = [(number, match[1]) for number, match in found if match]
    for (number, word), (_, following) in pairwise([*words, (0, "")]):
        if following != _FOLLOWING.get(word, following):
            raise UserError(
                f"{raw.name}, line {number}: expected {_FOLLOWING[word]} after this {word}, "
                "found none; complete the entry or take it out"
            )


def _end_of_entries(text: str) -> int:
    """Where the comments after the last entry begin, which polib drops."""
    end = len(text)
    for line in reversed(re.split(r"(?<=\n)|(?<=\r)(?!\n)", text)):
        content = line.strip()
        if content and (content.startswith("#~") or not content.startswith("#")):
            break
        end -= len(line)
    return end


def _malformed(raw: Raw, line: int) -> UserError:
    return UserError(
        f"{raw.name}, line {line}: expected an entry of a PO file, found something else; "
        "`msgfmt -c` tells more"
    )


def _decoded(raw: Raw) -> str:
    """Decodes a file using the encoding that its header names."""
    named = re.search(rb"charset=([\w.:-]+)", raw.content)
    encoding = "utf-8"
    with suppress(LookupError):  # templates contain the literal CHARSET
        encoding = codecs.lookup(named[1].decode()).name if named else encoding
    if encoding not in ("utf-8", "ascii"):
        try:  # strictly: one wrong byte may put all that follow out of step
            return raw.content.decode(encoding)
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


def _for_polib(text: str) -> str:
    """Changes what gettext reads and polib does not, or reads otherwise."""
    text = _UNKNOWN_ESCAPE.sub(lambda found: BACKSLASH + found[1] if found[1] else found[0], text)
    text = re.sub(r"(?m)^#(?=[^\s#,.:|~])", "# ", text)  # "#by hand" is a comment
    text = re.sub(r"(?m)^(#(?:[,.:|]|~\||~(?!\|)))(?=\S)", r"\1 ", text)  # "#,fuzzy" is a flag
    return f"{text}\n#\n"  # without it, an entry before a last, empty "#." is dropped


def _complete(file: "POFile", raw: Raw) -> None:
    """Completes the header with the encoding and language of the output."""
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
    """The number of plural forms of a language, and the form of each number."""

    count: int
    of_number: list[int]


def _plural_forms(header: str) -> Plurals | None:
    """The plural rule in the header; None if it is missing or invalid."""
    match = re.fullmatch(r"\s*nplurals\s*=\s*(\d)\s*;\s*plural\s*=([^;]+);?\s*", header)
    if match is None:
        return None
    try:
        return Plurals(int(match[1]), list(map(gettext.c2py(match[2]), range(ENOUGH))))
    except (ValueError, ZeroDivisionError):
        return None


def _text_of_form(entry: "POEntry", form: int, of_number: Sequence[int]) -> str:
    """The text to translate for a plural form: the plural, or for the form of 1 the singular.

    The singular will not do if 2 also takes this form, or if other numbers do and the singular
    has other placeholders than the plural.
    """
    if of_number[1] != form or of_number[2] == form:
        return entry.msgid_plural
    alone = of_number.count(form) == 1
    one, many = (
        [tag.text for tag in Segment.of([text]).tags] for text in (entry.msgid, entry.msgid_plural)
    )
    return entry.msgid if alone or sorted(one) == sorted(many) else entry.msgid_plural
