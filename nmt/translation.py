"""What a translator returns, as plain data."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Alternative:
    """One candidate translation.

    Args:
        text: the text, without line breaks.
        score: log_probability / length ** length_penalty, by which candidates are ranked.
        log_probability: natural logarithm, summed over all tokens and EOS; with a shortlist, of a
            probability that it alone shares out.
        cut: True if it stopped at the length limit.
    """

    text: str
    score: float
    log_probability: float
    cut: bool


@dataclass(frozen=True)
class Alignment:
    """The soft alignment of target to source tokens, from attention.

    Args:
        source: (S) the source tokens as pieces of the text, then `</s>`.
        target: (T) the target tokens likewise; without `</s>` if the translation was cut.
        weights: (T, S) attention weights; each row sums to 1.
        heads: (T, slots) where each head of a Turing machine looked, by name; None without one.
    """

    source: list[str]
    target: list[str]
    weights: list[list[float]]
    heads: dict[str, list[list[float]]] | None = None


@dataclass(frozen=True)
class Translation(Alternative):
    """The best candidate, its alignment, and all requested candidates, best first."""

    alternatives: list[Alternative]
    alignment: Alignment | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON; keys whose value is None are left out."""
        return asdict(self, dict_factory=_given)


def _given(items: list[tuple[str, Any]]) -> dict[str, Any]:
    return {key: value for key, value in items if value is not None}


def unchanged(text: str) -> Translation:
    """The translation of a blank line: the line itself."""
    return Translation(text, 0.0, 0.0, False, [Alternative(text, 0.0, 0.0, False)])
