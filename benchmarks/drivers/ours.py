"""Translates with a run or a bundle of this project."""

from dataclasses import replace

import torch

from benchmarks.drivers.clock import arguments, measure
from nmt import Translator
from nmt.ram import keep_freed_memory


def main() -> None:
    """Ours cuts batches by positions: it gets as many as the sentences have on average."""
    given = arguments()
    torch.set_num_threads(given.threads)
    keep_freed_memory()  # as the command line does
    translator = Translator.load(given.model, precision=given.precision, say=lambda _: None)

    def translate(lines: list[str]) -> list[str]:
        if given.batch:
            positions = sum(len(ids) + 1 for ids in translator.source.encode(lines)) / len(lines)
            budget = round(given.batch * positions * given.beam)
            translator.decoding = replace(translator.decoding, batch_tokens=budget)
        return [one.text for one in translator.translate(lines, beam_size=given.beam)]

    measure(given, translate)


if __name__ == "__main__":
    main()
