"""PO files: what is untranslated is translated, the rest stays, and gettext's own tool agrees."""

import random
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import polib
import pytest

from nmt.documents import po
from nmt.documents.parts import CHOSEN, Translated
from nmt.errors import UserError
from tests.documents.standin import Say, backwards, echo, raw, shout, translated

HEADER = r"""
# Translators' names
msgid ""
msgstr ""
"Project-Id-Version: app 1\n"
"Language: \n"
"MIME-Version: 1.0\n"
"Content-Type: text/plain; charset=UTF-8\n"
"Content-Transfer-Encoding: 8bit\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\n"
"""

ENTRIES = r"""
#. for translators
#: app.c:1
msgid "Open the <b>file</b>"
msgstr ""

#, c-format
msgid "%s has %d new messages.\n"
msgstr ""

msgctxt "menu"
msgid "&File"
msgstr ""

#, c-format
msgid "%d file"
msgid_plural "%d files"
msgstr[0] ""
msgstr[1] ""

msgid "done"
msgstr "fertig"

#, fuzzy
msgid "nearly done"
msgstr "beinahe"

msgid "50% off – 100 %\tcertain"
msgstr ""

msgid ""
"\n"
"first line\n"
"  second line\n"
msgstr ""

msgid "%s"
msgstr ""

#~ msgid "old"
#~ msgstr "alt"
"""


def catalogue(entries: str, say: Say = shout, header: str = HEADER) -> polib.POFile:
    return polib.pofile(translated(po.read(raw(header + entries, "app.po")), say).decode())


def accepted(path: Path) -> None:
    """Gettext's own check, the last of a test: without gettext the rest has been tested."""
    if not shutil.which("msgfmt"):
        pytest.skip("msgfmt of gettext is not installed")
    done = subprocess.run(
        ["msgfmt", "-c", "--check-accelerators=&", "-o", str(path.with_suffix(".mo")), path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("say", [shout, backwards])
def test_a_catalogue_is_translated_and_stays_valid(say: Say, tmp_path: Path) -> None:
    content = translated(po.read(raw(HEADER + ENTRIES, "app.po")), say)
    (tmp_path / "app.po").write_bytes(content)
    before, after = polib.pofile(HEADER + ENTRIES), polib.pofile(content.decode())
    assert [entry.msgid for entry in after] == [entry.msgid for entry in before]
    assert after.metadata == {**before.metadata, "Language": "de"}
    for was, now in zip(before, after, strict=True):
        if was.translated() or was.fuzzy or was.obsolete:
            assert str(now) == str(was)
        else:
            assert now.translated() and (now.comment, now.msgctxt) == (was.comment, was.msgctxt)
    accepted(tmp_path / "app.po")


def test_what_is_written_in_each_entry() -> None:
    found = {entry.msgid: entry for entry in catalogue(ENTRIES)}
    assert found["Open the <b>file</b>"].msgstr == "OPEN THE <b>FILE</b>"
    assert found["%s has %d new messages.\n"].msgstr == "%s HAS %d NEW MESSAGES.\n"
    assert found["&File"].msgstr == "&FILE" and found["&File"].msgctxt == "menu"
    assert found["%d file"].msgstr_plural == {0: "%d FILE", 1: "%d FILES"}
    assert found["50% off – 100 %\tcertain"].msgstr == "50% OFF – 100 %\tCERTAIN"
    assert found["\nfirst line\n  second line\n"].msgstr == "\nFIRST LINE\n  SECOND LINE\n"
    assert found["%s"].msgstr == "%s"
    assert [entry.msgid for entry in found.values() if entry.fuzzy] == ["nearly done"]


SENTENCE = "one two three, four. Five! (six) &seven E&xit R&D 100% a_b _Open 東京"
PIECES = SENTENCE.split()
TAGS = {
    "": ["%s", "%1$s", "%(n)s", "{0}", "{}", "<b>", "</b>", "<br/>", "&nbsp;", "a@b.org"],
    "c": ["%s", "%d", "%%", "<b>", "</b>"],
    "python": ["%(n)s", "%(m)d", "%%", "<i>", "</i>"],
}


@pytest.mark.parametrize("language", TAGS)
def test_gettext_accepts_what_is_made_of_any_mixture(language: str, tmp_path: Path) -> None:
    draw = random.Random(1)
    flags = [f"{language}-format"] if language else []
    texts = {
        "".join(
            draw.choice(draw.choice([PIECES, PIECES, TAGS[language]]))
            + draw.choice([" ", " ", "", "\n", "\t"])
            for _ in range(draw.randint(1, 9))
        )
        for _ in range(500)
    }
    entries = [str(polib.POEntry(msgid=text, flags=flags)) for text in sorted(texts)]
    content = translated(po.read(raw("\n".join([HEADER, *entries]), "app.po")), backwards)
    (tmp_path / "app.po").write_bytes(content)
    found = polib.pofile(content.decode())
    assert all(entry.msgstr and entry.fuzzy == bool(entry.tcomment) for entry in found)
    assert sum(not entry.fuzzy for entry in found) > len(found) / 2
    accepted(tmp_path / "app.po")


def test_other_tags_leave_an_entry_fuzzy_with_the_reason(tmp_path: Path) -> None:
    entries = r"""
#  by hand
#, c-format
msgid "%s of %d\n"
msgstr ""

#, c-format
msgid "%d file"
msgid_plural "%d files"
msgstr[0] ""
msgstr[1] ""
"""

    def careless(text: str) -> Translated:
        return Translated("Es sind %d", echo(text).aligned)

    content = translated(po.read(raw(HEADER + entries, "app.po")), careless)
    (tmp_path / "app.po").write_bytes(content)
    first, second = polib.pofile(content.decode())
    assert first.fuzzy and second.fuzzy and "c-format" in first.flags
    assert first.msgstr == "Es sind %d\n"
    assert first.tcomment == " by hand\nnmt: expected %d once, found it twice"
    assert second.tcomment.count("nmt: expected %d once, found it twice") == 1
    accepted(tmp_path / "app.po")


def test_a_percent_sign_of_its_own_is_told_where_printf_reads() -> None:
    entry = '#, {}\nmsgid "100% fine"\nmsgstr ""\n'
    (found,) = catalogue(entry.format("c-format"))
    assert found.fuzzy and found.msgstr == "100% FINE"
    assert found.tcomment == "nmt: expected % in placeholders only, found it elsewhere"
    (found,) = catalogue(entry.format("no-c-format"))
    assert not found.fuzzy


@pytest.mark.parametrize(
    ("forms", "wanted"),
    [
        ("nplurals=1; plural=0;", ["%d FILES"]),
        ("nplurals=2; plural=n>1;", ["%d FILE", "%d FILES"]),
        ("nplurals=3; plural=(n==1 ? 0 : n<5 ? 1 : 2);", ["%d FILE", "%d FILES", "%d FILES"]),
    ],
)
def test_each_plural_form_has_its_number(forms: str, wanted: list[str], tmp_path: Path) -> None:
    header = HEADER.replace("nplurals=2; plural=(n != 1);", forms)
    # A template has two forms, whatever the language.
    entry = 'msgid "%d file"\nmsgid_plural "%d files"\nmsgstr[0] ""\nmsgstr[1] ""\n'
    content = translated(po.read(raw(f"{header}\n{entry}", "app.po")), shout)
    (tmp_path / "app.po").write_bytes(content)
    assert list(polib.pofile(content.decode())[0].msgstr_plural.values()) == wanted
    accepted(tmp_path / "app.po")


def test_what_gettext_reads_otherwise_than_the_library_stays(tmp_path: Path) -> None:
    done = 'msgid "Bell\\a \\033[1m \\\\n"\nmsgstr "Glocke\\a \\033[1m \\\\n"\n'
    open_ = '#by hand\nmsgid "Ring\\a twice\\x1b"\nmsgstr ""\n#.\n'
    content = translated(po.read(raw(f"{HEADER}\n{done}\n{open_}", "app.po")), shout).decode()
    assert done in content
    assert '# by hand\nmsgid "Ring\\a twice\\x1b"\nmsgstr "RING\\a TWICE\\x1b"\n' in content
    (tmp_path / "app.po").write_text(content, encoding="utf-8")
    accepted(tmp_path / "app.po")


def test_a_form_of_many_numbers_tells_the_number() -> None:
    header = HEADER.replace("plural=(n != 1)", "plural=(n%10 != 1)")
    entry = 'msgid "One file"\nmsgid_plural "%d files"\nmsgstr[0] ""\nmsgstr[1] ""\n'
    (found,) = catalogue(entry, header=f"{header}\n")
    assert found.msgstr_plural == {0: "%d FILES", 1: "%d FILES"}
    (found,) = catalogue(entry, header=f"{HEADER}\n")
    assert found.msgstr_plural == {0: "ONE FILE", 1: "%d FILES"}


@pytest.mark.parametrize(
    "forms", ["", "nplurals=INTEGER; plural=EXPRESSION;", "nplurals=2", "nplurals=2; plural=n%0;"]
)
def test_without_plural_forms_plurals_are_left_and_told(forms: str) -> None:
    said: list[str] = []
    header = HEADER.replace("nplurals=2; plural=(n != 1);", forms)
    document = po.read(raw(header + ENTRIES, "app.pot", said))
    assert said == [
        "app.pot: expected valid Plural-Forms in the header to translate 1 entries with a plural, "
        f"found {forms or 'none'}; add them, and translate again"
    ]
    found = polib.pofile(translated(document).decode()).find("%d file")
    assert found and found.msgstr_plural == {0: "", 1: ""}
    done = 'msgid "one"\nmsgid_plural "many"\nmsgstr[0] "eins"\nmsgstr[1] "viele"\n'
    po.read(raw(f"{header}\n{done}", "app.pot", said))
    assert len(said) == 1


def test_a_template_without_a_header_becomes_a_valid_catalogue(tmp_path: Path) -> None:
    content = translated(po.read(raw('msgid "café"\nmsgstr ""\n', "app.pot")))
    (tmp_path / "app.po").write_bytes(content)
    found = polib.pofile(content.decode())
    assert found.metadata["Language"] == "de" and found[0].msgstr == "CAFÉ"
    header = HEADER.replace("UTF-8", "CHARSET")
    assert catalogue('msgid "café"\nmsgstr ""\n', header=f"{header}\n")[0].msgstr == "CAFÉ"
    accepted(tmp_path / "app.po")


def test_another_encoding_becomes_utf8() -> None:
    text = f'{HEADER.replace("UTF-8", "ISO-8859-1")}\nmsgid "café"\nmsgstr ""\n'
    content = translated(po.read(raw(text.encode("latin-1"), "app.po")))
    assert b"charset=UTF-8" in content and 'msgstr "CAFÉ"' in content.decode()


@pytest.mark.parametrize("encoding", ["euc-jp", "gb2312", "zlib", "hex"])
def test_text_in_another_encoding_than_the_header_says_is_refused(encoding: str) -> None:
    text = f'{HEADER.replace("UTF-8", encoding)}\nmsgid "'.encode() + b'\xff"\nmsgstr ""\n'
    with pytest.raises(UserError, match=r"app\.po: expected text in .*, as its header says"):
        po.read(raw(text, "app.po"))


def test_another_language_is_told() -> None:
    said: list[str] = []
    po.read(raw(HEADER.replace("Language: ", "Language: fr"), "app.po", said))
    assert "app.po: expected the target language de" in said[0] and "found fr" in said[0]
    po.read(raw(HEADER.replace("Language: ", "Language: de_AT"), "app.po", said))
    assert len(said) == 1
    brazil = raw(HEADER.replace("Language: ", "Language: pt_BR"), "app.po", said)
    po.read(replace(brazil, languages=("en", "pt-PT")))
    assert "expected the target language pt-PT" in said[1] and "found pt_BR" in said[1]


def test_lines_end_where_gettext_ends_them() -> None:
    signs = "one\u2028two\u0085three"
    entries = f'msgid "{signs}"\nmsgstr ""\n\nmsgid "done"\nmsgstr "fer\u2028tig"\n'
    text = f"# a\x0cb\n{HEADER}\n{entries}"
    content = translated(po.read(raw(text, "a.po")), echo).decode()
    found = {entry.msgid: entry.msgstr for entry in po.read(raw(content, "a.po")).file}
    assert found == {signs: signs, "done": "fer\u2028tig"}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_comments_after_the_last_entry_stay(end: str) -> None:
    last = ["# Local Variables:", "#", '# msgid "out"', "# End:"]
    lines = [*HEADER.splitlines(), "", 'msgid "one"', 'msgstr ""', "", *last, ""]
    content = translated(po.read(raw(end.join(lines), "app.po")), shout).decode()
    assert content.endswith("\n\n" + "\n".join(last) + "\n")
    assert 'msgstr "ONE"' in content
    assert translated(po.read(raw(content, "app.po")), shout).decode() == content


@pytest.mark.parametrize(
    "entry",
    ['msgid "Open', "msgid Open", '"goes', 'msgid "a" b"', 'msgid "a"\n"b\\"'],
)
def test_a_text_without_its_quotes_is_refused_and_not_cut(entry: str) -> None:
    with pytest.raises(UserError, match=r"app\.po, line 1[23]: expected an entry of a PO file"):
        po.read(raw(f'{HEADER}\n{entry}\nmsgstr ""\n', "app.po"))


def test_a_damaged_catalogue_is_named_with_its_line() -> None:
    with pytest.raises(UserError, match=r"app.po, line 12: expected an entry of a PO file"):
        po.read(raw(f"{HEADER}\nnonsense here\n", "app.po"))


@pytest.mark.parametrize(
    ("entry", "missing"),
    [
        ('msgid "one"', "msgstr after this msgid"),
        ('msgid "one"\n# a comment\nmsgid "two"\nmsgstr ""', "msgstr after this msgid"),
        ('msgid "one"\nmsgid_plural "many"\n#', "msgstr after this msgid"),
        ('msgctxt "menu"\n#. a comment', "msgid after this msgctxt"),
        ('#~ msgid "old"', "msgstr after this msgid"),
    ],
)
def test_an_entry_without_a_place_for_its_translation_is_refused(entry: str, missing: str) -> None:
    with pytest.raises(UserError, match=f"app.po, line 12: expected {missing}, found none"):
        po.read(raw(f"{HEADER}\n{entry}\n", "app.po"))


def test_comments_need_no_space() -> None:
    nearly = '#,fuzzy\n#:main.c:3\n#.note\n#|msgid "near"\nmsgid "nearly"\nmsgstr "beinahe"\n'
    old = '#~|msgid "older"\n#~msgid "old"\n#~msgstr "alt"\n'
    document = po.read(raw(f"{HEADER}\n{nearly}\n{old}", "app.po"))
    assert not document.segments
    first, second = document.file
    assert (first.fuzzy, first.occurrences, first.comment) == (True, [("main.c", "3")], "note")
    assert first.previous_msgid == "near"
    assert (second.obsolete, second.msgid, second.msgstr) == (True, "old", "alt")


def test_a_choice_stays_and_leaves_its_entry_fuzzy() -> None:
    choice = "{n, plural, one {a file} other {# files}}"
    (found,) = catalogue(f'msgid "{choice}"\nmsgstr ""\n')
    assert (found.msgstr, found.fuzzy, found.tcomment) == (choice, True, f"nmt: {CHOSEN}")
