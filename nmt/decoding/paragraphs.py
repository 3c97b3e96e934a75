"""Lines of several sentences: each is translated on its own, and they are put together again."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TypeVar

from nmt.decoding.translation import Translation, unchanged
from nmt.documents.sentences import split

Item = TypeVar("Item")


class Paragraphs:
    """Texts as the sentences that they are made of.

    Args:
        texts: of any number of sentences.
        language: of the texts.
    """

    def __init__(self, texts: Sequence[str], language: str) -> None:
        self.cut = [split(text, language) for text in texts]
        self.sentences = [part.strip() for parts in self.cut for part in parts]

    def grouped(self, items: Sequence[Item]) -> Iterator[list[Item]]:
        """What there is for each sentence, as a list for each text."""
        rest = iter(items)
        return (list(islice(rest, len(parts))) for parts in self.cut)

    def joined(self, translations: Sequence[Translation]) -> list[Translation]:
        """A translation of each text, with the white space that stood between its sentences."""
        groups = zip(self.cut, self.grouped(translations), strict=True)
        return [
            unchanged("".join(_spaced(part, one.text) for part, one in zip(*group, strict=True)))
            for group in groups
        ]


def _spaced(part: str, translation: str) -> str:
    """A translation with the white space at the ends of what it translates."""
    core = part.strip()
    before, _, after = part.partition(core) if core else (part, "", "")
    return before + translation + after
