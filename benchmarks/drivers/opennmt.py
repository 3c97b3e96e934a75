"""Translates with OpenNMT-py."""

import os

from onmt.inference_engine import InferenceEnginePY  # type: ignore[import-not-found]
from onmt.opts import translate_opts  # type: ignore[import-not-found]
from onmt.utils.parse import ArgumentParser  # type: ignore[import-not-found]

from benchmarks.drivers.clock import arguments, measure


def main() -> None:
    """Through its inference engine for lists, which sorts the sentences by length."""
    given = arguments()
    parser = ArgumentParser()
    translate_opts(parser)
    words = ["--model", given.model, "--src", given.input, "--output", os.devnull]
    words += ["--beam_size", given.beam, "--batch_size", given.batch, "--batch_type", "sents"]
    words += ["--length_penalty", "avg", "--max_length_ratio", 2]
    settings = parser.parse_args([str(word) for word in words])
    for check in ("validate_translate_opts", "_get_all_transform_translate"):
        getattr(ArgumentParser, check)(settings)
    for check in ("_validate_transforms_opts", "validate_translate_opts_dynamic"):
        getattr(ArgumentParser, check)(settings)
    engine = InferenceEnginePY(settings)

    def translate(lines: list[str]) -> list[str]:
        _, found = engine.infer_list(lines)
        return [best for best, *_ in found]

    measure(given, translate)


if __name__ == "__main__":
    main()
