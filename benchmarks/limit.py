"""How much of what this machine's products allow a training step and a search reach.

    python -m benchmarks.limit --threads 2 --rounds 3 --out limit.json

The limit is the time of the products alone, each by its fastest route at its own shape; a step
also has everything elementwise, the optimiser and the conversions to make. Each round measures the
products and the steps anew, so that a share compares what was measured within the same seconds.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks import measure, rates, steps, synthetic
from benchmarks.arithmetic import (
    Product,
    Sizes,
    decoding_products,
    expect_counted,
    mflop_per_target_token,
    operations,
    training_products,
)
from nmt import checkpoint, config
from nmt.arguments import at_least
from nmt.errors import UserError
from nmt.files import write_json
from nmt.model.seq2seq import Seq2Seq
from nmt.ram import keep_freed_memory

MATCHED = Path(__file__).with_name("matched.yaml")
BEAM = 5
PRODUCT_SHARE = 0.03
"""A product may be tried for this share of the time that a step may."""

Shape = tuple[int, int, int, bool]


@dataclass(frozen=True)
class Job:
    """A training step or a search: its products, its size, and what to time in each precision."""

    name: str
    products: list[Product]
    tokens: int
    steps: Mapping[str, Callable[[], object]]


@dataclass
class Found:
    """Of one job in one precision, a value for each round: seconds, and the route of each shape."""

    limits: list[float] = field(default_factory=list)
    taken: list[float] = field(default_factory=list)
    fastest: list[dict[Shape, rates.Rate]] = field(default_factory=list)

    @property
    def shares(self) -> list[float]:
        """Percent of the limit that the step reaches."""
        return [100 * limit / taken for limit, taken in zip(self.limits, self.taken, strict=True)]


Results = dict[tuple[str, str], Found]
"""By job and precision."""


def make_jobs(model: Seq2Seq, settings: config.Config, sizes: Sizes) -> list[Job]:
    """The training step and the search of the configured model at these sizes."""
    batch = synthetic.batch(sizes, settings.data.tokenizer.vocabulary_size)
    tokens = sizes.batch * sizes.target_length
    return [
        Job(
            "training step",
            training_products(model, sizes),
            tokens,
            {p: steps.training_step(model, settings.training, batch, p) for p in steps.TRAINING},
        ),
        Job(
            f"search, beam {BEAM}",
            decoding_products(model, sizes, BEAM),
            tokens,
            {p: steps.search(settings, sizes, BEAM, p) for p in steps.SEARCH},
        ),
    ]


def measure_round(
    jobs: Sequence[Job], routes: dict[str, dict[str, rates.Route]], budget: float, results: Results
) -> None:
    """Adds one round to the results; `budget` is the seconds to spend on each step."""
    for job in jobs:
        for kind in (kind for kind in job.steps if kind in routes):
            fastest = {
                _shape(product): rates.best(product, routes[kind], PRODUCT_SHARE * budget)
                for product in {_shape(one): one for one in job.products}.values()
            }
            found = results.setdefault((job.name, kind), Found())
            found.fastest.append(fastest)
            found.limits.append(sum(fastest[_shape(p)].seconds * p.times for p in job.products))
            found.taken.append(measure.seconds(job.steps[kind], budget))


def _shape(product: Product) -> Shape:
    return product.rows, product.inner, product.columns, product.weight


def products_table(job: Job, results: Results) -> str:
    """GFLOP/s of each product in each precision, with the route that reached it."""
    rows = []
    for product in job.products:
        row = {
            "product": product.name,
            "shape": f"{product.rows} x {product.inner} x {product.columns}",
            "times": str(product.times),
            "MFLOP": f"{product.operations / 1e6:,.1f}",
        }
        for (name, kind), found in results.items():
            if name == job.name:
                last = found.fastest[-1][_shape(product)]
                speeds = [each[_shape(product)].gflops(product) for each in found.fastest]
                row[kind] = f"{median(speeds):,.0f} {last.route}"
        rows.append(row)
    return measure.table(rows)


def steps_table(jobs: Sequence[Job], results: Results) -> str:
    """What each step takes, what its products alone would, and the share."""
    rows = []
    for job in jobs:
        for kind in rates.ROUTES:
            found = results.get((job.name, kind))
            if found is None:
                continue
            speeds = [job.tokens / seconds for seconds in found.taken]
            rows.append(
                {
                    "step": f"{job.name}, {kind}",
                    "GFLOP": f"{operations(job.products) / 1e9:.1f}",
                    "limit ms": measure.with_spread([1e3 * s for s in found.limits]),
                    "step ms": measure.with_spread([1e3 * s for s in found.taken]),
                    "share %": measure.with_spread(found.shares),
                    "target tokens/s": measure.with_spread(speeds, 0),
                }
            )
    return measure.table(rows)


def as_json(jobs: Sequence[Job], results: Results) -> dict[str, Any]:
    """All that was measured: seconds by round, GFLOP/s by product."""
    found: dict[str, Any] = {}
    for job in jobs:
        of_job = found.setdefault(job.name, {"operations": operations(job.products)})
        for (name, kind), one in results.items():
            if name == job.name:
                of_job[kind] = {
                    "limit_s": one.limits,
                    "step_s": one.taken,
                    "share_percent": one.shares,
                    "target_tokens_per_s": [job.tokens / s for s in one.taken],
                    "products": [
                        {**vars(p), "gflops": [r[_shape(p)].gflops(p) for r in one.fastest]}
                        for p in job.products
                    ],
                }
    return found


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.limit", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--config", type=Path, default=MATCHED, help="whose model to measure")
    parser.add_argument("--threads", type=at_least(1), default=2)
    parser.add_argument("--batch", type=at_least(1), default=64, help="sentences")
    tokens = "tokens, end mark counted"
    for side in ("source", "target"):
        parser.add_argument(f"--{side}-length", type=at_least(1), default=16, help=tokens)
    parser.add_argument("--rounds", type=at_least(1), default=3)
    parser.add_argument("--seconds", type=float, default=1.5, help="for each step and round")
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="all numbers as JSON")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> int:
    """Measures, prints the tables, writes the JSON."""
    arguments = parse(words)
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()  # as the command line does
    try:
        settings = config.load(arguments.config)
        sizes = Sizes(arguments.batch, arguments.source_length, arguments.target_length)
        model = synthetic.endless_model(settings)
        expect_counted(model, str(arguments.config))
    except UserError as error:
        print(f"limit: {error}", file=sys.stderr)
        return 2
    jobs = make_jobs(model, settings, sizes)
    mflop = mflop_per_target_token(model, sizes)
    print(
        f"{arguments.config}: {model.parameters_count():,} parameters, {mflop:.1f} MFLOP for each "
        f"target token trained on, {mflop / 3:.1f} of them forward"
    )
    routes, missing = rates.offered()
    for line in missing:
        print(f"not offered by this build of torch: {line}")
    results: Results = {}
    for number in range(arguments.rounds):
        print(f"round {number + 1} of {arguments.rounds}", file=sys.stderr)
        measure_round(jobs, routes, arguments.seconds, results)
    for job in jobs:
        print(f"\n{job.name}: GFLOP/s of its products\n{products_table(job, results)}")
    print(f"\n{steps_table(jobs, results)}")
    if arguments.out:
        facts = {"machine": measure.machine(arguments.threads), "versions": checkpoint.versions()}
        program = {"code": measure.code(), "config": str(arguments.config)}
        settled = {"sizes": vars(sizes), "beam": BEAM, "mflop_per_target_token": mflop}
        found = {**facts, **program, **settled, "steps": as_json(jobs, results)}
        write_json(arguments.out, found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
