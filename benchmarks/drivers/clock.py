"""The same stopwatch for every toolkit: loading excluded, reading and writing files too.

What is timed is the call that takes a list of sentences and gives a list of translations.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

Translate = Callable[[list[str]], Sequence[str]]
"""Sentences to translations, in order."""

PREFIX = "measured: "


def arguments() -> argparse.Namespace:
    """What every driver is told."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("--input", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--beam", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True, help="0 leaves it to the toolkit")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--data", type=Path, help="dictionaries, where they lie beside the model")
    parser.add_argument("--precision")
    return parser.parse_args()


def measure(given: argparse.Namespace, translate: Translate) -> None:
    """Translates once to warm up, then the whole file, and prints the seconds of the latter.

    Toolkits build kernels, caches and thread pools at the first call; a batch of sentences from
    across the file has them do so beforehand.
    """
    lines = given.input.read_text(encoding="utf-8").split("\n")[:-1]
    translate(lines[:: max(1, len(lines) // 16)])
    started = time.perf_counter()
    found = translate(lines)
    seconds = time.perf_counter() - started
    if len(found) != len(lines):
        raise SystemExit(f"expected {len(lines)} translations, found {len(found)}")
    given.output.write_text("".join(f"{one}\n" for one in found), encoding="utf-8")
    print(PREFIX + json.dumps({"seconds": seconds, "sentences": len(lines)}), flush=True)
