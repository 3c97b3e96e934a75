"""Time to quality: validation BLEU against minutes of training, ours and the peers'.

    nmt prepare benchmarks/matched.yaml
    python -m benchmarks.quality --data data/benchmark --minutes 10 20 30 --out quality.json

Each point is a whole training of its own, as a user with that much time would start it: a schedule
that ends with the training ends with the minutes. How many updates they hold is found by a short
training before; what is shown is the time that the training took in fact, from the start of its
command to its end, reading of data and validation included. Then the model translates the
validation split at beam 5; that time does not count. Of every system the last model is decoded.
Peers have the model of `benchmarks.peers` and its constant rate; ours_default is the recipe in
configs/, whose settings were chosen on this very split.

Points that the file holds already are not measured again: several runs fill one file. A picture
is drawn beside it.
"""

import argparse
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from benchmarks import measure
from benchmarks.peers import add_bench, command, open_bench, run, say, version_of
from benchmarks.systems import OURS, PEERS
from benchmarks.trial import Pace, Trial
from nmt.errors import UserError
from nmt.evaluation.metrics import bleu
from nmt.evaluation.plots import plot_lines
from nmt.files import read_json, write_json

SYSTEMS = {**OURS, **PEERS}
CHOSEN = ("ours_default", "opennmt", "fairseq", "joeynmt")
BEAM = 5


class Point(NamedTuple):
    """One training.

    Args:
        asked: minutes that it was to take.
        minutes: that it took.
        updates: that it did.
        bleu: of the validation split.
    """

    asked: float
    minutes: float
    updates: int
    bleu: float


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    made = command("benchmarks.quality", __doc__)
    made.add_argument(
        "--systems",
        nargs="+",
        choices=[*SYSTEMS],
        default=CHOSEN,
        metavar="NAME",
        help=f"any of {', '.join(SYSTEMS)} (default: {' '.join(CHOSEN)})",
    )
    made.add_argument("--minutes", nargs="+", type=float, default=[10, 20, 30])
    add_bench(made, timed_updates=60)
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status: 0, or 2 for a user's mistake."""
    given = parser().parse_args(argv)
    try:
        points = compare(given)
        print(shown(points))
        lines = {name: [(one.minutes, one.bleu) for one in rows] for name, rows in points.items()}
        axes = ("minutes of training", "validation BLEU")
        plot_lines(lines, axes, given.out.with_suffix(".png"))
    except UserError as error:
        say(f"benchmarks.quality: {error}")
        return 2
    return 0


def compare(given: argparse.Namespace) -> dict[str, list[Point]]:
    """All points, those of earlier runs among them; the file is there after each.

    Raises:
        UserError: no data, a file of other data, or a system that does not run.
    """
    bench, data_hash = open_bench(given)
    machine = measure.machine(given.threads)
    same = {"data_hash": data_hash, "batch": given.batch, "machine": machine}
    content: dict[str, Any] = {**same, "versions": {}, "points": {}, "code": {}}
    if given.out.exists():
        content = read_json(given.out)
        for key, wanted in same.items():
            if content.get(key) != wanted:
                raise UserError(
                    f"{given.out}: expected points measured with {key} {wanted}, found "
                    f"{content.get(key)}; choose another --out, or set it back"
                )
    points = {name: [Point(*one) for one in rows] for name, rows in content["points"].items()}
    for name in given.systems:
        found = points.setdefault(name, [])
        missing = sorted({*given.minutes} - {point.asked for point in found})
        if not missing:
            continue
        trial = Trial(name, SYSTEMS[name](bench), bench, 0, given.timed_updates, [])
        content["versions"][name] = dict(trial.system.install())
        codes = content["code"].setdefault(name, [])
        if (version := version_of(SYSTEMS[name])) not in codes:
            codes.append(version)
        if len(codes) > 1:
            say(f"{given.out}: the points of {name} are of {len(codes)} versions of its code")
        pace = trial.pace(trial.system.models[0])
        for minutes in missing:
            point, content["signature"] = _measure(trial, minutes, pace)
            found[:] = sorted([*found, point])
            content["points"] = points
            write_json(given.out, content)
    return points


def _measure(trial: Trial, minutes: float, pace: Pace) -> tuple[Point, str]:
    """A whole training and the BLEU of what it leaves, with its signature."""
    mode = trial.system.models[0]
    updates = max(1, round((60 * minutes - pace.start_up) * pace.updates_per_second))
    started = time.monotonic()
    trial.train_updates(mode, updates)
    took = (time.monotonic() - started) / 60
    decoded = trial.time_decoding(mode, BEAM, "validation")
    score = bleu(decoded.texts, trial.bench.data.references["validation"])
    say(f"{trial.name}: {took:.1f} minutes, {updates:,} updates, BLEU {score.value:.2f}")
    return Point(minutes, took, updates, score.value), score.signature


def shown(points: dict[str, list[Point]]) -> str:
    """A row for each system, a column for each number of minutes asked for."""
    asked = sorted({point.asked for rows in points.values() for point in rows})
    rows = []
    for name, found in points.items():
        at = {point.asked: f"{point.bleu:.1f} ({point.minutes:.1f} min)" for point in found}
        cells = {f"{minutes:g} minutes": at.get(minutes, "") for minutes in asked}
        rows.append({"BLEU after": name, **cells})
    return measure.table(rows)


if __name__ == "__main__":
    run(main)
