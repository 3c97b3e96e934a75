"""What in a text is no language: placeholders, mark-up, addresses."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

MARK = "\ufffc"
"""Stands in a text for a tag: Unicode's own object replacement character."""


@dataclass(frozen=True)
class Rule:
    """One kind of placeholder.

    Args:
        pattern: a regular expression.
        kind: of the tag: see `Tag`.
        paired: its group `name` tells which opening and closing tags belong together.
        unnumbered: a pattern of those that mean an argument by their place alone.
    """

    pattern: str
    kind: Literal["point", "open"] = "point"
    paired: bool = False
    unnumbered: str | None = None

    def ordered(self, text: str) -> bool:
        """Whether a placeholder means an argument by its place alone."""
        return self.unnumbered is not None and bool(re.fullmatch(self.unnumbered, text))


RULES: dict[str, Rule] = {
    "address": Rule(
        r"(?:(?:https?|ftps?|file)://|www\.)[^\s<>\"]*[^\s<>\".,;:!?)\]}'»”]"
        r"|mailto:[^\s<>\"]+|(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
    ),
    "message": Rule(  # a choice between texts (ICU): to translate them takes more than a sentence
        r"\{\s*\w+\s*,\s*(?:plural|select|selectordinal)\s*,"
        r"(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\}"
    ),
    "brace": Rule(
        r"\{\{[^{}\n]*\}\}|[$#%]\{[^{}\n]+\}|\{[\w.\[\]]*(?:![rsa])?(?:[:,][^{}\n]*)?\}",
        unnumbered=r"\{(?:![rsa])?(?::.*)?\}",
    ),
    # The flag "space" is left out: "100 % of" is more common. %1 and %L1 are Qt's.
    "printf": Rule(
        r"%%|%(?:\d+\$|\(\w+\))?[-+#0']*(?:\d+|\*)?(?:\.(?:\d+|\*))?(?:hh?|ll?|[Lqjzt])?"
        r"[diouxXeEfFgGaAcrspn@]|%L?\d{1,2}",
        unnumbered=r"%(?!%|\(|\d+\$|L?\d+$).*",
    ),
    "markup": Rule(
        r"</?(?P<name>[A-Za-z][\w:.-]*)(?:\s[^<>]*)?(?<!/)>|<[A-Za-z][\w:.-]*(?:\s[^<>]*)?/>"
        r"|<!--.*?-->",
        paired=True,
    ),
    "entity": Rule(r"&(?:[A-Za-z][A-Za-z0-9]*|#\d+|#[xX][0-9A-Fa-f]+);"),
    # The letter that a menu's entry is called by: "&File", "E&xit", "_Open"; not "R&D", "_x_".
    "accelerator": Rule(
        r"(?<!\w)&(?=\w)|(?<=[a-z])&(?=[a-z])|(?<=\b[A-Z])&(?=[a-z])|(?<![\w])_(?=[^\W_]+\b)",
        kind="open",
    ),
    "mark": Rule(MARK),
}
"""By name, the first that matches wins."""

_ANY = re.compile(
    "|".join(f"(?P<rule_{name}>{rule.pattern})" for name, rule in RULES.items()), re.DOTALL
)


def find(text: str) -> Iterator[tuple[re.Match[str], Rule]]:
    """Each placeholder of a text, and its kind."""
    for match in _ANY.finditer(text):
        yield match, next(rule for name, rule in RULES.items() if match[f"rule_{name}"] is not None)
