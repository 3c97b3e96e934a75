"""Synthetic training pairs, with one side machine-translated, in the form of `data.synthetic`."""

import json
import re
from collections import Counter
from collections.abc import Sequence

from nmt.corpora import TAGS
from nmt.lines import Line
from nmt.translation import Translation

TAG = "<BT>"
"""Marks a synthetic source (Caswell et al. 2019), so that the model learns to trust it less."""


def is_tag(word: str) -> bool:
    """Whether `nmt prepare` recognises a word as a tag before a sentence, not a part of it."""
    return re.fullmatch(TAGS, word) is not None


class Pairs:
    """Renders a line and its translation as a JSON object with a key for each language.

    A pair is left out if the line is blank, or if its translation is blank, a copy, or cut at the
    length limit. Other flaws are left to `data.clean`.

    Args:
        languages: the run's source and target language.
        back: back-translation: the line becomes the target, its translation the source.
        tag: put before the source, with a space between.
    """

    FLAWS = ("blank", "a copy", "cut at the length limit")

    def __init__(self, languages: Sequence[str], *, back: bool = False, tag: str = "") -> None:
        self.languages = languages
        self.back = back
        self.prefix = f"{tag} " if tag else ""
        self.counts: Counter[str] = Counter()

    def __call__(self, line: Line, translation: Translation) -> str:
        reason = _flaw(line.text, translation)
        self.counts[reason or "written"] += 1
        if reason:
            return ""
        texts = dict(zip(self.languages, (line.text, translation.text), strict=True))
        source, target = reversed(self.languages) if self.back else self.languages
        pair = {source: self.prefix + texts[source], target: texts[target]}
        return json.dumps(pair, ensure_ascii=False) + "\n"

    def told(self) -> str:
        """How many pairs were written, and how many were left out for each reason."""
        left_out = [f"{flaw} {self.counts[flaw]:,}" for flaw in self.FLAWS if self.counts[flaw]]
        return f"{self.counts['written']:,} pairs; left out: {', '.join(left_out) or 'none'}"


def _flaw(text: str, translation: Translation) -> str:
    if not text.strip() or not translation.text.strip():
        return "blank"
    if translation.cut:
        return "cut at the length limit"
    return "a copy" if text == translation.text else ""
