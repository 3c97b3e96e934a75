"""Lossless sentence splitting.

No library does this without loss in all the languages that a run may have. In doubt, two sentences
are left together, which does less harm than translating half a sentence on its own.
"""

import re
import unicodedata

from nmt.documents.placeholders import MARK
from nmt.writing_systems import SIGNS, subtags

_CLOSING = rf"[\"'”’»)\]}}{MARK}]"
_OPENING = rf"[\"'“„‘«‹(\[¿¡{MARK}–—-]"
_ENDS = ".!?…؟۔।॥։።፧។៕။"  # of Arabic, Urdu, Indic, Armenian, Ethiopic, Khmer, Burmese script too
WIDE_ENDS = "\u3002\uff01\uff1f"
"""What ends a sentence where no white space follows: 。 and the full-width exclamation and question
marks."""
_WIDE_CLOSING = f"[」』”’）{MARK}]"
_END = re.compile(
    rf"(?<![{_ENDS}])[{_ENDS}]+{_CLOSING}*\s+"
    rf"|(?<![{WIDE_ENDS}])[{WIDE_ENDS}]+{_WIDE_CLOSING}*\s*"
)
_WIDE_END = re.compile(rf"[{WIDE_ENDS}]{_WIDE_CLOSING}*\Z")
_NEXT = re.compile(rf"(?:{_OPENING}|\s)*(\w?)")
_LAST = re.compile(rf"[\w{SIGNS}.]*[\w{SIGNS}]\Z")

_ABBREVIATIONS = """
mr mrs ms dr prof st sr jr rev gen col capt sgt lt hon messrs vs cf fig figs no nos vol pp ed eds al
approx dept est inc ltd co corp bzw ca evtl ggf inkl nr vgl zzgl bspw hr fr frl tel abs art bd hrsg
jh sog str sra srta dña ud uds pág núm mme mlle mm mgr etc sig dott ing avv dhr mevr bijv resp tzv
např tzn np им ул г т тов
"""
ABBREVIATIONS = frozenset(_ABBREVIATIONS.split())
"""Lower-cased words after which a full stop does not end a sentence: titles, and words before a
name, a number or an example, in many languages."""

_ORDINALS = "bs cs da de et fi hr hu is lt lv nb nn no pl sk sl sr tr"
ORDINALS = frozenset(_ORDINALS.split())
"""Languages that write a full stop after an ordinal number: `am 3. Oktober`."""


WIDE = frozenset("WF")
"""Unicode east-asian widths of characters in scripts without spaces between words."""


def gap(sentence: str, said: str, following: str) -> str:
    """The space to insert between the translations of two sentences that had and needed none.

    Args:
        sentence: the first source sentence.
        said: its translation, and what follows it.
        following: the translation of the second sentence.
    """
    needed_none = _WIDE_END.search(sentence) and said.strip() and not said[-1].isspace()
    if not needed_none or not following.strip():
        return ""
    return "" if unicodedata.east_asian_width(said[-1]) in WIDE else " "


def stripped(text: str) -> tuple[str, str, str]:
    """The white space before a text, the text without it, and that after it; all of a blank one."""
    core = text.strip() or text
    start = text.find(core)
    return text[:start], core, text[start + len(core) :]


def split(text: str, language: str) -> list[str]:
    """The sentences of a text, each with its trailing white space; joined, they give the text."""
    parts: list[str] = []
    start = 0
    for match in _END.finditer(text):
        if match.end() < len(text) and _ends(text, start, match, language):
            parts.append(text[start : match.end()])
            start = match.end()
    return [*parts, text[start:]]


def _ends(text: str, start: int, match: re.Match[str], language: str) -> bool:
    """Whether a sentence that began at `start` really ends at a candidate match."""
    following = _NEXT.match(text, match.end())
    if following is not None and following[1].islower():
        return False
    if not re.match(r"\.(?!\.)", match[0]):
        return True
    # No relevant word is longer; the limit keeps the time linear in the length of the text.
    found = _LAST.search(text, max(start, match.start() - 30), match.start())
    word = found[0] if found else ""
    if word.isdecimal():
        numbered = not text[start : match.start() - len(word)].strip()
        return not numbered and not (subtags(language)[0] in ORDINALS and len(word) <= 2)
    single = all(len(part) == 1 for part in word.split("."))  # J. Smith, e.g., z.B., U.S.
    initial = single and word != "I" and word.replace(".", "").isalpha()
    return not initial and word.lower() not in ABBREVIATIONS
