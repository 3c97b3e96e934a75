"""Removes tags from a text before it is translated and puts them back into its translation.

No model has seen tags in training. Attention decides where they go: a placeholder before the word
that came from the source word after it, a pair of tags around the words that came from within it.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from nmt.documents.placeholders import MARK
from nmt.documents.segments import Segment, partners
from nmt.documents.words import WORD, Span, attention, spans
from nmt.translation import Alignment

_ITEM = re.compile(rf"{MARK}|{WORD.pattern}")


class Unplaced(Exception):
    """A pair of tags for which there is no suitable place in a translation."""


@dataclass
class Node:
    """A tag, or a pair of tags with everything they enclose.

    Args:
        item: index of the (opening) tag among the words and tags of the source.
        close: index of the closing tag.
        inside: the enclosed nodes.
        place: the positions between target words where it starts and ends, set once known.
    """

    item: int
    close: int | None = None
    inside: list["Node"] = field(default_factory=list)
    place: Span = (0, 0)


class Masked:
    """A segment without its tags; `text` is to be translated.

    Args:
        segment: has no leading or trailing white space, and at least one word.
    """

    def __init__(self, segment: Segment) -> None:
        matches = list(_ITEM.finditer(segment.text))
        self.items = [match[0] for match in matches]
        ends = [0, *(match.end() for match in matches)]
        starts = [*(match.start() for match in matches), len(segment.text)]
        # White space before each item and after the last.
        self.gaps = [segment.text[a:b] for a, b in zip(ends, starts, strict=True)]
        self.words = [i for i, item in enumerate(self.items) if item != MARK]
        marks = [i for i, item in enumerate(self.items) if item == MARK]
        self.tags = dict(zip(marks, segment.tags, strict=True))
        pairs = partners(segment.tags)
        self.pairs = {marks[start]: marks[end] for start, end in pairs.items()}
        self.text, self.spans = "", list[Span]()
        for number, word in enumerate(self.words):
            before = self._space(self.words[number - 1], word) if number else ""
            start = len(self.text) + len(before)
            self.text += before + self.items[word]
            self.spans.append((start, len(self.text)))

    def _space(self, left: int, right: int) -> str:
        """White space between two words once the tags between them are removed."""
        gaps = self.gaps[left + 1 : right + 1]
        points = [i for i in range(left + 1, right) if self.tags[i].kind == "point"]
        if not points:
            return gaps[0] if len(gaps) == 1 else " " * any(gaps)
        first, last = points[0] - left, points[-1] - left
        run_on = len(spans(self.items[left] + self.items[right])) == 1
        return " " * (run_on or (any(gaps[:first]) and any(gaps[last:])))

    def put_back(self, target: str, aligned: Alignment) -> Segment:
        """A translation of `text` with the tags restored.

        Raises:
            Unplaced: there is no place for a pair of tags.
        """
        if not self.tags:
            return Segment(target, ())
        try:
            return _Placement(self, target, aligned).segment()
        except RecursionError:
            raise Unplaced("tags that stand within so many others") from None

    def neighbours(self, item: int, last: int | None = None) -> tuple[int | None, int | None]:
        """Numbers of the words before and after an item (or several); None at the ends."""
        before = sum(word < item for word in self.words)
        after = sum(word <= (item if last is None else last) for word in self.words)
        return before - 1 if before else None, after if after < len(self.words) else None

    def nodes(self, start: int = 0, end: int | None = None) -> list[Node]:
        """The tags between two items, as a tree."""
        found: list[Node] = []
        end, item = len(self.items) if end is None else end, start
        while item < end:
            close = self.pairs.get(item)
            if close is not None:
                found.append(Node(item, close, self.nodes(item + 1, close)))
            elif item in self.tags:
                found.append(Node(item))
            item = item + 1 if close is None else close + 1
        return found


class _Placement:
    """Places a masked segment's tags in one translation."""

    def __init__(self, masked: Masked, target: str, aligned: Alignment) -> None:
        self.masked = masked
        self.target = target
        self.spans = spans(target)
        table = attention((masked.text, masked.spans), (target, self.spans), aligned)
        self.origin = [_largest(row) for row in table]
        self.outcome = [_largest(column) for column in zip(*table, strict=True)]

    def segment(self) -> Segment:
        nodes = self.masked.nodes()
        self._place(nodes, 0, len(self.spans))
        order = list(_order(nodes))
        text = ""
        for place in range(len(self.spans) + 1):
            text += self._between(place, [item for at, item in order if at == place])
            if place < len(self.spans):
                start, end = self.spans[place]
                text += self.target[start:end]
        return Segment(text, tuple(self.masked.tags[item] for _, item in order))

    def _place(self, nodes: Sequence[Node], low: int, high: int) -> None:
        """Finds places between two words; pairs come first, as a placeholder fits anywhere."""
        taken: list[Span] = []
        for node in nodes:
            words = self._words(node)
            if words:
                node.place = self._around(node, words, range(low, high), taken)
                taken.append(node.place)
                self._place(node.inside, *node.place)
        for node in nodes:
            if not self._words(node):
                at = min(max(self._anchor(node), low), high)
                for start, end in taken:
                    if start < at < end:  # it was outside that pair and must stay outside
                        at = start if at - start <= end - at else end
                node.place = at, at
                self._place(node.inside, at, at)

    def _words(self, node: Node) -> range:
        """Numbers of the source words within a pair."""
        if node.close is None:
            return range(0)
        (_, first), (last, _) = (self.masked.neighbours(i) for i in (node.item, node.close))
        return range(0) if first is None or last is None else range(first, last + 1)

    def _around(self, node: Node, words: range, within: range, taken: Sequence[Span]) -> Span:
        inside = [place for place in within if self.origin[place] in words]
        inside = inside or sorted({self.outcome[word] for word in words} & set(within))
        for start, end in taken:
            before = [place for place in inside if place < start]
            inside = max(before, [place for place in inside if place >= end], key=len)
        if not inside:
            raise Unplaced(f"{self.masked.tags[node.item].text} around words")
        return inside[0], inside[-1] + 1

    def _anchor(self, node: Node) -> int:
        """Number of the target word before which a node without words is placed."""
        masked, tag = self.masked, self.masked.tags[node.item]
        last = node.item if node.close is None else node.close
        left, right = masked.neighbours(node.item, last)
        with_its_word = tag.kind == "open" and tag.pair is None  # a menu accelerator
        if left is None and not with_its_word:
            return 0
        if right is None:
            return len(self.spans)
        before = -1 if left is None else masked.words[left]
        tight = not any(masked.gaps[before + 1 : node.item + 1])
        loose = any(masked.gaps[last + 1 : masked.words[right] + 1])
        follows = tag.kind == "close" or (tag.kind == "point" and tight and loose)
        return self.outcome[left] + 1 if follows and left is not None else self.outcome[right]

    def _between(self, place: int, tags: Sequence[int]) -> str:
        """What precedes a word of the translation: tags with the white space around them."""
        own = self._own(place)
        if not tags:
            return own or ""
        items, words = self.masked.items, self.masked.words
        left = words[self.origin[place - 1]] if place else -1
        right = words[self.origin[place]] if place < len(self.spans) else len(items)
        line = [left, *tags, right]
        solid = [i for i, item in enumerate(line) if self._is_solid(i, line)]
        gaps = [
            gap
            for start, end in pairwise(solid)
            for gap in self._zone(line[start : end + 1], start == 0, end == len(line) - 1, own)
        ]
        return "".join(gap + MARK for gap in gaps[:-1]) + gaps[-1]

    def _own(self, place: int) -> str | None:
        """The translation's white space before a word; None before the first and after the last."""
        if not 0 < place < len(self.spans):
            return None
        return self.target[self.spans[place - 1][1] : self.spans[place][0]]

    def _is_solid(self, place: int, line: Sequence[int]) -> bool:
        return place in (0, len(line) - 1) or self.masked.tags[line[place]].kind == "point"

    def _zone(self, line: Sequence[int], first: bool, last: bool, own: str | None) -> Iterator[str]:
        """The gaps from one word or placeholder to the next, around the tags between them.

        Args:
            line: the two and the zero-width tags between them, as items of the source.
            first: the line begins with a target word or the beginning of the translation.
            last: the line ends with a target word or the end of the translation.
            own: the translation's white space between its words here; None at its ends.
        """
        gaps = [self.masked.gaps[item] for item in range(line[0] + 1, line[-1] + 1)]
        as_it_was = all(b == a + 1 for a, b in pairwise(line))
        if as_it_was and (own is None or not (first and last) or bool(own) == any(gaps)):
            yield from gaps
            return
        amount = self._amount(line, first, last, own or "")
        kinds = [self.masked.tags[item].kind for item in line[1:-1]]
        slot = kinds.index("open") if "open" in kinds else len(kinds)
        for place in range(len(kinds) + 1):
            yield amount if place == slot else ""

    def _amount(self, line: Sequence[int], first: bool, last: bool, own: str) -> str:
        gaps, start, end = self.masked.gaps, line[0], line[-1]
        if first and last:
            return own
        if first:  # before a placeholder
            same = start >= 0 and self.masked.items[start] == self.masked.items[end - 1]
            return "" if start < 0 else gaps[end] or ("" if same else own)
        if last:  # after a placeholder
            stop = end == len(self.masked.items)
            same = not stop and self.masked.items[end] == self.masked.items[start + 1]
            return "" if stop else gaps[start + 1] or ("" if same else own)
        return gaps[start + 1] or gaps[end] or " "


def _largest(row: Sequence[float]) -> int:
    return max(range(len(row)), key=row.__getitem__)


def _order(nodes: Sequence[Node]) -> Iterator[Span]:
    """(place, item) of every tag, in the order of the translation."""
    for node in sorted(nodes, key=lambda node: (node.place[0], _is_wide(node), node.item)):
        yield node.place[0], node.item
        yield from _order(node.inside)
        if node.close is not None:
            yield node.place[1], node.close


def _is_wide(node: Node) -> bool:
    return node.place[0] < node.place[1]
