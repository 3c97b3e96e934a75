"""Scores of one system."""

from collections.abc import Sequence
from typing import Any

from nmt.evaluation.metrics import References, Scores, compare


def evaluate(hypotheses: Sequence[str], references: References, **options: Any) -> Scores:
    """What `compare` says of a system beside no other."""
    return compare({"": hypotheses}, references, **options)[""]
