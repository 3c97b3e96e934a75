"""Numeric marks that decide what becomes of a sentence pair, so no text need stay in memory."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from data_prep.clean import Predicate, empty, is_repeat
from data_prep.corpus import HeldOut, Pair
from data_prep.pairs import Mask, Pairs, in_blocks, writing
from nmt.corpora import TAGGED

Hashes = NDArray[np.uint64]
"""The first eight bytes of each text's digest: among a hundred million texts, two collide in about
one corpus in four thousand."""

_ASCII_SIGNS = bytes(code for code in range(128) if not chr(code).isalnum())
_NOT_ALPHANUMERIC = re.compile(r"[\W_]")


def fold(text: str) -> str:
    """The form in which two sentences must agree to count as the same.

    NFKC and case folding, then only letters and digits, plus combining vowel signs and tone marks
    in scripts that use them; a text with none of these is left as it is. A leading tag, such as
    that of synthetic sources, is not part of the sentence.
    """
    folded = TAGGED.sub("", unicodedata.normalize("NFKC", text).casefold())
    folded = folded.replace("\u0131", "i")  # what a Turkish I is in small letters
    # Most removed characters are ASCII, and this is five times as fast as a regular expression.
    folded = folded.encode().translate(None, _ASCII_SIGNS).decode()
    if not folded.isalnum():
        folded = _NOT_ALPHANUMERIC.sub(_if_letter, folded)
    return folded or text


def _if_letter(found: re.Match[str]) -> str:
    """The sign, if omitting it would make another word: so in Khmer, not in pointed Hebrew."""
    sign = found.group()
    # Combining classes 10 to 36 are Hebrew, Arabic and Syriac points; from 200 on, accents.
    optional = 10 <= unicodedata.combining(sign) <= 36 or unicodedata.combining(sign) >= 200
    if unicodedata.category(sign) not in {"Mn", "Mc"} or optional:
        return ""
    return "" if "VARIATION SELECTOR" in unicodedata.name(sign, "") else sign


def digest(text: str, seed: int) -> bytes:
    """Sixteen bytes; sorting texts by them gives an order that depends on the seed."""
    return hashlib.blake2b(f"{seed}\n{text}".encode(), digest_size=16).digest()


def hashes(texts: Iterable[str], seed: int) -> Hashes:
    """(N,) numbers, equal for equal texts and ordered as the texts' digests are."""
    leading = b"".join(digest(text, seed)[:8] for text in texts)
    return np.frombuffer(leading, ">u8").astype(np.uint64)


@dataclass(frozen=True)
class Marks:
    """The marks of N pairs.

    Args:
        source: (N,) numbers of the folded sources.
        target: (N,) numbers of the folded targets.
        sentence: (N,) numbers of the unfolded sources.
        pair: (N,) numbers of both unfolded sides together.
        filtered: (N,) the first filter that drops the pair, counted from 1; 0 where none does.
    """

    source: Hashes
    target: Hashes
    sentence: Hashes
    pair: Hashes
    filtered: NDArray[np.uint8]

    @classmethod
    def of(cls, pairs: Sequence[Pair], filters: Mapping[str, Predicate], seed: int) -> "Marks":
        """The marks of the given pairs."""
        drops = list(filters.values())
        first = [next((n for n, d in enumerate(drops, 1) if d(*pair)), 0) for pair in pairs]
        return cls(
            source=hashes((fold(source) for source, _ in pairs), seed),
            target=hashes((fold(target) for _, target in pairs), seed),
            sentence=hashes((source for source, _ in pairs), seed),
            pair=hashes((f"{len(source)} {source}{target}" for source, target in pairs), seed),
            filtered=np.array(first, np.uint8),
        )

    @classmethod
    def joined(cls, some: Iterable["Marks"]) -> "Marks":
        """The marks of several parts, concatenated."""
        arrays = (vars(marks).values() for marks in (cls.of([], {}, 0), *some))
        return cls(*map(np.concatenate, zip(*arrays, strict=True)))

    def shared_with(self, parts: Sequence[HeldOut], seed: int) -> Mask:
        """Which pairs share a folded side with the held-out parts."""
        sources = hashes((fold(text) for part in parts for text in part.sources), seed)
        rows = [row for part in parts for row in part.references]
        targets = hashes((fold(text) for row in rows for text in row if text is not None), seed)
        return np.isin(self.source, sources) | np.isin(self.target, targets)

    def once(self, among: Mask) -> Mask:
        """The pairs `among`, but of equal ones only the first."""
        rows = np.flatnonzero(among)
        kept = among.copy()
        kept[rows[is_repeat(self.pair[rows])]] = False
        return kept


@dataclass(frozen=True)
class Gathered:
    """Pairs in a file, none with an empty side, with their marks; and how many were `read`."""

    pairs: Pairs
    marks: Marks
    read: int


def gather(
    path: Path, pairs: Iterable[Pair], filters: Mapping[str, Predicate], seed: int
) -> Gathered:
    """Streams pairs to a file; their marks later decide which are kept and in which split."""
    read = 0
    marks = []
    with writing(path) as write:
        for block in in_blocks(tqdm(pairs, "reading", disable=None, leave=False)):
            read += len(block)
            whole = [pair for pair in block if not empty(*pair)]
            write(whole)
            marks.append(Marks.of(whole, filters, seed))
    return Gathered(Pairs.open(path), Marks.joined(marks), read)
