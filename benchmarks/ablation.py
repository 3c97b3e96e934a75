"""What each part of a system is worth: variants of one recipe, several seeds, on validation.

    python -m benchmarks.ablation benchmarks/recipe.yaml --seeds 1 2 3 --out recipe.json

The file names a recipe of configs/, what is changed for all, and the changes that make each
variant; the first row is the recipe itself. A changed part that names another `kind` replaces the
whole part, every other change is laid over it. Each variant is trained once for each seed by
`nmt train`, and what `nmt prepare` makes anew for it lies in a folder of its own.

Called again it goes on where it stopped, and measures what has changed in the file. A difference to
the recipe is told as one only beyond twice the deviation of seeds, pooled over all variants.
Beside the JSON file lies the table as Markdown.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from hashlib import sha256
from itertools import islice, product
from pathlib import Path
from statistics import mean, variance
from typing import Any, NamedTuple

import yaml

from benchmarks import measure
from benchmarks.peers import command, run, say
from benchmarks.watching import REPOSITORY
from nmt import config
from nmt.arguments import at_least
from nmt.checkpoint import MANIFEST, METRICS
from nmt.errors import UserError
from nmt.files import read_json, read_yaml, write_atomically, write_json
from nmt.schema import Settings

RECIPE = "the recipe"
KEYS = {"config", "common", "variants"}


class Job(NamedTuple):
    """One training: of a variant, with a seed; the digest is of all its settings."""

    variant: str
    seed: int
    settings: Settings
    digest: str

    def folder(self, section: str) -> Path:
        """Of the prepared data or of the run."""
        return Path(self.settings[section]["folder"])

    def start(self, verb: str, folder: Path) -> subprocess.Popen[str]:
        """Begins `nmt VERB` with these settings, which lie with its log beside the folder."""
        folder.parent.mkdir(parents=True, exist_ok=True)
        path = folder.with_suffix(".yaml")
        path.write_text(yaml.safe_dump(self.settings, allow_unicode=True), encoding="utf-8")
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        with folder.with_suffix(".log").open("w", encoding="utf-8") as log:
            words = [sys.executable, "-m", "nmt.cli", verb, str(path)]
            return subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, text=True
            )


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    made = command("benchmarks.ablation", __doc__)
    made.add_argument("file", type=Path, metavar="FILE.yaml", help="the variants")
    made.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    made.add_argument("--out", type=Path, required=True, metavar="FILE.json")
    made.add_argument(
        "--at-once", type=at_least(1), default=2, help="trainings side by side, a thread each"
    )
    made.add_argument(
        "--work", type=Path, default=Path(__file__).parent / ".work/ablation", metavar="FOLDER"
    )
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status: 0, or 2 for a user's mistake."""
    given = parser().parse_args(argv)
    try:
        table = shown(measured(given))
    except UserError as error:
        say(f"benchmarks.ablation: {error}")
        return 2
    markdown = given.out.with_suffix(".md")
    write_atomically(markdown, lambda file: file.write_text(table + "\n", encoding="utf-8"))
    print(table)
    return 0


def measured(given: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """{variant: {seed: what its training reached}}; the file is there after each training.

    Raises:
        UserError: a mistake in the file or in the settings that it makes, or a training that ended
            with another status than 0.
    """
    version = measure.code()
    jobs = list(_jobs(given, version))
    known = read_json(given.out)["trainings"] if given.out.exists() else {}
    missing = list({job.digest: job for job in jobs if job.digest not in known}.values())
    say(f"{len(jobs) - len(missing)} of {len(jobs)} trainings are there, {len(missing)} to make")
    for job, _ in _done("prepare", {job.folder("data"): job for job in missing}, 1):
        say(f"prepared {job.folder('data')}")
    trainings = {job.folder("training"): job for job in missing}
    for job, folder in _done("train", trainings, given.at_once):
        best = read_json(folder / METRICS)["validation"]
        found = {key: best[key] for key in ("bleu", "loss", "step", "signature")}
        manifest = read_json(folder / MANIFEST)
        found |= {key: manifest[key] for key in ("parameters", "versions")} | {"code": version}
        known[job.digest] = {"variant": job.variant, "seed": job.seed, **found}
        write_json(given.out, {"trainings": known, "machine": measure.machine(1)})
        say(f"{job.variant}, seed {job.seed}: BLEU {found['bleu']:.2f}")
    table: dict[str, dict[str, Any]] = {}
    for job in jobs:
        table.setdefault(job.variant, {})[str(job.seed)] = known[job.digest]
    return table


def _jobs(given: argparse.Namespace, version: str) -> Iterator[Job]:
    file = read_yaml(given.file)
    if file.keys() != KEYS or not isinstance(file["variants"], dict):
        raise UserError(
            f"{given.file}: expected the keys {', '.join(sorted(KEYS))}, the variants by name, "
            f"found {', '.join(map(str, file)) or 'none'}"
        )
    recipe = merged(read_yaml(Path(file["config"])), file["common"] or {})
    for seed, (name, change) in product(given.seeds, {RECIPE: {}, **file["variants"]}.items()):
        alone = {"training": {"seed": seed, "threads": 1, "precision": "fp32"}}
        settings = merged(merged(recipe, change or {}), alone)
        # With all defaults, so that another default makes another training.
        settings = asdict(config.from_dict(settings, f"{given.file}: {name}"))
        data, training = settings["data"], settings["training"]
        data["folder"] = str(given.work.resolve() / f"data-{_digest({**data, 'folder': ''})}")
        digest = _digest({**settings, "training": {**training, "folder": ""}})
        training["folder"] = str(given.work.resolve() / f"run-{digest}-{version}")
        yield Job(name, seed, settings, digest)


def _digest(settings: Settings) -> str:
    return sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]


def merged(base: Settings, change: Mapping[str, Any]) -> Settings:
    """Settings with a change laid over them; a part of another `kind` is another part."""
    return {**base, **{key: _laid(base.get(key), value) for key, value in change.items()}}


def _laid(old: Any, value: Any) -> Any:
    if not isinstance(old, dict) or not isinstance(value, dict):
        return value
    return merged(old, value) if value.get("kind", old.get("kind")) == old.get("kind") else value


def _done(verb: str, jobs: Mapping[Path, Job], at_once: int) -> Iterator[tuple[Job, Path]]:
    """Does `nmt VERB` for each folder, some at a time; tells each when it is done.

    Raises:
        UserError: one ended with another status than 0; the others are stopped.
    """
    waiting = iter(jobs.items())
    running: dict[Path, subprocess.Popen[str]] = {}
    try:
        while True:
            for folder, job in islice(waiting, at_once - len(running)):
                running[folder] = job.start(verb, folder)
            if not running:
                return
            time.sleep(0.1)
            for folder in [name for name, one in running.items() if one.poll() is not None]:
                _expect_success(running.pop(folder), folder.with_suffix(".log"))
                yield jobs[folder], folder
    finally:
        for process in running.values():
            process.terminate()  # `nmt train` saves what it has and is gone on with
            process.wait()


def _expect_success(process: subprocess.Popen[str], log: Path) -> None:
    if process.returncode:
        last = log.read_text(encoding="utf-8").strip().splitlines()[-1:]
        raise UserError(
            f"a training ended with status {process.returncode}: {''.join(last)} (all of it: {log})"
        )


def shown(table: Mapping[str, Mapping[str, Any]]) -> str:
    """A row for each variant, as Markdown."""
    bleu = {name: [one["bleu"] for one in seeds.values()] for name, seeds in table.items()}
    several = [variance(found) for found in bleu.values() if len(found) > 1]
    noise = 2 * mean(several) ** 0.5 if several else float("inf")
    recipe = table[RECIPE]
    size = next(iter(recipe.values()))["parameters"]
    lines = [
        "| variant | validation BLEU | seeds | difference | validation loss | parameters |",
        "|---|---|---|---|---|---|",
    ]
    for name, seeds in table.items():
        difference = mean(bleu[name]) - mean(bleu[RECIPE])
        counts = f"**{difference:+.2f}**" if abs(difference) > noise else f"{difference:+.2f}"
        parameters = next(iter(seeds.values()))["parameters"]
        loss = mean(one["loss"] for one in seeds.values())
        each = ", ".join(f"{one:.2f}" for one in bleu[name])
        cells = [name, f"{mean(bleu[name]):.2f}", each, "" if name == RECIPE else counts]
        cells += [f"{loss:.3f}", f"{parameters:,} ({parameters / size - 1:+.0%})"]
        lines.append(f"| {' | '.join(cells)} |")
    signature = next(iter(recipe.values()))["signature"]
    told = "no deviation is known from one seed" if not several else f"{noise:.2f} BLEU"
    versions = {one.get("code") for seeds in table.values() for one in seeds.values()}
    mixed = f"; trained by {len(versions)} versions of the code" if len(versions) > 1 else ""
    last = f"{signature}; twice the pooled deviation of seeds: {told}{mixed}."
    return "\n".join([*lines, "", last])


if __name__ == "__main__":
    run(main)
