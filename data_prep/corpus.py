"""Corpus: raw sentence pairs as a source provides them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

Pair = tuple[str, str]
"""(source sentence, target sentence)."""

INSTEAD = (
    "use your own files with `--data.corpus.kind files --data.corpus.train SOURCE_FILE TARGET_FILE`"
)
"""What a user can do where a corpus cannot be fetched."""


@dataclass(frozen=True)
class HeldOut:
    """A validation or test split: sentences to translate and the references to score against.

    Args:
        sources: N sentences.
        references: one or more translations of each sentence; None where one is missing.
    """

    sources: list[str]
    references: list[list[str | None]]

    @classmethod
    def of(cls, rows: Iterable[Sequence[str]]) -> "HeldOut":
        """A split from rows, each a sentence followed by its translations.

        A blank reference next to a real one counts as missing: scoring against it would shorten
        BLEU's reference length. If all are blank, one is kept, because held-out data is never
        filtered.
        """
        sources, references = [], []
        for source, *translations in rows:
            sources.append(source)
            references.append(_without_blanks(translations))
        return cls(sources, references)

    @property
    def targets(self) -> list[str]:
        """The first available reference of each source."""
        return [next(text for text in row if text is not None) for row in self.references]


def _without_blanks(row: Sequence[str]) -> list[str | None]:
    if not any(text.strip() for text in row):
        return [row[0]]
    return [text if text.strip() else None for text in row]


@dataclass(frozen=True)
class Corpus:
    """Everything that a source provides.

    Args:
        train: training pairs, read lazily and only once; a held-out split that is None is taken
            from them too.
        validation: the source's own validation split, if it has one.
        test: the source's own test split, if it has one.
        notices: files to place beside the prepared data, such as an attribution.
        monolingual: it is text of one language, each line paired with itself.
    """

    train: Iterable[Pair]
    validation: HeldOut | None = None
    test: HeldOut | None = None
    notices: dict[str, bytes] = field(default_factory=dict)
    monolingual: bool = False
