"""Whole files, streamed block by block, in order: N lines in, N lines out."""

import json
import re
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, partial
from itertools import chain, count, islice
from pathlib import Path

import torch
from tqdm import tqdm

from nmt import processes
from nmt.decoding import health
from nmt.decoding.blocks import Blocks, block_sizes, count_lines
from nmt.decoding.documents import translate_document
from nmt.decoding.fields import Field, field_of
from nmt.decoding.jobs import Job, TranslatedBlock, Work
from nmt.decoding.outputs import places
from nmt.decoding.progress import Pulse
from nmt.decoding.shards import Shard
from nmt.decoding.streams import SHARD, Out, growing
from nmt.decoding.synthetic import Pairs
from nmt.decoding.workers import map_in_processes
from nmt.documents.formats import FORMATS, is_document
from nmt.errors import Say, UserError
from nmt.files import errors_named
from nmt.lines import Invalid, Line, expect_line_feeds, read_lines, reading
from nmt.ram import free
from nmt.translation import Translation

BLOCK = 1000
"""Lines that are sorted by length together, fewer if they are very long (`blocks.MOST`); only a few
blocks are in memory at once."""

MARK_UP = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:\?xml|!doctype|html)\b", re.IGNORECASE)
"""How XML and HTML begin, which line-by-line translation would damage."""

WARNINGS = 3
"""Blocks whose warnings are shown one by one."""

ENOUGH = 4
"""Number of blocks from which further processes are worth starting."""
ROOM = 1e9
"""Bytes of free memory for each of them; 0.6 to 0.8 GB were measured (docs/jobs.md)."""

Render = Callable[[Line, Translation], str]
"""A line and its translation -> the text to write; an empty string leaves the line out."""


def translate_files(arguments: Namespace, say: Say) -> None:
    """`nmt translate`: translates the lines of the input, or all files of a folder.

    Raises:
        UserError: no run, no input, a line without the field, or an output that cannot be written
            or was begun with other settings.
    """
    field, job = field_of(arguments.field), Job.of(arguments)

    def render(line: Line, translation: Translation) -> str:
        if arguments.format == "text":
            return field.write(line, translation)
        # Each object is on its own line, even if the input's last line has no newline.
        content = {"source": line.text, **translation.as_dict()}
        return json.dumps(content, ensure_ascii=False) + (line.ending or "\n")

    made_with = {**job.described(), "field": arguments.field, "format": arguments.format}
    if arguments.shard:
        made_with[SHARD] = list(arguments.shard)

    @cache
    def work_for(document: bool) -> Work:
        # Documents do their own sentence splitting, which respects tags; alignments place the tags.
        return Work(replace(job, alignments=True, paragraphs=False) if document else job)

    def translate_file(source: Path | None, paths: Sequence[Path], work: Work) -> None:
        document = source is not None and is_document(source)
        file = Namespace(**{**vars(arguments), "input": source})
        made = None if document else made_with  # a document is made in one go
        with growing(paths, made, resume=arguments.resume and not document) as out:
            if source is not None and document:
                translate = partial(_translated, work, out, say=say, workers=arguments.workers)
                translate_document(source, out, translate, job.languages(), arguments, say)
            else:
                stream_translations(work, file, out, say, render, field)
        if ill := health.told(out.tally):
            name = source or "standard input"
            say(f"{name}: {ill}" + ("" if arguments.health else " (--health FILE lists them)"))

    _one_by_one(arguments, say, work_for, translate_file)


def _one_by_one(
    arguments: Namespace,
    say: Say,
    work_for: Callable[[bool], Work],
    translate_file: Callable[[Path | None, Sequence[Path], Work], None],
) -> None:
    """Translates all files; if one file of a folder fails, the others are still translated."""
    failed = 0
    for source, paths in places(arguments, say):
        # Before any input is read, so that problems of the run are reported first.
        work = work_for(source is not None and is_document(source))
        try:
            translate_file(source, paths, work)
        except UserError as error:
            if source == arguments.input:
                raise
            say(str(error))
            failed += 1
    if failed:
        raise UserError(
            f"{arguments.input}: {failed} of its files could not be translated, for the reasons "
            "above; mend them, and the same command with --resume translates what is left"
        )


def stream_translations(
    work: Work, arguments: Namespace, out: Out, say: Say, render: Render, field: Field
) -> None:
    """Writes to `out` what `render` makes of each input line and its translation, in order.

    Lines that are already done are skipped.
    """
    path = arguments.input
    interactive = path is None and sys.stdin.isatty()
    name, invalid = str(path or "standard input"), Invalid()
    hidden = interactive or processes.rank() > 0  # otherwise shown on a terminal
    lines = _lines_of(path, name, field, None if arguments.strict else invalid)
    blocks = Blocks(lines, 1 if interactive else BLOCK)
    with tqdm(unit=" lines", disable=hidden or None) as bar:
        work.bar = bar
        bar.total = _enter(blocks, path, arguments.shard, say)
        invalid.count = invalid.first = 0  # of other shards
        out.go_on(blocks)
        bar.update(out.lines)
        pulse = Pulse(name, None if hidden else say, out.lines, bar.total)
        # In interactive use each line is translated before the next is read.
        rest, wanted = iter(blocks), arguments.workers
        found = map(work.translate, rest) if interactive else _shared(work, out, rest, wanted, bar)
        with _kept(name, out, say):
            _write(found, blocks, out, say, render, pulse)
            read = blocks.count - blocks.first
            if bar.total not in (None, read):
                raise UserError(
                    f"{name}: expected {bar.total:,} lines as when this began, found {read:,}; "
                    "it has been changed meanwhile"
                )
    if invalid.count:
        say(invalid.told(name))


def _lines_of(
    path: Path | None, name: str, field: Field, invalid: Invalid | None
) -> Iterator[Line]:
    with errors_named(Path(name)), reading(path) as stream:
        for number, line in enumerate(read_lines(stream, name, invalid), 1):
            yield field.read(line, f"{name}, line {number}")


@contextmanager
def _kept(name: str, out: Out, say: Say) -> Iterator[None]:
    """If the work ends early, says how much of it can be resumed."""
    try:
        yield
    except BaseException:
        if out.lines:
            say(
                f"{name}: {out.lines:,} lines are done and kept; the same command with --resume "
                "goes on after them"
            )
        raise


def _enter(
    blocks: Blocks, path: Path | None, shard: tuple[int, int] | None, say: Say
) -> int | None:
    """Skips to the start of the shard, if there is one.

    Returns:
        The number of lines to translate, if it can be known.

    Raises:
        UserError: the lines of the file end in carriage returns alone.
    """
    if path is None or not path.is_file():  # a pipe can be read only once
        return None
    with errors_named(path), reading(path) as stream:
        head = stream.read(1 << 10)
    if (mark_up := MARK_UP.match(head)) or b"\0" in head:
        say(
            f"{path}: looks like {'XML or HTML' if mark_up else 'a binary file'} and is "
            f"translated line by line; documents are known by {', '.join(FORMATS)}"
        )
    sizes = [] if shard is None else block_sizes(path, BLOCK)
    total = count_lines(path) if shard is None else sum(sizes)
    if total == 1:
        with errors_named(path), reading(path) as stream:
            for line in read_lines(stream, str(path), Invalid()):
                expect_line_feeds(path, line.text)
    if shard is None:
        return total
    part = Shard(*shard).blocks(len(sizes))
    blocks.enter(sizes, part)
    return sum(sizes[part.start : part.stop])


def _translated(
    work: Work, out: Out, texts: Sequence[str], *, say: Say, workers: int | None
) -> list[tuple[Translation, list[str]]]:
    """For each text, in order, its translation and why it looks suspicious."""
    blocks = Blocks((Line(text, "\n") for text in texts), BLOCK)
    found: list[tuple[Translation, list[str]]] = []
    with tqdm(total=len(texts), unit=" sentences", disable=None) as bar:
        work.bar = bar
        for done in _shared(work, out, iter(blocks), workers, bar):
            for warning in done.said:
                say(warning)
            found += zip(done.translations, done.reasons, strict=True)
    return found


def write_pairs(job: Job, texts: Sequence[str], path: Path, say: Say, pairs: Pairs) -> None:
    """Writes the pairs of texts and their translations to a file, which is complete or absent.

    Continues where an interrupted call stopped.
    """
    blocks = Blocks((Line(text, "\n") for text in texts), BLOCK)
    with (
        tqdm(total=len(texts), unit=" sentences", disable=None) as bar,
        growing([path], job.described(), resume=True) as out,
    ):
        pairs.counts = out.tally
        out.go_on(blocks)
        bar.update(out.lines)
        work = Work(job)
        work.bar = bar
        pulse = Pulse(str(path), say, out.lines, len(texts))
        _write(_shared(work, out, iter(blocks), None, bar), blocks, out, say, pairs, pulse)


def _write(
    found: Iterable[TranslatedBlock],
    blocks: Blocks,
    out: Out,
    say: Say,
    render: Render,
    pulse: Pulse,
) -> None:
    warned = 0
    for done in found:
        for warning in done.said:
            warned += 1
            if warned <= WARNINGS:
                say(warning)
        pairs = zip(done.lines, done.translations, strict=True)
        content = "".join(render(line, translation) for line, translation in pairs)
        places = ({"line": number} for number in count(blocks.first + out.lines + 1))
        listed = health.listed(done.reasons, places)
        out.tally += health.counted(done.reasons)
        out.add([content.encode(), listed], len(done.lines), blocks.digests.popleft())
        pulse(out.lines)
    if warned > WARNINGS:
        say(f"{warned - WARNINGS:,} more blocks of {BLOCK:,} lines have such texts")


def _shared(
    work: Work, out: Out, blocks: Iterator[list[Line]], wanted: int | None, bar: tqdm
) -> Iterator[TranslatedBlock]:
    """Each block translated, by as many processes as are wanted or worth starting."""
    first = list(islice(blocks, ENOUGH))
    workers, threads = wanted or 1, torch.get_num_threads()
    if len(first) < ENOUGH:  # these are all
        workers = min(workers, len(first))
    elif wanted is None and work.job.device == "cpu":
        workers = min(threads // (out.threads or 1), int(free("cpu") / ROOM))
    workers = max(1, workers)
    # Rounding depends on the threads of a process: what is resumed keeps their number.
    out.threads = out.threads or max(1, threads // workers)
    every = chain(first, blocks)
    if workers > 1:
        for done in map_in_processes(work.job.load, every, workers, out.threads):
            bar.update(len(done.lines))
            yield done
        return
    torch.set_num_threads(out.threads)
    try:
        yield from map(work.translate, every)
    finally:
        torch.set_num_threads(threads)
