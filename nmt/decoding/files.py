"""Whole files: streamed block by block, in order, N lines in and N lines out."""

import json
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import chain, islice
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from nmt import processes
from nmt.checkpoint import WEIGHTS, read_manifest
from nmt.config import Precision
from nmt.decoding.fields import Field, field_of
from nmt.decoding.scoring import perplexity
from nmt.decoding.shards import Shard
from nmt.decoding.streams import Blocks, Out, count_lines, growing
from nmt.decoding.translation import Translation
from nmt.decoding.translator import Translator
from nmt.decoding.workers import map_in_processes
from nmt.errors import UserError
from nmt.lines import Invalid, Line, read_lines, read_texts, reading

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

    def described(self) -> dict[str, Any]:
        """What translations depend on, by the names of the options."""
        weights = [read_manifest(run)["files"][WEIGHTS] for run in self.runs]
        given = {name: value for name, value in asdict(self).items() if name != "runs"}
        return {"weights": weights, **given}

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


class Work:
    """A job whose translator is loaded once, for all the files that it is to translate."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.bar: tqdm | None = None
        self.here = job(self._progress)

    def _progress(self, lines: int) -> None:
        if self.bar is not None:
            self.bar.update(lines)


def translate_files(arguments: Namespace, say: Say) -> None:
    """`nmt translate`: the input's lines, translated, to the output; or all files of a folder.

    Raises:
        UserError: no run, no input, a line without the field, an output that cannot be written or
            was begun in another way.
    """
    field, job = field_of(arguments.field), Job.of(arguments)

    def render(line: Line, translation: Translation) -> str:
        if arguments.format == "text":
            return field.write(line, translation)
        # Every object takes a line of its own, also where the last line of the input had no end.
        content = {"source": line.text, **translation.as_dict()}
        return json.dumps(content, ensure_ascii=False) + (line.ending or "\n")

    made_with = {**job.described(), "field": arguments.field, "format": arguments.format}
    if arguments.shard:
        made_with["shard"] = list(arguments.shard)
    work = Work(job)  # what is wrong with the run is said before anything is read
    for source, path in _places(arguments, say):
        file = Namespace(**{**vars(arguments), "input": source})
        with growing(path, made_with, resume=arguments.resume) as out:
            stream_translations(work, file, out, say, render, field)


def _places(arguments: Namespace, say: Say) -> Iterator[tuple[Path | None, Path | None]]:
    """Each input with its output; of a folder, what it holds at any depth."""
    source, path = arguments.input, arguments.output
    if source is None or not source.is_dir():
        yield source, Shard(*arguments.shard).path(path) if arguments.shard else path
        return
    if path is None or path.is_file() or path.resolve().is_relative_to(source.resolve()):
        raise UserError(
            f"{source}: expected another folder for the translations of this one, by -o, found "
            f"{path or 'none'}"
        )
    inside = [file.relative_to(source) for file in sorted(source.rglob("*")) if file.is_file()]
    if not inside:
        raise UserError(f"{source}: expected a folder with at least one file, found none in it")
    for name in inside:
        if arguments.resume and (path / name).exists():
            say(f"{path / name}: is there already")
            continue
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        yield source / name, path / name


def stream_translations(
    work: Work, arguments: Namespace, out: Out, say: Say, render: Render, field: Field
) -> None:
    """Adds to `out` what `render` makes of each line of the input and its translation, in order.

    What is there already is passed over.
    """
    path = arguments.input
    interactive = path is None and sys.stdin.isatty()
    name, invalid = str(path or "standard input"), Invalid()
    hidden = interactive or processes.rank() > 0  # else it shows where there is a terminal
    with (
        tqdm(unit=" lines", disable=hidden or None) as bar,
        reading(path) as stream,
    ):
        work.bar = bar
        lines = read_lines(stream, name, None if arguments.strict else invalid)
        texts = (field.read(line, f"{name}, line {n}") for n, line in enumerate(lines, 1))
        blocks = Blocks(texts, 1 if interactive else BLOCK)
        _enter(blocks, arguments, bar)
        out.go_on(blocks)
        bar.update(out.lines)
        # Who types a line waits for its translation: no other is collected first.
        rest, wanted = iter(blocks), arguments.workers
        found = map(work.here, rest) if interactive else _shared(work, rest, wanted, bar)
        _write(found, blocks, out, say, render)
    if invalid.count:
        say(
            f"{name}: {invalid.count:,} lines are not UTF-8, the first is line {invalid.first:,}: "
            "wrong bytes were read as U+FFFD (--strict refuses them)"
        )


def _enter(blocks: Blocks, arguments: Namespace, bar: tqdm) -> None:
    """Goes to the beginning of a part, and tells the progress how far its end is."""
    if arguments.input is None or (bar.disable and not arguments.shard):
        return
    total = count_lines(arguments.input)
    if arguments.shard:
        part = Shard(*arguments.shard).blocks(-(-total // BLOCK))
        blocks.pass_over(part.start * BLOCK)
        blocks.left = len(part)
        total = min(total, part.stop * BLOCK) - part.start * BLOCK
    bar.total = total


def write_translations(
    job: Job, texts: Sequence[str], path: Path, say: Say, render: Render
) -> None:
    """Writes what `render` makes of each text and its translation to a file that is then whole."""
    blocks = Blocks((Line(text, "\n") for text in texts), BLOCK)
    with (
        tqdm(total=len(texts), unit=" sentences", disable=None) as bar,
        growing(path) as out,
    ):
        work = Work(job)
        work.bar = bar
        _write(_shared(work, iter(blocks), None, bar), blocks, out, say, render)


def _write(found: Iterable[Translated], blocks: Blocks, out: Out, say: Say, render: Render) -> None:
    for done in found:
        for warning in done.said:
            say(warning)
        pairs = zip(done.lines, done.translations, strict=True)
        content = "".join(render(line, translation) for line, translation in pairs)
        out.add(content.encode("utf-8"), len(done.lines), blocks.digests.popleft())


def _shared(
    work: Work, blocks: Iterator[list[Line]], wanted: int | None, bar: tqdm
) -> Iterator[Translated]:
    """Each block translated, by as many processes as are wanted or repay their start."""
    first = list(islice(blocks, ENOUGH))
    long = work.job.device == "cpu" and len(first) == ENOUGH
    workers = wanted or (torch.get_num_threads() if long else 1)
    every = chain(first, blocks)
    if workers == 1:
        yield from map(work.here, every)
        return
    for done in map_in_processes(work.job, every, workers):
        bar.update(len(done.lines))
        yield done


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
