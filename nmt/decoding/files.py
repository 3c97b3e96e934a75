"""Whole files: streamed block by block, in order, N lines in and N lines out."""

import json
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from tqdm import tqdm

from nmt.decoding.scoring import perplexity
from nmt.decoding.translation import Translation
from nmt.decoding.translator import Translator
from nmt.errors import UserError
from nmt.lines import Line, read_lines, read_texts

BLOCK = 4000
"""Lines in memory at once: enough to sort by length, few enough for a file of any size."""

Say = Callable[[str], None]


def translate_file(arguments: Namespace, say: Say) -> None:
    """`nmt translate`: the input's lines, translated, to the output.

    An output file bears its name only when it is whole.

    Raises:
        UserError: no run, no input, an input that is not UTF-8, an output that cannot be written.
    """
    translator = Translator.load(arguments.run, device=arguments.device, say=say)
    with _input(arguments.input) as stream, _output(arguments.output) as out:
        interactive = arguments.input is None and sys.stdin.isatty()
        lines = read_lines(stream, str(arguments.input or "standard input"))
        bar = tqdm(unit=" lines", disable=True if interactive else None)
        while block := list(islice(lines, 1 if interactive else BLOCK)):
            found = translator.translate(
                [line.text for line in block],
                n_best=arguments.n_best,
                beam_size=arguments.beam_size,
                length_penalty=arguments.length_penalty,
                alignments=arguments.alignments,
                progress=bar.update,
            )
            for line, translation in zip(block, found, strict=True):
                out.write(_line(line, translation, arguments.format).encode("utf-8"))
            out.flush()
        bar.close()


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
def _output(path: Path | None) -> Iterator[BinaryIO]:
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
    translator = Translator.load(arguments.run, device=arguments.device, say=say)
    sources, targets = read_texts(arguments.src), read_texts(arguments.tgt)
    if len(sources) != len(targets):
        raise UserError(
            f"{arguments.tgt}: expected {len(sources)} lines as in {arguments.src}, "
            f"found {len(targets)}"
        )
    if not sources:
        raise UserError(f"{arguments.src}: expected at least one line, found none")
    scored = translator.score(sources, targets)
    for one in scored:
        yield f"{one.log_probability:.4f}\t{one.tokens}"
    total = sum(one.log_probability for one in scored)
    tokens = sum(one.tokens for one in scored)
    say(
        f"{len(scored):,} pairs, {tokens:,} tokens: log-probability {total:.2f} (natural "
        f"logarithm), perplexity {perplexity(scored):.3f}"
    )
