"""XLIFF 1.2, 2.0 and 2.1: units whose target is missing or empty get one.

A segmented unit of XLIFF 1.2 (its `seg-source` holds `mrk` elements of type seg) is translated
segment by segment; source and target segments correspond by their `mid`.
"""

import re
from collections.abc import Sequence
from copy import deepcopy
from typing import TYPE_CHECKING

from nmt.documents.markup import (
    SPACE,
    Inline,
    XmlDocument,
    append,
    by_name,
    children,
    fill,
    insert_after,
    insert_before,
    is_blank,
    like,
    may_translate,
    name_of,
    parse,
)
from nmt.documents.segments import Document, Raw, Result, note_of
from nmt.errors import UserError

if TYPE_CHECKING:
    from lxml.etree import _Element, _ElementTree

INLINE_1 = {
    "g": Inline("around"),
    "mrk": Inline("around"),
    "bpt": Inline("open", ("rid", "id")),
    "ept": Inline("close", ("rid", "id")),
    "bx": Inline("open", ("rid", "id")),
    "ex": Inline("close", ("rid", "id")),
}
INLINE_2 = {
    "pc": Inline("around"),
    "mrk": Inline("around"),
    "sc": Inline("open", ("id",)),
    "ec": Inline("close", ("startRef", "id")),
    "sm": Inline("open", ("id",)),
    "em": Inline("close", ("startRef",)),
}
DOUBTFUL = "needs-review-translation"
UNTRANSLATED = ("new", "needs-translation")
"""States of an XLIFF 1.2 target that still holds the source text, or nothing of value."""


def read(raw: Raw) -> Document:
    """Parses an XLIFF file according to its version.

    Raises:
        UserError: it is malformed, or of another kind or version.
    """
    tree = parse(raw)
    root = tree.getroot()
    version = root.get("version", "none")
    if name_of(root) == "xliff" and version.startswith("1."):
        return _version_1(tree, raw)
    if name_of(root) == "xliff" and version.startswith("2."):
        return _version_2(tree, raw)
    raise UserError(
        f"{raw.name}: expected XLIFF 1.2, 2.0 or 2.1, found <{name_of(root)}> of version {version}"
    )


def _set_languages(elements: Sequence["_Element"], source: str, target: str, raw: Raw) -> None:
    """Checks the language attributes with these names; sets the target's where it is missing."""
    for attribute, expect in ((source, raw.expect_source), (target, raw.expect_target)):
        for found in sorted({element.get(attribute) for element in elements} - {None}):
            expect(found)
    for element in elements:
        element.set(target, element.get(target) or raw.languages[1])


def _version_1(tree: "_ElementTree", raw: Raw) -> XmlDocument:
    root = tree.getroot()
    _set_languages(children(root, "file"), "source-language", "target-language", raw)
    sources: list[_Element] = []
    for unit in root.iter(like(root, "trans-unit")):
        if unit.get("approved") != "yes":
            segments = _marks(unit, "seg-source").values()
            if marks := [mark for mark in segments if may_translate(mark)]:
                sources += [mark for mark in marks if _is_open_mark(unit, mark)]
            else:
                sources += [one for one in children(unit, "source") if _is_open(unit, one)]
    return XmlDocument(tree, sources, _role_1, _accept_1)


def _role_1(element: "_Element") -> Inline | None:
    """By name; but Angular writes an HTML element as two `x`, START_LINK_1 and CLOSE_LINK."""
    name = name_of(element)
    found = re.fullmatch(r"(START|CLOSE)_(.+?)(?:_\d+)?", element.get("id") or "")
    if name != "x" or found is None:
        return INLINE_1.get(name)
    return Inline("open" if found[1] == "START" else "close", key=found[2])


def _marks(unit: "_Element", name: str) -> dict[str | None, "_Element"]:
    """The segments of a unit's source or target, by their `mid`; none if not all have their own."""
    marks = [
        mark
        for place in children(unit, name)
        for mark in place.iter(like(place, "mrk"))
        if mark.get("mtype") == "seg"
    ]
    found = {mark.get("mid"): mark for mark in marks}
    return found if len(found) == len(marks) and None not in found else {}


def _is_open_mark(unit: "_Element", mark: "_Element") -> bool:
    """Whether a segment needs a translation and has none."""
    target = next(iter(children(unit, "target")), None)
    if is_blank(mark):
        return False
    if target is None or not _is_said(target):
        return True
    place = _marks(unit, "target").get(mark.get("mid"))
    return place is not None and is_blank(place)


def _is_said(target: "_Element") -> bool:
    """Whether a target is translated: not blank, and not untranslated according to its state."""
    empty = all(map(is_blank, target)) and {name_of(child) for child in target} <= {"mrk"}
    blank = empty and not "".join(target.itertext()).strip()
    return not blank and target.get("state") not in UNTRANSLATED


def _version_2(tree: "_ElementTree", raw: Raw) -> XmlDocument:
    root = tree.getroot()
    _set_languages([root], "srcLang", "trgLang", raw)
    sources = [
        source
        for segment in root.iter(like(root, "segment"))
        for source in children(segment, "source")
        if _is_open(segment, source)
    ]
    return XmlDocument(tree, sources, by_name(INLINE_2), _accept_2)


def _is_open(unit: "_Element", source: "_Element") -> bool:
    """Whether a unit needs a translation and has none."""
    done = any(map(_is_said, children(unit, "target")))
    return may_translate(source) and not done and not is_blank(source)


def _fill_target(source: "_Element", result: Result) -> "_Element":
    """Fills and returns the target of a source, creating it if it is missing."""
    unit = source.getparent()
    assert unit is not None
    target = _target_of(unit)
    fill(target, result.pieces)
    return target


def _target_of(unit: "_Element") -> "_Element":
    """A unit's target, created if it is missing."""
    if found := children(unit, "target"):
        return found[0]
    sources = children(unit, "source", "seg-source")
    target = insert_after(sources[-1], "target")
    if space := sources[0].get(SPACE):
        target.set(SPACE, space)
    return target


def _fill_mark(unit: "_Element", mark: "_Element", result: Result) -> "_Element":
    """Fills the target segment that corresponds to a source segment; returns the target."""
    target = _target_of(unit)
    if not _is_said(target):  # this is the first segment: all start empty
        if _marks(unit, "target").keys() != _marks(unit, "seg-source").keys():
            [segmented] = children(unit, "seg-source")
            fill(target, [])
            target.text = segmented.text
            target.extend(map(deepcopy, segmented))
        for place in _marks(unit, "target").values():
            fill(place, [])
    fill(_marks(unit, "target")[mark.get("mid")], result.pieces)
    return target


def _accept_1(source: "_Element", result: Result) -> None:
    segmented = name_of(source) == "mrk"
    if segmented:
        unit = next(source.iterancestors(like(source, "trans-unit")))
        target = _fill_mark(unit, source, result)
    else:
        target = _fill_target(source, result)
    bad = result.fault or (segmented and target.get("state") == DOUBTFUL)
    target.set("state", DOUBTFUL if bad else "translated")
    target.set("state-qualifier", "mt-suggestion")
    if result.fault:
        insert_after(target, "note").text = note_of(result.fault)


def _accept_2(source: "_Element", result: Result) -> None:
    _fill_target(source, result)
    segment = source.getparent()
    unit = None if segment is None else segment.getparent()
    assert segment is not None and unit is not None
    segment.attrib.pop("subState", None)  # it refines the old state
    segment.set("state", "initial" if result.fault else "translated")
    if result.fault:
        notes = next(iter(children(unit, "notes")), None)
        if notes is None:
            # The specification requires notes to precede all data and segments.
            first = children(unit, "originalData", "segment", "ignorable")[0]
            notes = insert_before(first, "notes")
        note = append(notes, "note")
        note.set("appliesTo", "target")
        note.text = note_of(result.fault)
