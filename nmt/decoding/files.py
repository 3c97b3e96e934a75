"""Whole files: streamed block by block, in order, N lines in and N lines out."""

import json
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO

import torch
from tqdm import tqdm

from nmt.config import Precision
from nmt.decoding.scoring import perplexity
from nmt.decoding.translation import Translation
from nmt.decoding.translator import Translator
from nmt.decoding.workers import map_in_processes
from nmt.errors import UserError
from nmt.lines import Line, read_lines, read_texts

BLOCK = 1000
"""Lines that are sorted by length together; a few such blocks are in memory at once."""

ENOUGH = 4
"""Blocks that repay the start of further processes."""


Say = Callable[[str], None]
Progress = Callable[[int], object]
Render = Callable[[Line, Translation], str]
"""What is written for a line and its translation; an empty string leaves it out."""


@dataclass(frozen=True)
class Translated:
    """A block of lines, the translation of each, and what the user should be told."""

    lines: list[Line]
    translations: list[Translation]
    said: list[str]


Translate = Callable[[list[Line]], Translated]


@dataclass(frozen=True)
class Job:
    """What to translate with, and how; see `Translator.load` and `Translator.translate`."""

    runs: list[Path]
    device: str = "cpu"
    precision: Precision | None = None
    n_best: int = 1
    beam_size: int | None = None
    length_penalty: float | None = None
    alignments: bool = False

    @classmethod
    def of(cls, arguments: Namespace) -> "Job":
        """What the options of a command line say."""
        names = [field.name for field in fields(cls)]
        return cls(**{name: value for name, value in vars(arguments).items() if name in names})

    def __call__(self, progress: Progress | None = None) -> Translate:
        """Loads the translator; gives what translates a block."""
        said: list[str] = []
        translator = Translator.load(
            *self.runs, device=self.device, precision=self.precision, say=said.append
        )

        def translate(block: list[Line]) -> Translated:
            said.clear()
            found = translator.translate(
                [line.text for line in block],
                n_best=self.n_best,
                beam_size=self.beam_size,
                length_penalty=self.length_penalty,
                alignments=self.alignments,
                progress=progress,
            )
            return Translated(block, found, list(said))

        return translate


def translate_file(arguments: Namespace, say: Say) -> None:
    """`nmt translate`: the input's lines, translated, to the output.

    Raises:
        UserError: no run, no input, an input that is not UTF-8, an output that cannot be written.
    """
    stream_translations(
        arguments, say, lambda line, translation: _line(line, translation, arguments.format)
    )


def stream_translations(arguments: Namespace, say: Say, render: Render) -> None:
    """Writes what `render` makes of each line of the input and its translation, in order.

    An output file bears its name only when it is whole.
    """
    job = Job.of(arguments)
    interactive = arguments.input is None and sys.stdin.isatty()
    size, wanted = 1 if interactive else BLOCK, arguments.workers
    with tqdm(unit=" lines", disable=True if interactive else None) as bar:
        here = job(bar.update)  # what is wrong with the run is said before anything is read
        with _input(arguments.input) as stream, output(arguments.output) as out:
            lines = read_lines(stream, str(arguments.input or "standard input"))
            blocks = iter(lambda: list(islice(lines, size)), [])
            # Who types a line waits for its translation: no other is collected first.
            found = map(here, blocks) if interactive else _shared(job, here, blocks, wanted, bar)
            _write(found, out, say, render)


def write_translations(
    job: Job, texts: Sequence[str], path: Path, say: Say, render: Render
) -> None:
    """Writes what `render` makes of each text and its translation to a file that is then whole."""
    lines = (Line(text, "\n") for text in texts)
    with tqdm(total=len(texts), unit=" sentences", disable=None) as bar, output(path) as out:
        blocks = iter(lambda: list(islice(lines, BLOCK)), [])
        _write(_shared(job, job(bar.update), blocks, None, bar), out, say, render)


def _write(found: Iterable[Translated], out: BinaryIO, say: Say, render: Render) -> None:
    for done in found:
        for warning in done.said:
            say(warning)
        for line, translation in zip(done.lines, done.translations, strict=True):
            out.write(render(line, translation).encode("utf-8"))
        out.flush()


def _shared(
    job: Job, here: Translate, blocks: Iterator[list[Line]], wanted: int | None, bar: tqdm
) -> Iterator[Translated]:
    """Each block translated, by as many processes as are wanted or repay their start."""
    first = list(islice(blocks, ENOUGH))
    long = job.device == "cpu" and len(first) == ENOUGH
    workers = wanted or (torch.get_num_threads() if long else 1)
    every = chain(first, blocks)
    if workers == 1:
        yield from map(here, every)
        return
    for done in map_in_processes(job, every, workers):
        bar.update(len(done.lines))
        yield done


def _line(line: Line, translation: Translation, style: str) -> str:
    if style == "text":
        return translation.text + line.ending
    # Every object takes a line of its own, also where the last line of the input had no end.
    content = {"source": line.text, **translation.as_dict()}
    return json.dumps(content, ensure_ascii=False) + (line.ending or "\n")


@contextmanager
def _input(path: Path | None) -> Iterator[BinaryIO]:
    if path is None:
        yield sys.stdin.buffer
        return
    try:
        stream = path.open("rb")
    except OSError as error:
        reason = (error.strerror or "cannot be read").lower()
        raise UserError(f"{path}: expected a text file to translate ({reason})") from None
    with stream:
        yield stream


@contextmanager
def output(path: Path | None) -> Iterator[BinaryIO]:
    """A stream that becomes the file when nothing goes wrong; None is standard output."""
    if path is None:
        yield sys.stdout.buffer
        return
    partial = path.with_name(f".{path.name}.partial")
    try:
        stream = partial.open("wb")
    except OSError as error:
        reason = (error.strerror or "cannot be written").lower()
        raise UserError(f"{path}: expected a place to write to ({reason})") from None
    try:
        with stream:
            yield stream
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def score_files(arguments: Namespace, say: Say) -> Iterator[str]:
    """`nmt score`: a line for each pair, its log-probability and tokens; then says the perplexity.

    Raises:
        UserError: no run, a missing or empty file, files of unequal length.
    """
    translator = Translator.load(
        arguments.run, device=arguments.device, precision=arguments.precision, say=say
    )
    if translator.model.reads_source and not arguments.src:
        raise UserError("--src: expected the source lines of --tgt, found none")
    targets = read_texts(arguments.tgt)
    sources = read_texts(arguments.src) if arguments.src else targets
    if len(sources) != len(targets):
        raise UserError(
            f"{arguments.tgt}: expected {len(sources)} lines as in {arguments.src}, "
            f"found {len(targets)}"
        )
    if not sources:
        raise UserError(f"{arguments.tgt}: expected at least one line, found none")
    scored = translator.score(sources, targets)
    for one in scored:
        yield f"{one.log_probability:.4f}\t{one.tokens}"
    total = sum(one.log_probability for one in scored)
    tokens = sum(one.tokens for one in scored)
    say(
        f"{len(scored):,} pairs, {tokens:,} tokens: log-probability {total:.2f} (natural "
        f"logarithm), perplexity {perplexity(scored):.3f}"
    )
