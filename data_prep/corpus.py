"""Corpus: raw sentence pairs as a source gives them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

Pair = tuple[str, str]
"""(source sentence, target sentence)."""


@dataclass(frozen=True)
class HeldOut:
    """A validation or test split: sentences to translate and what they are scored against.

    Args:
        sources: N sentences.
        references: for each of them one or more translations; None where one is missing.
    """

    sources: list[str]
    references: list[list[str | None]]

    @classmethod
    def of(cls, rows: Iterable[Sequence[str]]) -> "HeldOut":
        """A split from rows of a sentence and its translations.

        A blank reference beside a real one is missing: scoring against it would shorten BLEU's
        reference length. A blank one that stands alone is kept, because held-out data is never
        filtered.
        """
        sources, references = [], []
        for source, *translations in rows:
            sources.append(source)
            references.append(_without_blanks(translations))
        return cls(sources, references)

    @property
    def targets(self) -> list[str]:
        """The first reference that is there, of each source."""
        return [next(text for text in row if text is not None) for row in self.references]


def _without_blanks(row: Sequence[str]) -> list[str | None]:
    if not any(text.strip() for text in row):
        return [row[0]]
    return [text if text.strip() else None for text in row]


@dataclass(frozen=True)
class Corpus:
    """All that a source gives.

    Args:
        train: training pairs, read as they are asked for, once; where a held-out split is None it
            is made of them too.
        validation: the source's own validation split, if it has one.
        test: the source's own test split, if it has one.
        notices: files to lay beside the prepared data, such as an attribution.
        alone: one language, whose lines are copies of themselves.
    """

    train: Iterable[Pair]
    validation: HeldOut | None = None
    test: HeldOut | None = None
    notices: dict[str, bytes] = field(default_factory=dict)
    alone: bool = False
