"""The samples of a comparison: kept, written after every round, shown as tables with ratios."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.measure import table, with_spread
from nmt.files import write_json

Runs = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""{system: {mode: {measure: samples or value}}}."""

MEASURES = {
    "train_tokens_per_s": "Training, real target tokens per second",
    "beam5_sentences_per_s": "Beam 5, sentences per second",
    "greedy_sentences_per_s": "Greedy, sentences per second",
}


class Results:
    """What the output file holds.

    Args:
        path: of the file.
        machine: what it was measured on.
        settings: what all systems had in common.
    """

    def __init__(self, path: Path, machine: Mapping[str, Any], settings: dict[str, Any]) -> None:
        self.path = path
        self.runs: dict[str, dict[str, dict[str, Any]]] = {}
        self.machine = machine
        self.settings = settings
        self.versions: dict[str, Any] = {}

    def of(self, system: str, mode: str) -> dict[str, Any]:
        """The samples of a mode, to be added to."""
        empty: dict[str, Any] = {name: [] for name in MEASURES}
        modes = self.runs.setdefault(system, {})
        return modes.setdefault(mode, {**empty, "bleu": None, "length": None, "parameters": None})

    def write(self) -> None:
        """Writes the file atomically."""
        facts = {"machine": self.machine, "settings": self.settings, "versions": self.versions}
        write_json(self.path, {"runs": self.runs, **facts})


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Ours to theirs within each round that both have finished."""
    return [a / b for a, b in zip(ours, theirs, strict=False)]


def tables(runs: Runs, ours: Iterable[str]) -> str:
    """A table for each measure: medians with their range, and the ratios of each mode of ours.

    Args:
        runs: the samples.
        ours: the systems whose ratio to the others is shown.
    """
    own = [name for name in ours if name in runs]
    parts = []
    for measure, title in MEASURES.items():
        measured = {
            (system, mode): samples[measure]
            for system, modes in runs.items()
            for mode, samples in modes.items()
            if samples[measure]
        }
        if not measured:
            continue
        heads = [key for key in measured if key[0] in own]
        rows = [_row(key, values, runs, measured, heads) for key, values in measured.items()]
        parts.append(f"{title}\n{table(rows)}")
    return "\n\n".join(parts)


def _row(
    key: tuple[str, str],
    values: Sequence[float],
    runs: Runs,
    measured: Mapping[tuple[str, str], Sequence[float]],
    heads: Sequence[tuple[str, str]],
) -> dict[str, str]:
    system, mode = key
    samples = runs[system][mode]
    bleu, length, parameters = samples["bleu"], samples["length"], samples["parameters"]
    row = {
        "system": f"{system} {mode}",
        "median (range)": with_spread(values),
        "BLEU": "" if bleu is None else f"{bleu:.2f}",
        "length": "" if length is None else f"{length:.2f}",
        "parameters": "" if parameters is None else f"{parameters:,}",
    }
    for head in heads:
        row[f"{' '.join(head)} / it"] = _ratio(measured[head], values) if head != key else ""
    return row


def _ratio(ours: Sequence[float], theirs: Sequence[float]) -> str:
    found = ratios(ours, theirs)
    return with_spread(found, 2) if found else ""
