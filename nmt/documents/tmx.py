"""TMX: each translation unit that lacks the target language gets a variant in it."""

from typing import TYPE_CHECKING

from nmt.documents.markup import (
    LANGUAGE,
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
    name_of,
    parse,
)
from nmt.documents.segments import Raw, Result, note_of
from nmt.errors import UserError
from nmt.writing_systems import same_variety, subtags

if TYPE_CHECKING:
    from lxml.etree import _Element

INLINE = {
    "hi": Inline("around"),
    "bpt": Inline("open", ("i",)),
    "ept": Inline("close", ("i",)),
}


def read(raw: Raw) -> XmlDocument:
    """Parses a TMX file.

    Raises:
        UserError: it is malformed or of another kind.
    """
    tree = parse(raw)
    root = tree.getroot()
    if name_of(root) != "tmx":
        raise UserError(f"{raw.name}: expected <tmx>, found <{name_of(root)}>")
    source, target = raw.languages
    units = list(root.iter(like(root, "tu")))
    open_units = [unit for unit in units if _is_blank(_segment(unit, target))]
    found = [_segment(unit, source) for unit in open_units]
    texts = [one for one in found if one is not None and not is_blank(one)]
    if len(texts) < len(open_units):
        raw.say(
            f"{raw.name}: expected text in {source}, which the run reads, found none in "
            f"{len(open_units) - len(texts):,} of {len(units):,} units; they are left so"
        )

    def accept(text: "_Element", result: Result) -> None:
        _accept(text, target, result)

    return XmlDocument(tree, texts, by_name(INLINE), accept)


def _segment(unit: "_Element", language: str) -> "_Element | None":
    """The `seg` element of a unit in a language, best in its exact variety; None if it has none."""
    fitting = [one for one in children(unit, "tuv") if same_variety(_language(one), language)]
    exact = subtags(language)
    best = max(fitting, key=lambda one: subtags(_language(one)) == exact, default=None)
    return None if best is None else next(iter(children(best, "seg")), None)


def _language(variant: "_Element") -> str:
    return variant.get(LANGUAGE) or variant.get("lang") or ""


def _is_blank(segment: "_Element | None") -> bool:
    return segment is None or is_blank(segment)


def _accept(text: "_Element", language: str, result: Result) -> None:
    source = text.getparent()
    unit = None if source is None else source.getparent()
    assert source is not None and unit is not None
    segment = _segment(unit, language)
    if segment is None:
        variant = insert_after(children(unit, "tuv")[-1], "tuv")
        variant.set(LANGUAGE, language)
        segment = append(variant, "seg")
        variant.text, segment.tail = source.text, text.tail  # the source's layout
    fill(segment, result.pieces)
    if result.fault:
        insert_before(segment, "note").text = note_of(result.fault)
