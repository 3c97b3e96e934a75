"""The jobs of `benchmarks.growth`, each run in a process of its own so that its memory is its own.

    python -m benchmarks.points JOB '{"argument": value}'

prints what the job measured and its peak memory as one line of JSON.
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks import measure, steps, synthetic
from benchmarks.arithmetic import Sizes
from nmt import checkpoint, cli, config
from nmt.config import Precision
from nmt.files import read_json
from nmt.ram import keep_freed_memory

VOCABULARY = 2000
SHORTEST, LONGEST = 5, 15
"""Words of the lines of a corpus."""

Measured = dict[str, float]


def corpus(folder: str, lines: int) -> Measured:
    """Makes what the next two jobs read: a parallel corpus, and a small untrained run."""
    place = Path(folder)
    with (place / "all.xx").open("w") as source, (place / "all.yy").open("w") as target:
        for line in synthetic.lines(lines, VOCABULARY, SHORTEST, LONGEST):
            source.write(f"{line}\n")
            target.write(f"{line[::-1]}\n")  # one-to-one: no pair shares just one of its sides
    synthetic.save_run(place / "run", _small(place, lines))
    return {}


def prepare(folder: str, lines: int) -> Measured:
    """`nmt prepare`: pairs a second without the training of the tokenizers, whose time is apart."""
    from data_prep import pipeline

    started = time.perf_counter()
    prepared = pipeline.prepare(_small(Path(folder), lines).data, lambda line: None)
    taken = time.perf_counter() - started
    training = read_json(prepared / checkpoint.MANIFEST)["seconds"]["train tokenizers"]
    return {"pairs_per_s": lines / (taken - training), "tokenizer_s": training}


def translate(folder: str, lines: int, precision: Precision) -> Measured:
    """`nmt translate` of a file; what a process does once, importing, was done before the clock."""
    place = Path(folder)
    one = place / "one.xx"
    one.write_text(f"{synthetic.word(0)}\n")
    _translate_file(place, one, precision)
    started = time.perf_counter()
    _translate_file(place, place / "all.xx", precision)
    return {"lines_per_s": lines / (time.perf_counter() - started)}


def _translate_file(place: Path, file: Path, precision: Precision) -> None:
    words = ["translate", str(place / "run"), "--precision", precision]
    # Memory is measured in this process: no other may take a part of the work.
    words += ["--threads", str(torch.get_num_threads()), "--workers", "1"]
    words += ["-i", str(file), "-o", str(place / "translated")]
    if cli.main(words) != 0:
        raise RuntimeError("nmt translate failed")


def train(
    path: str, sizes: Sequence[int], vocabulary: int | None, precision: Precision, budget: float
) -> Measured:
    """Training steps on one batch: real target tokens a second."""
    settings, size = _load(path, vocabulary), Sizes(*sizes)
    pairs = synthetic.batch(size, settings.data.tokenizer.vocabulary_size)
    model = synthetic.endless_model(settings)
    step = steps.training_step(model, settings.training, pairs, precision)
    return {"tokens_per_s": size.batch * size.target_length / measure.seconds(step, budget)}


def decode(
    path: str,
    sizes: Sequence[int],
    vocabulary: int | None,
    precision: Precision,
    budget: float,
    beam: int,
) -> Measured:
    """Translations of one batch: sentences a second."""
    settings, size = _load(path, vocabulary), Sizes(*sizes)
    search = steps.search(settings, size, beam, precision)
    return {"sentences_per_s": size.batch / measure.seconds(search, budget)}


def _load(path: str, vocabulary: int | None) -> config.Config:
    settings = config.load(Path(path))
    if vocabulary is None:
        return settings
    tokenizer = replace(settings.data.tokenizer, vocabulary_size=vocabulary)
    return replace(settings, data=replace(settings.data, tokenizer=tokenizer))


def _small(folder: Path, lines: int) -> config.Config:
    """A project on a made-up corpus; its model is small and greedy, for a million lines take long.

    What grows with the file is the same for any model.
    """
    held_out = max(1, min(1000, lines // 20))
    hidden = {"hidden_size": 32}
    settings = {
        "data": {
            "folder": str(folder / "prepared"),
            "source_language": "xx",
            "target_language": "yy",
            "corpus": {"kind": "files", "train": [str(folder / "all.xx"), str(folder / "all.yy")]},
            "split": {"validation_size": held_out, "test_size": held_out},
            "tokenizer": {"vocabulary_size": VOCABULARY},
        },
        "model": {
            "embedding_size": 32,
            "encoder": {"kind": "recurrent", **hidden},
            "decoder": {**hidden, "attention": {"kind": "additive", **hidden}},
        },
        "training": {"folder": str(folder / "run")},
        # Its model never ends a sentence: the limit does, at the length of the source.
        "decoding": {"beam_size": 1, "max_length_ratio": 1.0, "max_length_extra": 1},
    }
    return config.from_dict(settings, "the small project of a benchmark")


JOBS: dict[str, Callable[..., Measured]] = {
    "corpus": corpus,
    "prepare": prepare,
    "translate": translate,
    "train": train,
    "decode": decode,
}


def main(words: Sequence[str]) -> None:
    """Runs one job."""
    job, settings = words[0], json.loads(words[1])
    torch.set_num_threads(settings.pop("torch_threads"))
    keep_freed_memory()  # as the command line does
    measured = JOBS[job](**settings)
    print(json.dumps({**measured, "peak_mib": measure.peak_memory()}))


if __name__ == "__main__":
    main(sys.argv[1:])
