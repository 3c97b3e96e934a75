"""Finds what is not language in a text: placeholders, mark-up, addresses."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

MARK = "\ufffc"
"""Represents a tag within text: Unicode's object replacement character."""

BACKSLASH = "\ufdd0"
"""Represents a backslash before a character that a document's library takes for no escape: a code
point of no character, which Unicode leaves to programs."""


@dataclass(frozen=True)
class Rule:
    """One kind of placeholder.

    Args:
        pattern: a regular expression.
        kind: the kind of the tag: see `Tag`.
        paired: the pattern's group `name` identifies opening and closing tags that match.
        unnumbered: a pattern for placeholders that denote an argument by position alone.
        encloses: it may hold other placeholders, as `<a href="%s">` does.
    """

    pattern: str
    kind: Literal["point", "open"] = "point"
    paired: bool = False
    unnumbered: str | None = None
    encloses: bool = False

    def ordered(self, text: str) -> bool:
        """Whether a placeholder, or one in it, denotes an argument by position alone."""
        if self.encloses:  # none begins with its first character
            return any(rule.ordered(match[0]) for match, rule in find(text[1:]))
        return self.unnumbered is not None and bool(re.fullmatch(self.unnumbered, text))


_CHOICE = r"\{\s*\w+\s*,\s*(?:plural|select|selectordinal)\s*,"
_NESTED = "[^{}]"
for _ in range(6):  # a choice within a choice has four levels
    _NESTED = rf"(?:[^{{}}]|\{{{_NESTED}*\}})"

CHOICE = re.compile(_CHOICE)
"""The beginning of an ICU choice between texts."""

RULES: dict[str, Rule] = {
    "address": Rule(
        r"(?:(?:https?|ftps?|file)://|www\.)[^\s<>\"]*[^\s<>\".,;:!?)\]}'»”]"
        r"|mailto:[^\s<>\"]+|(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+",
        encloses=True,
    ),
    # An ICU choice between texts, which cannot be translated as one sentence.
    "message": Rule(rf"{_CHOICE}{_NESTED}*\}}"),
    "brace": Rule(
        r"\{\{[^{}\n]*\}\}|[$#%]\{[^{}\n]+\}|\{[\w.\[\]]*(?:![rsa])?(?:[:,][^{}\n]*)?\}",
        unnumbered=r"\{(?:![rsa])?(?::.*)?\}",
    ),
    # A shell's `$name`; neither a price, `$5` or `US$`, nor part of a word.
    "variable": Rule(r"(?<![A-Za-z0-9])(?:\$[A-Za-z_][A-Za-z0-9_]*)+"),
    "escape": Rule(rf"{BACKSLASH}(?:[0-7]{{1,3}}|x[0-9A-Fa-f]+|.)"),
    # Prose is more common than some formats: no flag " " ("100 % of"), no "-" without a width
    # ("100%-cotton"), no word between a digit and a letter ("5%ige"). %1% is Boost's, %#@files@
    # Apple's; %1 and %L1 are Qt's, and %1%2 are two of them.
    "printf": Rule(
        r"%%|%\d{1,2}%(?!L?\d)|%(?:\d+\$)?#@\w+@"
        r"|(?!(?<=\d)%[A-Za-z]{2})%(?:\d+\$|\(\w+\))?(?:-(?=[\d*])|[+#0'])*"
        r"(?:\d+|\*)?(?:\.(?:\d+|\*))?"
        r"(?:(?:hh?|ll?|[Lqjzt])?[diouxXeEfFgGaAcrspn@]|<PRI\w+>)|%L?\d{1,2}",
        unnumbered=r"%(?!%|\(|\d+\$|L?\d+%?$).*",
    ),
    "markup": Rule(
        r"</?(?P<name>[A-Za-z][\w:.-]*)(?:\s[^<>]*)?(?<!/)>|<[A-Za-z][\w:.-]*(?:\s[^<>]*)?/>"
        r"|<!--.*?-->",
        paired=True,
        encloses=True,
    ),
    "entity": Rule(r"&(?:[A-Za-z][A-Za-z0-9]*|#\d+|#[xX][0-9A-Fa-f]+);"),
    # Marks the access key of a menu entry: "&File", "E&xit", "_Open"; not "R&D", "_x_".
    "accelerator": Rule(
        r"(?<!\w)&(?=\w)|(?<=[a-z])&(?=[a-z])|(?<=\b[A-Z])&(?=[a-z])|(?<![\w])_(?=[^\W_]+\b)",
        kind="open",
    ),
    "mark": Rule(MARK),
}
"""The rules by name; the first that matches wins."""

_ANY = re.compile(
    "|".join(f"(?P<rule_{name}>{rule.pattern})" for name, rule in RULES.items()), re.DOTALL
)


def find(text: str) -> Iterator[tuple[re.Match[str], Rule]]:
    """Each placeholder in a text, with its rule."""
    for match in _ANY.finditer(text):
        yield match, next(rule for name, rule in RULES.items() if match[f"rule_{name}"] is not None)
