"""What a translator gives back, as plain data."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Alternative:
    """One candidate translation.

    Args:
        text: without line breaks.
        score: log_probability / length ** length_penalty, what candidates are ranked by.
        log_probability: natural logarithm, over all tokens and the end of the sentence.
        cut: True if it stopped at the length limit.
    """

    text: str
    score: float
    log_probability: float
    cut: bool


@dataclass(frozen=True)
class Alignment:
    """Which source token each target token came from, as attention saw it.

    Args:
        source: (S) the source's tokens as pieces of its text, and `</s>`.
        target: (T) the translation's tokens alike; without `</s>` if it was cut.
        weights: (T, S) each row sums to 1.
        heads: of a Turing machine, by name: (T, slots) where each looked; None without one.
    """

    source: list[str]
    target: list[str]
    weights: list[list[float]]
    heads: dict[str, list[list[float]]] | None = None


@dataclass(frozen=True)
class Translation(Alternative):
    """The best candidate, all that were asked for (the best first), and its alignment."""

    alternatives: list[Alternative]
    alignment: Alignment | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON; without an alignment where none was asked for."""
        return asdict(self, dict_factory=_given)


def _given(items: list[tuple[str, Any]]) -> dict[str, Any]:
    return {key: value for key, value in items if value is not None}


def unchanged(text: str) -> Translation:
    """A blank line's translation: the line itself."""
    return Translation(text, 0.0, 0.0, False, [Alternative(text, 0.0, 0.0, False)])
