"""Lines of several sentences: each is translated on its own, and they are put together again."""

from collections.abc import Callable, Sequence

from nmt.decoding.translation import Translation, unchanged
from nmt.documents.sentences import split


def by_sentences(
    translate: Callable[[list[str]], list[Translation]], texts: Sequence[str], language: str
) -> list[Translation]:
    """A translation of each text, with the white space that stood between its sentences.

    Args:
        translate: what translates sentences.
        texts: of any number of sentences.
        language: of the texts.
    """
    cut = [split(text, language) for text in texts]
    found = iter(translate([part.strip() for parts in cut for part in parts]))
    return [unchanged("".join(_spaced(part, next(found).text) for part in parts)) for parts in cut]


def _spaced(part: str, translation: str) -> str:
    """A translation with the white space at the ends of what it translates."""
    core = part.strip()
    before, _, after = part.partition(core) if core else (part, "", "")
    return before + translation + after
