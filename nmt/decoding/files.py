"""Whole files: streamed block by block, in order, N lines in and N lines out."""

import json
import sys
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from nmt import options
from nmt.checkpoint import WEIGHTS, read_manifest
from nmt.config import Precision
from nmt.decoding import health
from nmt.decoding.fields import Field, field_of
from nmt.decoding.health import FLAGGED, LINES, Health
from nmt.decoding.shards import Shard
from nmt.decoding.streams import Blocks, Out, count_lines, growing
from nmt.decoding.translation import Translation
from nmt.decoding.translator import Translator
from nmt.decoding.workers import map_in_processes
from nmt.errors import UserError
from nmt.lines import Invalid, Line, read_lines, reading

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
    """A block of lines, of each its translation and why that looks wrong, and what to tell."""

    lines: list[Line]
    translations: list[Translation]
    reasons: list[list[str]]
    said: list[str]


Translate = Callable[[list[Line]], Translated]


@dataclass(frozen=True)
class Job:
    """What to translate with, and how; see `Translator.load` and `Translator.translate`.

    With `reached` attention is followed even where no alignments are asked for, so that words
    which it never reached can be told: a fifth more time.
    """

    runs: list[Path]
    device: str = "cpu"
    precision: Precision | None = None
    n_best: int = 1
    beam_size: int | None = None
    length_penalty: float | None = None
    alignments: bool = False
    reached: bool = False

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
        limits: Health = options.build(Health, translator.decoding.health, where="decoding.health")

        def translate(block: list[Line]) -> Translated:
            said.clear()
            texts = [line.text for line in block]
            found = translator.translate(
                texts,
                n_best=self.n_best,
                beam_size=self.beam_size,
                length_penalty=self.length_penalty,
                alignments=self.alignments or self.reached,
                progress=progress,
            )
            pairs = zip(texts, found, strict=True)
            reasons = [list(health.reasons(text, one, limits)) for text, one in pairs]
            if not self.alignments:
                found = [replace(one, alignment=None) for one in found]
            return Translated(block, found, reasons, list(said))

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
    field = field_of(arguments.field)
    job = replace(Job.of(arguments), reached=arguments.health is not None)

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
    for source, paths in _places(arguments, say):
        file = Namespace(**{**vars(arguments), "input": source})
        with growing(paths, made_with, resume=arguments.resume) as out:
            stream_translations(work, file, out, say, render, field)
        if ill := health.told(out.tally):
            name = source or "standard input"
            say(f"{name}: {ill}" + ("" if arguments.health else " (--health FILE lists them)"))


def _places(arguments: Namespace, say: Say) -> Iterator[tuple[Path | None, list[Path]]]:
    """Each input with what is written of it; of a folder, what it holds at any depth."""
    source, wanted = arguments.input, [arguments.output, arguments.health]
    paths = [path for path in wanted if path is not None]
    if source is None or not source.is_dir():
        shard = Shard(*arguments.shard) if arguments.shard else None
        yield source, [shard.path(path) for path in paths] if shard else paths
        return
    for path in wanted[:1] + paths[1:]:
        if path is None or path.is_file() or path.resolve().is_relative_to(source.resolve()):
            raise UserError(
                f"{source}: expected another folder for what is made of this one, by -o and "
                f"--health, found {path or 'none'}"
            )
    inside = [file.relative_to(source) for file in sorted(source.rglob("*")) if file.is_file()]
    if not inside:
        raise UserError(f"{source}: expected a folder with at least one file, found none in it")
    for name in inside:
        if arguments.resume and (paths[0] / name).exists():
            say(f"{paths[0] / name}: is there already")
            continue
        made = [paths[0] / name, *(path / f"{name}.jsonl" for path in paths[1:])]
        for path in made:
            path.parent.mkdir(parents=True, exist_ok=True)
        yield source / name, made


def stream_translations(
    work: Work, arguments: Namespace, out: Out, say: Say, render: Render, field: Field
) -> None:
    """Adds to `out` what `render` makes of each line of the input and its translation, in order.

    What is there already is passed over.
    """
    path = arguments.input
    interactive = path is None and sys.stdin.isatty()
    name, invalid = str(path or "standard input"), Invalid()
    with (
        tqdm(unit=" lines", disable=True if interactive else None) as bar,
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
        blocks.first = part.start * BLOCK
        blocks.pass_over(blocks.first)
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
        growing([path]) as out,
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
        listed = _listed(done.reasons, blocks.first + out.lines)
        out.tally += Counter(chain.from_iterable(done.reasons))
        out.tally[LINES] += len(done.lines)
        out.tally[FLAGGED] += sum(map(bool, done.reasons))
        out.add([content.encode(), listed.encode()], len(done.lines), blocks.digests.popleft())


def _listed(reasons: Sequence[list[str]], before: int) -> str:
    """A JSON object for each translation that looks wrong: its line and why."""
    return "".join(
        f"{json.dumps({'line': line, 'reasons': found})}\n"
        for line, found in enumerate(reasons, before + 1)
        if found
    )


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
