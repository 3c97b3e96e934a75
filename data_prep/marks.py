"""What decides where a sentence pair goes, as numbers, so that no text need be in memory."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from data_prep.clean import Predicate, empty
from data_prep.corpus import HeldOut, Pair
from data_prep.pairs import Mask, Pairs, in_blocks, writing
from nmt.corpora import TAGS

Numbers = NDArray[np.uint64]
"""The first eight bytes of a text's digest: of a hundred million texts two are taken for the same
once in some four thousand corpora."""

_ASCII_SIGNS = bytes(code for code in range(128) if not chr(code).isalnum())
_TAG = re.compile(rf"^{TAGS}\s")
_NOT_ALPHANUMERIC = re.compile(r"[\W_]")


def fold(text: str) -> str:
    """What two sentences must have in common to count as the same.

    NFKC and case folding, then only letters and digits, and the vowel signs and tone marks of
    scripts that write them so; a text without any is itself. A tag in front, as that of synthetic
    sources, is no part of the sentence.
    """
    folded = _TAG.sub("", unicodedata.normalize("NFKC", text).casefold())
    # Most of what goes is ASCII, and this is five times as fast as searching for it.
    folded = folded.encode().translate(None, _ASCII_SIGNS).decode()
    if not folded.isalnum():
        folded = _NOT_ALPHANUMERIC.sub(_if_letter, folded)
    return folded or text


def _if_letter(found: re.Match[str]) -> str:
    """The sign, if to leave it out would make another word: in Khmer, not in pointed Hebrew."""
    sign = found.group()
    # Classes 10 to 36 are points of Hebrew, Arabic and Syriac, those from 200 on accents.
    optional = 10 <= unicodedata.combining(sign) <= 36 or unicodedata.combining(sign) >= 200
    if unicodedata.category(sign) not in {"Mn", "Mc"} or optional:
        return ""
    return "" if "VARIATION SELECTOR" in unicodedata.name(sign, "") else sign


def digest(text: str, seed: int) -> bytes:
    """Sixteen bytes by which texts are put into an order that a seed chooses."""
    return hashlib.blake2b(f"{seed}\n{text}".encode(), digest_size=16).digest()


def numbers(texts: Iterable[str], seed: int) -> Numbers:
    """(N,) numbers that are equal where texts are; in their order digests stand too."""
    leading = b"".join(digest(text, seed)[:8] for text in texts)
    return np.frombuffer(leading, ">u8").astype(np.uint64)


@dataclass(frozen=True)
class Marks:
    """The marks of N pairs.

    Args:
        source: (N,) of the folded source.
        target: (N,) of the folded target.
        sentence: (N,) of the source as it is.
        pair: (N,) of both sides as they are.
        filtered: (N,) the first filter that drops the pair, counted from 1; 0 where none does.
    """

    source: Numbers
    target: Numbers
    sentence: Numbers
    pair: Numbers
    filtered: NDArray[np.uint8]

    @classmethod
    def of(cls, pairs: Sequence[Pair], filters: Mapping[str, Predicate], seed: int) -> "Marks":
        """The marks of some pairs."""
        drops = list(filters.values())
        first = [next((n for n, d in enumerate(drops, 1) if d(*pair)), 0) for pair in pairs]
        return cls(
            source=numbers((fold(source) for source, _ in pairs), seed),
            target=numbers((fold(target) for _, target in pairs), seed),
            sentence=numbers((source for source, _ in pairs), seed),
            pair=numbers((f"{len(source)} {source}{target}" for source, target in pairs), seed),
            filtered=np.array(first, np.uint8),
        )

    @classmethod
    def joined(cls, some: Iterable["Marks"]) -> "Marks":
        """Those of all pairs of several parts."""
        arrays = (vars(marks).values() for marks in (cls.of([], {}, 0), *some))
        return cls(*map(np.concatenate, zip(*arrays, strict=True)))

    def shared_with(self, parts: Sequence[HeldOut], seed: int) -> Mask:
        """Which pairs have a folded side in common with the held-out parts."""
        sources = numbers((fold(text) for part in parts for text in part.sources), seed)
        rows = [row for part in parts for row in part.references]
        targets = numbers((fold(text) for row in rows for text in row if text is not None), seed)
        return np.isin(self.source, sources) | np.isin(self.target, targets)


@dataclass(frozen=True)
class Gathered:
    """Pairs in a file, none of them empty on a side, with their marks; and how many were `read`."""

    pairs: Pairs
    marks: Marks
    read: int


def gather(
    path: Path, pairs: Iterable[Pair], filters: Mapping[str, Predicate], seed: int
) -> Gathered:
    """Writes pairs to a file as they come; what comes of them is decided by their marks."""
    read = 0
    marks = []
    with writing(path) as write:
        for block in in_blocks(tqdm(pairs, "reading", disable=None, leave=False)):
            read += len(block)
            whole = [pair for pair in block if not empty(*pair)]
            write(whole)
            marks.append(Marks.of(whole, filters, seed))
    return Gathered(Pairs.open(path), Marks.joined(marks), read)
