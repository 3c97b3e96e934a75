r"""Ours beside other toolkits: the same model, data, threads and batches, on the same machine.

    nmt prepare benchmarks/matched.yaml
    python -m benchmarks.peers --data data/benchmark --peers joeynmt opennmt fairseq marian \
        --rounds 3 --out peers.json

Each toolkit is installed into an environment of its own below `--work`, where everything else of
this benchmark lies too. All read the same pieces. Each first trains one model for `--epochs`, which
is what it decodes with; then every round lets all of them train for `--timed-updates` from scratch,
one after the other, and translate the test split, so that a machine that slows down slows all.

Training is timed from the log of each, by the arrival of its lines, over all updates but the first
fifth: start-up and reading data are not counted, nor is padding: a token is a piece of a target
sentence or its end mark. Decoding is timed around the call that takes the sentences and gives the
translations, in a process that has loaded the model and translated a few sentences before. BLEU is
sacreBLEU's, of the beam's output as text against the raw references. A model that has learnt little
may go on to its length limit, and then sentences per second say little: the table shows how long
the output is, as a share of the references.

A ratio compares what was measured within one round. All compute in fp32 where nothing else is said.
"""

import argparse
import hashlib
import inspect
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from subprocess import SubprocessError
from typing import NoReturn

from benchmarks import environments, measure, segmented
from benchmarks.results import Results, tables
from benchmarks.systems import OURS, PEERS
from benchmarks.systems.contract import Bench, System
from benchmarks.trial import Trial
from benchmarks.watching import REPOSITORY
from nmt.arguments import at_least
from nmt.checkpoint import MANIFEST
from nmt.errors import Say, UserError
from nmt.evaluation.metrics import bleu
from nmt.files import read_json, sha256

BEAMS = {"beam5": 5, "greedy": 1}
TOLERANCE = 0.03
"""A peer's model is matched if its parameters differ from ours by this share at most."""


def say(line: str) -> None:
    """Tells the user, on the error stream: standard output is for the tables."""
    print(line, file=sys.stderr, flush=True)


def command(name: str, text: str | None) -> argparse.ArgumentParser:
    """A command of this package: the first line of its text before its options, the rest after."""
    summary, _, rest = (text or "").partition("\n")
    return argparse.ArgumentParser(
        prog=f"python -m {name}",
        description=summary,
        epilog=rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    made = command("benchmarks.peers", __doc__)
    for name, systems in (("--peers", PEERS), ("--ours", OURS)):
        named = [*systems]
        made.add_argument(
            name,
            nargs="*",
            choices=named,
            default=named,
            metavar="NAME",
            help=f"any of {', '.join(named)} (default: all)",
        )
    made.add_argument("--rounds", type=at_least(1), default=3)
    made.add_argument(
        "--epochs", type=at_least(0), default=1, help="of the models; 0 times training alone"
    )
    add_bench(made, timed_updates=150)
    return made


def add_bench(made: argparse.ArgumentParser, timed_updates: int) -> None:
    """The options of what is the same for every system, of a command that `open_bench` reads."""
    made.add_argument("--out", type=Path, required=True, metavar="FILE.json")
    made.add_argument("--data", type=Path, metavar="FOLDER", help="made by `nmt prepare`")
    made.add_argument("--threads", type=at_least(1), default=2)
    made.add_argument("--batch", type=at_least(1), default=64, help="sentences")
    made.add_argument("--timed-updates", type=at_least(1), default=timed_updates)
    made.add_argument(
        "--work", type=Path, default=Path(__file__).parent / ".work", metavar="FOLDER"
    )
    made.add_argument(
        "--pip-args", default="", help="words for pip, such as '--extra-index-url ADDRESS'"
    )


def open_bench(given: argparse.Namespace) -> tuple[Bench, str]:
    """The bench that the options describe, and the digest of its data.

    Raises:
        UserError: no data, or none with a joint vocabulary.
    """
    if given.data is None:
        raise UserError(
            "--data: expected a folder of prepared data, found none; "
            "`nmt prepare benchmarks/matched.yaml` makes data/benchmark"
        )
    data = segmented.export(given.data, given.work / "segmented")
    bench = Bench(data, given.work, given.threads, given.batch, given.pip_args.split(), say)
    return bench, read_json(given.data / MANIFEST)["data_hash"]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status: 0, or 2 for a user's mistake."""
    given = parser().parse_args(argv)
    try:
        results = compare(given, say)
    except UserError as error:
        say(f"benchmarks.peers: {error}")
        return 2
    print(tables(results.runs, OURS))
    return 0


def compare(given: argparse.Namespace, say: Say) -> Results:
    """All rounds; the file is there after each of them.

    Raises:
        UserError: no data, results of another run in the way, or no system left to measure.
    """
    if given.out.exists():
        raise UserError(f"{given.out}: expected a new file for the results, found one")
    bench, data_hash = open_bench(given)
    trials = []
    for name in [*given.ours, *given.peers]:
        system = {**OURS, **PEERS}[name]
        version = version_of(system)
        identity = [data_hash, version, given.threads, given.batch, given.epochs]
        trials.append(
            Trial(name, system(bench), bench, given.epochs, given.timed_updates, identity)
        )
    settings = {name: getattr(given, name) for name in ("batch", "epochs", "timed_updates")}
    settings |= {"data_hash": data_hash, "code": measure.code()}
    results = Results(given.out, measure.machine(given.threads), settings)
    trials = _each(trials, partial(_install, results, say), say)
    if given.epochs:
        trials = _each(trials, partial(_train, results, say), say)
        _tell_sizes(results, say)
    results.write()
    for number in range(1, given.rounds + 1):
        say(f"round {number} of {given.rounds}")
        trials = _each(trials, partial(_time_training, results, say), say)
        for beam in BEAMS if given.epochs else ():
            trials = _each(trials, partial(_time_decoding, results, say, beam), say)
        results.write()
    return results


def version_of(system: type[System]) -> str:
    """A digest of what makes a system's numbers: its code here, and the program if it is ours."""
    files = {inspect.getfile(one) for one in system.__mro__ if one.__module__ != "builtins"}
    files |= {inspect.getfile(module) for module in (environments, segmented)}
    config = getattr(system, "config", None)
    parts = [sha256(Path(file)) for file in sorted(files) if "benchmarks" in Path(file).parts]
    parts += [sha256(REPOSITORY / config), measure.code()] if config else []
    return hashlib.sha256("".join(parts).encode()).hexdigest()[:12]


def _each(trials: Sequence[Trial], job: Callable[[Trial], None], say: Say) -> list[Trial]:
    """Does a job for all in turn; one that fails is left out from there on."""
    left = []
    for trial in trials:
        try:
            job(trial)
        except (UserError, OSError, SubprocessError) as error:
            say(f"{trial.name} is left out: {error}")
        else:
            left.append(trial)
    if not left:
        raise UserError("no system is left to be measured")
    return left


def _install(results: Results, say: Say, trial: Trial) -> None:
    results.versions[trial.name] = dict(trial.system.install())
    if trial.system.note:
        say(f"{trial.name}: {trial.system.note}")


def _train(results: Results, say: Say, trial: Trial) -> None:
    for mode in trial.system.models:
        trained = trial.train(mode)
        samples = results.of(trial.name, mode)
        samples["parameters"] = trained.parameters
        say(
            f"{trial.name} {mode}: {trained.parameters:,} parameters, trained at "
            f"{trained.tokens_per_second:,.0f} tokens/s"
        )
    # The model of the others has the same size, trained or not.
    for mode in dict.fromkeys([*trial.system.training_modes, *trial.system.decoding_modes]):
        samples = results.of(trial.name, mode)
        samples["parameters"] = samples["parameters"] or trained.parameters


def _tell_sizes(results: Results, say: Say) -> None:
    """Names the models that are not matched."""
    own = [samples["parameters"] for samples in results.runs.get("ours", {}).values()]
    for name, modes in results.runs.items():
        for samples in modes.values() if own and name in PEERS else ():
            share = samples["parameters"] / own[0] - 1
            if abs(share) > TOLERANCE:
                say(f"{name}: its model has {share:+.1%} parameters against ours: not matched")


def _time_training(results: Results, say: Say, trial: Trial) -> None:
    for mode in trial.system.training_modes:
        rate = trial.time_training(mode)
        results.of(trial.name, mode)["train_tokens_per_s"].append(rate)
        say(f"  {trial.name} {mode}: training {rate:,.0f} tokens/s")


def _time_decoding(results: Results, say: Say, beam: str, trial: Trial) -> None:
    for mode in trial.system.decoding_modes:
        decoded = trial.time_decoding(mode, BEAMS[beam])
        samples = results.of(trial.name, mode)
        samples[f"{beam}_sentences_per_s"].append(decoded.sentences_per_second)
        references = trial.bench.data.references["test"]
        score = bleu(decoded.texts, references)
        first = (next(filter(None, row), "") for row in references)
        length = sum(map(len, decoded.texts)) / sum(map(len, first))
        if beam == "beam5":
            samples |= {"bleu": score.value, "length": length}
            results.settings["signature"] = score.signature
        say(
            f"  {trial.name} {mode}: {beam} {decoded.sentences_per_second:,.1f} sentences/s, "
            f"BLEU {score.value:.2f}, {length:.2f} times as long as the references"
        )


def run(main: Callable[[], int]) -> NoReturn:
    """A command as a program, whose end is the end of the one that it measures too.

    That one would go on and disturb the next.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    sys.exit(main())


if __name__ == "__main__":
    run(main)
