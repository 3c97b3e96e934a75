"""Safe, faithful reading and writing of XML, and the inline elements within its text.

lxml comes with the extra `documents` and is imported only when such a file is read.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from nmt.documents.segments import Piece, Raw, Result, Segment, Tag
from nmt.errors import UserError

if TYPE_CHECKING:
    from lxml.etree import _Element, _ElementTree

LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
SPACE = "{http://www.w3.org/XML/1998/namespace}space"

_END = "the end of an element"
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class _Around:
    """An element that encloses text of the segment."""

    element: Any


@dataclass(frozen=True)
class Inline:
    """The role of an inline element.

    Args:
        kind: `around` encloses text of the segment; all others are kept as they are.
        pair: attributes; the value of the first one present links opening and closing elements.
        key: what links them instead.
    """

    kind: Literal["around", "open", "close"]
    pair: tuple[str, ...] = ()
    key: str | None = None


Role = Callable[["_Element"], Inline | None]
"""The role of an element within the text of a segment; None for a point."""


def by_name(table: Mapping[str, Inline]) -> Role:
    """Roles that depend on the element's name alone."""
    return lambda element: table.get(name_of(element))


class XmlDocument:
    """An XML document of any format.

    Args:
        tree: the whole document.
        sources: the elements to translate.
        role: of the elements within their text.
        accept: receives each source element and its result.
    """

    def __init__(
        self,
        tree: "_ElementTree",
        sources: Sequence["_Element"],
        role: Role,
        accept: Callable[["_Element", Result], None],
    ) -> None:
        self.tree = tree
        self.sources = sources
        self.segments = [Segment.of(read_text(source, role)) for source in sources]
        self.accept = accept

    def write(self, results: Sequence[Result]) -> bytes:
        from lxml import etree

        for source, result in zip(self.sources, results, strict=True):
            self.accept(source, result)
        # lxml also reports an absent declaration as "no"; the two mean the same.
        alone = self.tree.docinfo.standalone or None
        content: bytes = etree.tostring(
            self.tree, encoding="UTF-8", xml_declaration=True, standalone=alone
        )
        return content + b"\n"


def parse(raw: Raw) -> "_ElementTree":
    """Parses an XML file to a tree; nothing that it refers to is fetched or expanded.

    Raises:
        UserError: it is malformed, declares entities, or lxml is not installed.
    """
    try:
        from lxml import etree
    except ImportError:
        raise UserError(
            f"{raw.name}: XLIFF and TMX need lxml, which is not installed; "
            "`pip install 'nmt[documents]'` adds it"
        ) from None
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    )
    try:
        tree = etree.fromstring(raw.content, parser).getroottree()
    except etree.XMLSyntaxError as error:
        raise UserError(
            f"{raw.name}, line {error.lineno or 1}: expected well-formed XML, found a mistake "
            f"({error.msg}); mend the file"
        ) from None
    declared = tree.docinfo.internalDTD
    if declared is not None and any(True for _ in declared.iterentities()):
        raise UserError(
            f"{raw.name}: expected no entity of the file's own, for they can hide a bomb or "
            "another file, found one in its DOCTYPE; take it out"
        )
    return tree


def name_of(element: "_Element") -> str:
    """An element's name without its namespace; a comment has none."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def children(element: "_Element", *names: str) -> list["_Element"]:
    """An element's direct children with one of these names, in its namespace."""
    return [child for child in element if child.tag in {like(element, name) for name in names}]


def like(element: "_Element", name: str) -> str:
    """A name in the namespace of an element."""
    space, brace, _ = str(element.tag).rpartition("}")
    return f"{space}{brace}{name}"


def insert_after(element: "_Element", name: str) -> "_Element":
    """Inserts a new element after another, indented like it."""
    made = _made(element, name)
    made.tail, element.tail = element.tail, _indentation(element)
    element.addnext(made)
    return made


def insert_before(element: "_Element", name: str) -> "_Element":
    """Inserts a new element before another, indented like it."""
    made = _made(element, name)
    made.tail = _indentation(element)
    element.addprevious(made)
    return made


def append(parent: "_Element", name: str) -> "_Element":
    """Appends a new element to a parent, indented like its siblings."""
    if len(parent):
        return insert_after(parent[-1], name)
    made = _made(parent, name)
    parent.append(made)
    return made


def _made(beside: "_Element", name: str) -> "_Element":
    from lxml import etree

    return etree.Element(like(beside, name), nsmap=beside.nsmap)


def _indentation(element: "_Element") -> str | None:
    """The white space before an element; None if it is preceded by text."""
    previous, parent = element.getprevious(), element.getparent()
    before = previous.tail if previous is not None else None if parent is None else parent.text
    return None if before and before.strip() else before


def is_blank(element: "_Element") -> bool:
    """Whether an element holds neither text nor elements."""
    return not len(element) and not (element.text or "").strip()


def may_translate(element: "_Element") -> bool:
    """Whether the nearest attribute `translate`, on the element or an ancestor, allows it."""
    around = [element, *element.iterancestors()]
    return next((e.get("translate") for e in around if e.get("translate")), "yes") != "no"


def keeps_space(element: "_Element") -> bool:
    """Whether the nearest `xml:space`, on the element or an ancestor, is `preserve`."""
    around = [element, *element.iterancestors()]
    return next((e.get(SPACE) for e in around if e.get(SPACE)), "default") == "preserve"


def read_text(element: "_Element", role: Role) -> Iterator[Piece]:
    """The text of an element, with inline elements as tags."""
    fold = (lambda text: text) if keeps_space(element) else _folded
    yield from _read(element, role, fold, "")


def _folded(text: str) -> str:
    """Replaces each line break, which here is only layout, and white space around it by a space."""
    return re.sub(r"[ \t\r]*\n\s*", " ", text)


def _read(
    element: "_Element", role: Role, fold: Callable[[str], str], path: str
) -> Iterator[Piece]:
    yield fold(element.text or "")
    for number, child in enumerate(element):
        inline = role(child)
        here = f"{path}/{number}"
        if inline is None or (inline.kind == "around" and _is_protected(child)):
            yield Tag(_shown(child), element=_bare(child))
        elif inline.kind == "around":
            yield Tag(_shown(child), "open", here, element=_Around(_empty(child)))
            yield from _read(child, role, fold, here)
            yield Tag(f"</{name_of(child)}>", "close", here, element=_END)
        else:
            found = (f"#{child.get(name)}" for name in inline.pair if child.get(name))
            pair = inline.key or next(found, None)
            yield Tag(_shown(child), inline.kind, pair, element=_bare(child))
        yield fold(child.tail or "")


def _is_protected(element: "_Element") -> bool:
    return not {element.get("translate"), element.get("mtype")}.isdisjoint({"no", "protected"})


def _bare(element: "_Element") -> "_Element":
    """A copy without the text that follows the element."""
    found = deepcopy(element)
    found.tail = None
    return found


def _empty(element: "_Element") -> "_Element":
    found = _bare(element)
    for child in list(found):
        found.remove(child)
    found.text = None
    return found


def _shown(element: "_Element") -> str:
    """An element as messages show it."""
    name = name_of(element)
    if not name:
        return str(element)
    attributes = (f" {key.rpartition('}')[2]}={value!r}" for key, value in element.attrib.items())
    return f"<{name}{''.join(attributes)}>"


def fill(element: "_Element", pieces: Sequence[Piece]) -> None:
    """Replaces an element's content by text with inline elements."""
    for child in list(element):
        element.remove(child)
    element.text = None
    around = [element]
    for piece in pieces:
        if isinstance(piece, Tag) and piece.element is _END:
            around.pop()
        elif isinstance(piece, Tag) and isinstance(piece.element, _Around):
            around[-1].append(piece.element.element)
            around.append(piece.element.element)
        elif isinstance(piece, Tag) and piece.element is not None:
            around[-1].append(piece.element)
        else:
            _append(around[-1], piece if isinstance(piece, str) else piece.text)


def _append(element: "_Element", text: str) -> None:
    """Appends text to an element's content."""
    text = _FORBIDDEN.sub("\ufffd", text)
    if len(element):
        element[-1].tail = (element[-1].tail or "") + text
    else:
        element.text = (element.text or "") + text
