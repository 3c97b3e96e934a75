"""XLIFF and TMX: targets are added, and all else of the file is what it was."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from lxml import etree

from nmt.documents import tmx, xliff
from nmt.documents.markup import LANGUAGE
from nmt.documents.parts import Translated
from nmt.documents.segments import Document, Raw
from nmt.errors import UserError
from tests.documents.standin import Say, backwards, echo, raw, shout, translated

XLIFF_1 = """<?xml version="1.0" encoding="UTF-8"?>
<!-- kept -->
<xliff xmlns="urn:oasis:names:tc:xliff:document:1.2" xmlns:my="urn:my" version="1.2">
  <file original="a.html" source-language="en" datatype="html" my:key="1">
    <header><my:thing>one</my:thing></header>
    <body>
      <group id="g1">
        <trans-unit id="1" my:key="2">
          <source>Open the <g id="1" ctype="x-b">red <x id="2"/> file</g>.</source>
          <note>for translators</note>
        </trans-unit>
        <trans-unit id="2">
          <source>Save <bpt id="1">&lt;i&gt;</bpt>it<ept id="1">&lt;/i&gt;</ept> in %s</source>
          <target state="new">Save it</target>
        </trans-unit>
      </group>
      <trans-unit id="3"><source>done</source><target state="final">fertig</target></trans-unit>
      <trans-unit id="4" translate="no"><source>CODE</source></trans-unit>
      <trans-unit id="5"><source><x id="1"/></source></trans-unit>
      <trans-unit id="6">
        <source>
          folded over
          lines <mrk mtype="protected">MyApp</mrk>
        </source>
        <alt-trans><source>folded</source><target>gefaltet</target></alt-trans>
      </trans-unit>
      <trans-unit id="7" xml:space="preserve"><source>two
lines</source></trans-unit>
    </body>
  </file>
</xliff>
"""

XLIFF_2 = """<?xml version="1.0" encoding="UTF-8"?>
<xliff xmlns="urn:oasis:names:tc:xliff:document:2.0" version="2.0" srcLang="en">
  <file id="f">
    <unit id="1">
      <originalData><data id="d1">&lt;br/></data></originalData>
      <segment id="s1">
        <source>Open <pc id="1">the <ph id="2" dataRef="d1"/> file</pc> now.</source>
      </segment>
      <ignorable><source> </source></ignorable>
      <segment id="s2">
        <source><sc id="3"/>Close<ec startRef="3"/> {name}!</source>
      </segment>
    </unit>
    <unit id="2">
      <notes><note>for translators</note></notes>
      <segment><source>done</source><target>fertig</target></segment>
    </unit>
    <unit id="3" translate="no"><segment><source>CODE</source></segment></unit>
  </file>
</xliff>
"""

TMX = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE tmx SYSTEM "tmx14.dtd">
<tmx version="1.4">
  <header creationtool="x" segtype="sentence" adminlang="en" srclang="en" datatype="plaintext"/>
  <body>
    <tu tuid="1">
      <prop type="x">y</prop>
      <note>for translators</note>
      <tuv xml:lang="en-GB">
        <seg>Open <bpt i="1">&lt;b&gt;</bpt>the file<ept i="1">&lt;/b&gt;</ept> <ph x="1"/></seg>
      </tuv>
    </tu>
    <tu tuid="2">
      <tuv xml:lang="en"><seg>done</seg></tuv>
      <tuv xml:lang="de"><seg>fertig</seg></tuv>
    </tu>
    <tu tuid="3"><tuv xml:lang="fr"><seg>fini</seg></tuv></tu>
    <tu tuid="4">
      <tuv xml:lang="en"><seg>the <hi>end</hi></seg></tuv>
      <tuv xml:lang="de"><seg/></tuv>
    </tu>
  </body>
</tmx>
"""

ADDED = {"target", "tuv", "seg"}
READ: dict[str, tuple[Callable[[Raw], Document], str]] = {
    "a.xlf": (xliff.read, XLIFF_1),
    "b.xliff": (xliff.read, XLIFF_2),
    "c.tmx": (tmx.read, TMX),
}


def parsed(name: str, say: Say = shout) -> etree._Element:
    read, content = READ[name]
    return etree.fromstring(translated(read(raw(content, name)), say))


def local(element: etree._Element) -> str:
    return str(etree.QName(element).localname)


def outline(root: etree._Element) -> list[tuple[str, dict[str, str], str]]:
    """All that has nothing to do with targets."""
    return [
        (local(element), dict(element.attrib), (element.text or "").strip())
        for element in root.iter("*")
        if not {local(one) for one in (element, *element.iterancestors())} & ADDED
    ]


def told(root: etree._Element, name: str) -> list[str]:
    """Each element of that name as it is written, without its namespaces."""
    found = [etree.tostring(one, encoding="unicode", with_tail=False) for one in root.iter(name)]
    return [re.sub(r' xmlns(:\w+)?="[^"]*"', "", one) for one in found]


@pytest.mark.parametrize("name", READ)
@pytest.mark.parametrize("say", [shout, backwards])
def test_all_else_is_what_it_was(name: str, say: Say) -> None:
    before, after = etree.fromstring(READ[name][1].encode()), parsed(name, say)
    own = {"target-language", "trgLang", "state"}  # tested below
    kept = [
        (element, {key: value for key, value in attributes.items() if key not in own}, text)
        for element, attributes, text in outline(after)
    ]
    assert kept == outline(before)


@pytest.mark.parametrize(("name", "count"), [("a.xlf", 5), ("b.xliff", 2)])
def test_inline_elements_are_those_of_the_source(name: str, count: int) -> None:
    made = [
        target
        for target in parsed(name, backwards).iter("{*}target")
        if target.text not in ("fertig", "gefaltet")
    ]
    assert len(made) == count
    for target in made:
        source = target.getparent().find("{*}source")
        found, wanted = (
            sorted((local(one), sorted(one.attrib.items())) for one in side.iter("*"))
            for side in (target, source)
        )
        assert [one for one in found if one[0] != "target"] == [
            one for one in wanted if one[0] != "source"
        ]


def test_xliff_1_targets() -> None:
    root = parsed("a.xlf")
    assert root[0].get("target-language") == "de"
    machine = '<target state="translated" state-qualifier="mt-suggestion">'
    assert told(root, "{*}target") == [
        f'{machine}OPEN THE <g id="1" ctype="x-b">RED <x id="2"/> FILE</g>.</target>',
        f'{machine}SAVE <bpt id="1">&lt;i&gt;</bpt>IT<ept id="1">&lt;/i&gt;</ept> IN %s</target>',
        '<target state="final">fertig</target>',
        f'{machine}<x id="1"/></target>',
        f'{machine} FOLDED OVER LINES <mrk mtype="protected">MyApp</mrk> </target>',
        "<target>gefaltet</target>",
        f"{machine}TWO\nLINES</target>",
    ]
    unit = root.find(".//{*}trans-unit")
    assert [local(child) for child in unit] == ["source", "target", "note"]
    # What is new is laid out as what is there.
    assert unit[0].tail == unit[1].tail == "\n          "


def test_xliff_2_targets() -> None:
    root = parsed("b.xliff")
    assert root.get("trgLang") == "de"
    assert told(root, "{*}target") == [
        '<target>OPEN <pc id="1">THE <ph id="2" dataRef="d1"/> FILE</pc> NOW.</target>',
        '<target><sc id="3"/>CLOSE<ec startRef="3"/> {name}!</target>',
        "<target>fertig</target>",
    ]
    states = [segment.get("state") for segment in root.iter("{*}segment")]
    assert states == ["translated", "translated", None, None]


def test_tmx_variants() -> None:
    said: list[str] = []
    document = tmx.read(raw(TMX, "c.tmx", said))
    content = translated(document)
    assert b'<!DOCTYPE tmx SYSTEM "tmx14.dtd">' in content
    root = etree.fromstring(content)
    variants = [(tuv.get(LANGUAGE), told(tuv, "seg")) for tuv in root.iter("tuv")]
    pair = '<bpt i="1">&lt;b&gt;</bpt>THE FILE<ept i="1">&lt;/b&gt;</ept>'
    assert variants[1] == ("de", [f'<seg>OPEN {pair} <ph x="1"/></seg>'])
    assert [language for language, _ in variants] == ["en-GB", "de", "en", "de", "fr", "en", "de"]
    assert variants[-1][1] == ["<seg>THE <hi>END</hi></seg>"]
    assert said == [
        "c.tmx: expected text in en, which the run reads, found none in 1 of 4 units; "
        "they are left so"
    ]


def careless(text: str) -> Translated:
    return Translated("Das hat %s.", echo(text).aligned)


FAULT = "nmt: expected %s not at all, found it once"


def test_xliff_1_tells_of_other_tags() -> None:
    unit = parsed("a.xlf", careless).find(".//{*}trans-unit")
    assert [local(child) for child in unit] == ["source", "target", "note", "note"]
    target, note = unit[1], unit[2]
    assert (target.text, target.get("state")) == ("Das hat %s.", "needs-review-translation")
    assert (note.text, len(target)) == (FAULT, 0)


def test_xliff_2_tells_of_other_tags() -> None:
    unit = parsed("b.xliff", careless).find(".//{*}unit")
    assert [local(child) for child in unit] == [
        "notes",
        "originalData",
        "segment",
        "ignorable",
        "segment",
    ]
    assert [(note.text, note.get("appliesTo")) for note in unit[0]] == [(FAULT, "target")] * 2
    assert [segment.get("state") for segment in unit.iter("{*}segment")] == ["initial"] * 2
    assert unit.find(".//{*}target").text == "Das hat %s."


def test_tmx_tells_of_other_tags() -> None:
    variant = parsed("c.tmx", careless).findall(".//tuv")[1]
    assert [(local(child), child.text) for child in variant] == [
        ("note", FAULT),
        ("seg", "Das hat %s."),
    ]


def test_a_language_that_is_there_is_kept_and_told() -> None:
    said: list[str] = []
    content = XLIFF_2.replace('srcLang="en"', 'srcLang="en" trgLang="fr"')
    document = xliff.read(raw(content, "b.xliff", said))
    assert b'trgLang="fr"' in translated(document)
    assert "expected the target language de" in said[0]


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (re.sub('source-language="[^"]*"', 'source-language="fr"', XLIFF_1), "a.xlf"),
        (XLIFF_2.replace('srcLang="en"', 'srcLang="fr"'), "b.xliff"),
    ],
)
def test_a_source_in_another_language_is_told(content: str, name: str) -> None:
    said: list[str] = []
    xliff.read(raw(content, name, said))
    assert f"{name}: expected the source language en, which the run reads, found fr" in said[0]


STATES = """<xliff xmlns="urn:oasis:names:tc:xliff:document:1.2" version="1.2">
  <file original="a" source-language="en" target-language="de" datatype="plaintext"><body>
    <trans-unit id="1" approved="yes"><source>one</source><target state="new"/></trans-unit>
    <trans-unit id="2"><source>two</source><target state="needs-translation">two</target>
    </trans-unit>
    <trans-unit id="3"><source>three</source><seg-source><mrk mtype="seg" mid="1">three</mrk>
    </seg-source><note>n</note></trans-unit>
    <trans-unit id="4"><source>four</source><target state="signed-off">vier</target></trans-unit>
  </body></file>
</xliff>"""


def test_what_is_approved_stays_and_what_has_no_translation_yet_gets_one() -> None:
    root = etree.fromstring(translated(xliff.read(raw(STATES, "a.xlf"))))
    units = {unit.get("id"): unit for unit in root.iter("{*}trans-unit")}
    texts = {number: unit.find("{*}target").itertext() for number, unit in units.items()}
    found = {number: "".join(text).strip() for number, text in texts.items()}
    assert found == {"1": "", "2": "TWO", "3": "THREE", "4": "vier"}
    # The schema wants the target between the segmented source and all notes.
    assert [local(one) for one in units["3"]] == ["source", "seg-source", "target", "note"]


def segmented(target: str) -> str:
    return f"""<xliff xmlns="urn:oasis:names:tc:xliff:document:1.2" version="1.2">
  <file original="a" source-language="en" target-language="de" datatype="plaintext"><body>
    <trans-unit id="1"><source>One. <g id="1">Two</g> %s. Three.</source><seg-source><mrk
      mtype="seg" mid="1">One.</mrk> <mrk mtype="seg" mid="2"><g id="1">Two</g> %s.</mrk> <mrk
      mtype="seg" mid="3">Three.</mrk></seg-source>{target}</trans-unit></body></file></xliff>"""


EMPTY = "<target>" + " ".join(f'<mrk mtype="seg" mid="{n}"/>' for n in (1, 2, 3)) + "</target>"
AS_SOURCE = '<target state="new">One. Two %s. Three.</target>'
PARTLY = EMPTY.replace('mid="2"/>', 'mid="2">Zwei %s.</mrk>')


@pytest.mark.parametrize(
    ("target", "count", "second"),
    [("", 3, "TWO %s."), (EMPTY, 3, "TWO %s."), (AS_SOURCE, 3, "TWO %s."), (PARTLY, 2, "Zwei %s.")],
)
def test_a_segmented_unit_is_translated_segment_by_segment(
    target: str, count: int, second: str
) -> None:
    document = xliff.read(raw(segmented(target), "a.xlf"))
    assert len(document.segments) == count
    made = translated(document)
    [found] = etree.fromstring(made).iter("{*}target")
    assert ["".join(mark.itertext()) for mark in found] == ["ONE.", second, "THREE."]
    assert [mark.get("mid") for mark in found] == ["1", "2", "3"]
    assert [mark.tail for mark in found] == [" ", " ", None]
    assert found.get("state") == "translated"
    assert not xliff.read(raw(made.decode(), "a.xlf")).segments


@pytest.mark.parametrize("mids", [(None, None, None), ("1", "1", "2")])
def test_segments_that_cannot_be_told_apart_are_translated_as_one(
    mids: tuple[str | None, ...],
) -> None:
    content = segmented("")
    for number, mid in enumerate(mids, start=1):
        content = content.replace(f'mid="{number}"', f'mid="{mid}"' if mid else "", 1)
    document = xliff.read(raw(content, "a.xlf"))
    assert len(document.segments) == 1
    [found] = etree.fromstring(translated(document)).iter("{*}target")
    assert "".join(found.itertext()) == "ONE. TWO %s. THREE."


def test_a_segmented_unit_with_one_bad_segment_is_to_be_read() -> None:
    def slip(text: str) -> Translated:
        return careless(text) if text == "One." else shout(text)

    document = xliff.read(raw(segmented(""), "a.xlf"))
    root = etree.fromstring(translated(document, slip))
    [found] = root.iter("{*}target")
    assert found.get("state") == "needs-review-translation"
    assert [note.text for note in root.iter("{*}note")] == [FAULT]


def test_a_state_that_was_told_more_exactly_is_told_so_no_more() -> None:
    content = XLIFF_2.replace('id="s1"', 'id="s1" state="initial" subState="my:empty"')
    root = etree.fromstring(translated(xliff.read(raw(content, "b.xliff"))))
    segment = next(root.iter("{*}segment"))
    assert segment.attrib == {"id": "s1", "state": "translated"}


@pytest.mark.parametrize("alone", ["", " standalone='yes'"])
def test_the_declaration_of_a_file_is_kept(alone: str) -> None:
    body = re.sub(r"<\?xml.*?\?>", "", XLIFF_2).strip()
    content = translated(xliff.read(raw(f"<?xml version='1.0'{alone}?>\n{body}", "b.xliff")))
    assert content.startswith(f"<?xml version='1.0' encoding='UTF-8'{alone}?>\n".encode())


def test_what_xml_cannot_hold_is_replaced() -> None:
    document = xliff.read(raw(XLIFF_2, "b.xliff"))
    content = translated(document, lambda text: Translated("a\x00\x1bb", echo(text).aligned))
    assert "a\ufffd\ufffdb" in etree.tostring(etree.fromstring(content), encoding="unicode")


BOMB = '<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "' + "&x;" * 10 + '">]>'
THIEF = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]>'


@pytest.mark.parametrize("doctype", [BOMB, THIEF])
@pytest.mark.parametrize("name", READ)
def test_a_bomb_and_a_thief_are_refused(doctype: str, name: str) -> None:
    read, content = READ[name]
    content = re.sub("<!DOCTYPE.*?>", "", content).replace("?>", f"?>{doctype}", 1)
    with pytest.raises(UserError, match=f"{name}: expected no entity of the file's own"):
        read(raw(content, name))


def test_a_large_bomb_is_not_lit() -> None:
    levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    content = f'<!DOCTYPE tmx [<!ENTITY e0 "ha">{levels}]><tmx a="&e11;"><body>&e11;</body></tmx>'
    with pytest.raises(UserError, match=r"c\.tmx.*: expected"):
        tmx.read(raw(content, "c.tmx"))


def test_an_entity_that_a_file_elsewhere_declares_is_kept() -> None:
    content = TMX.replace("the <hi>end</hi>", "the&nbsp;end")
    assert b"THE&nbsp;END" in translated(tmx.read(raw(content, "c.tmx")))


@pytest.mark.parametrize("name", READ)
def test_a_damaged_file_is_named_with_its_line(name: str) -> None:
    read, content = READ[name]
    with pytest.raises(UserError, match=f"{name}, line 7: expected well-formed XML"):
        read(raw("\n".join(content.splitlines()[:7]), name))
    with pytest.raises(UserError, match=f"{name}, line 1: expected well-formed XML"):
        read(raw(b"", name))
    with pytest.raises(UserError, match=rf"{name}, line \d+: expected well-formed XML"):
        read(raw(content.encode().replace(b'="en', b'="\xff', 1), name))


def test_another_kind_of_xml_is_refused() -> None:
    with pytest.raises(UserError, match=r"a\.xlf: expected XLIFF .* found <b> of version none"):
        xliff.read(raw("<b/>", "a.xlf"))
    with pytest.raises(UserError, match=r"version 3\.0"):
        xliff.read(raw('<xliff version="3.0"/>', "a.xlf"))
    with pytest.raises(UserError, match=r"a\.tmx: expected <tmx>, found <b>"):
        tmx.read(raw("<b/>", "a.tmx"))


ANGULAR = """<xliff xmlns="urn:oasis:names:tc:xliff:document:1.2" version="1.2">
  <file original="a" source-language="en" target-language="de" datatype="plaintext"><body>
    <trans-unit id="1"><source>{}</source></trans-unit></body></file></xliff>"""


@pytest.mark.parametrize("unit", ['<x id="INTERPOLATION"/> minutes', "# minutes"])
def test_a_choice_is_left_as_it_is_and_marked(unit: str) -> None:
    source = f"{{N, plural, =1 {{a minute}} other {{{unit}}}}}"
    made = etree.fromstring(translated(xliff.read(raw(ANGULAR.format(source), "a.xlf"))))
    [target] = made.iter("{*}target")
    assert target.get("state") == "needs-review-translation"
    assert told(made, "{*}target")[0].partition(">")[2] == f"{source}</target>"
    [note] = made.iter("{*}note")
    assert note.text == "nmt: expected one text, found a choice between several"


def test_angulars_two_elements_are_a_pair() -> None:
    choice = '<x id="ICU" equiv-text="{N, plural, other {b}}"/>'  # stands in another unit
    source = f'the <x id="START_LINK_1"/>new red car<x id="CLOSE_LINK"/> is {choice}'
    document = xliff.read(raw(ANGULAR.format(source), "a.xlf"))
    made = etree.fromstring(translated(document, backwards))
    [target] = made.iter("{*}target")
    assert target.get("state") == "translated"
    assert [one.get("id") for one in target] == ["START_LINK_1", "CLOSE_LINK", "ICU"]
    assert target[0].tail == "CAR RED NEW"


VARIETIES = """<tmx version="1.4"><header srclang="en"/><body><tu>
<tuv xml:lang="en-GB"><seg>colour</seg></tuv><tuv xml:lang="en"><seg>color</seg></tuv>
<tuv xml:lang="zh-CN"><seg>done</seg></tuv></tu></body></tmx>"""


def test_of_several_varieties_of_a_language_the_one_of_the_run_is_read_and_written() -> None:
    given = replace(raw(VARIETIES, "c.tmx"), languages=("en", "zh-TW"))
    root = etree.fromstring(translated(tmx.read(given)))
    found = {tuv.get(LANGUAGE): tuv.findtext("seg") for tuv in root.iter("tuv")}
    assert found == {"en-GB": "colour", "en": "color", "zh-CN": "done", "zh-TW": "COLOR"}
