"""Where input is read from and where each output goes: one file, or all files of a folder."""

import contextlib
import os
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

from nmt.checkpoint import WEIGHTS
from nmt.decoding.shards import Shard
from nmt.decoding.streams import partial_of, place_of, settle
from nmt.documents.formats import is_document
from nmt.errors import Say, UserError


def is_one_file(arguments: Namespace) -> bool:
    """Whether one input file becomes one output file: no folder, no standard stream."""
    source, made = arguments.input, arguments.output
    if source is None or made is None or made.is_dir():
        return False
    return source.is_file() or not source.exists()


def check_options(arguments: Namespace) -> None:
    """Refuses options of `nmt translate` that do not go together.

    Raises:
        UserError: naming the option.
    """
    if arguments.format == "text" and (arguments.n_best > 1 or arguments.alignments):
        raise UserError(
            "--n-best, --alignments: expected --format jsonl beside them, found text, a line each"
        )
    if arguments.format == "jsonl" and arguments.field is not None:
        raise UserError(
            "--field: expected no --format jsonl beside it; each line keeps the format that it has"
        )
    if arguments.paragraphs and arguments.n_best > 1:
        raise UserError(
            f"--paragraphs: expected no --n-best, found {arguments.n_best}; the best translations "
            "of a line's sentences are put together"
        )
    if arguments.resume and arguments.output is None:
        raise UserError("--resume: expected -o FILE beside it, found standard output")
    if arguments.health and arguments.output is None:
        raise UserError("--health: expected -o FILE beside it, found standard output")
    if arguments.health and arguments.health.resolve() == arguments.output.resolve():
        raise UserError(f"--health: expected another file than -o, found {arguments.health} twice")
    if arguments.input and not arguments.input.is_dir():
        _keep_input(arguments.input, arguments.output, arguments.health)
    if arguments.shard and not is_one_file(arguments):
        raise UserError("--shard: expected one file by -i, and -o FILE for all of its output")


def _keep_input(source: Path, output: Path | None, health: Path | None) -> None:
    # Of whole files: the parts of a sharded output are joined to one in the end. A document can
    # be translated in place, for it holds its source.
    for path in filter(None, (output, health)):
        in_place = path == output and is_document(path)
        if path.resolve() == source.resolve() and not in_place:
            raise UserError(f"{path}: expected another file than the input, which would be lost")


def _keep_inputs(source: Path, plans: Mapping[Path, Sequence[Path]]) -> None:
    """Of a folder, if what is made lies above it: that may lead back into it."""
    for path in chain.from_iterable(plans.values()):
        if path.resolve().is_relative_to(source.resolve()):
            raise UserError(
                f"{path}: expected a place outside {source}, whose files may be lost; choose "
                "another folder by -o and --health"
            )


def places(arguments: Namespace, say: Say) -> Iterator[tuple[Path | None, list[Path]]]:
    """Each input with its output and health report; for a folder, all its files at any depth."""
    source, wanted = arguments.input, [arguments.output, arguments.health]
    paths = [path for path in wanted if path is not None]
    if source is None or not source.is_dir():
        _refuse_options(arguments, source)
        shard = Shard(*arguments.shard) if arguments.shard else None
        made = [shard.path(path) for path in paths] if shard else paths
        if not is_done(arguments, source, made, say):
            yield source, made
        return
    for path in paths or [None]:
        if path is None or path.is_file() or path.resolve().is_relative_to(source.resolve()):
            raise UserError(
                f"{source}: expected another folder for what is made of this one, by -o and "
                f"--health, found {path or 'none'}"
            )
    inside = sorted(_files(source, say))
    if not inside:
        raise UserError(f"{source}: expected a folder with at least one file, found none in it")
    for name in inside:
        _refuse_options(arguments, source / name)
    plans = {
        source / name: [paths[0] / name, *(path / f"{name}.jsonl" for path in paths[1:])]
        for name in inside
    }
    _keep_inputs(source, plans)
    for file, made in plans.items():
        if is_done(arguments, file, made, say):
            continue
        for path in made:
            with contextlib.suppress(OSError):  # told when the file itself cannot be made
                path.parent.mkdir(parents=True, exist_ok=True)
        yield file, made


def _files(folder: Path, say: Say) -> Iterator[Path]:
    """All files at any depth of a folder that are not hidden, relative to it."""

    def refuse(error: OSError) -> None:
        reason = (error.strerror or "cannot be read").lower()
        raise UserError(f"{error.filename}: expected a folder that can be read ({reason})")

    links = 0
    for place, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        links += sum(Path(place, name).is_symlink() for name in folders)
        shown = (Path(place, name) for name in names if not name.startswith("."))
        yield from (file.relative_to(folder) for file in shown if file.is_file())
    if links:
        say(f"{folder}: links to folders are passed over: {links:,}")


def is_done(arguments: Namespace, source: Path | None, made: Sequence[Path], say: Say) -> bool:
    """Whether `--resume` finds all outputs complete, up to date, and not begun anew since."""
    if arguments.resume and made:
        settle(made)
    whole = all(path.is_file() and not partial_of(place_of(path)).exists() for path in made)
    if not arguments.resume or not whole:
        return False
    # Whether standard input is older cannot be told, nor what is left of a document translated in
    # place.
    if source is None or made[0].resolve() == source.resolve():
        return False
    origins = [source, *(run / WEIGHTS for run in arguments.runs)]
    for origin in filter(Path.exists, origins):
        own, ours = origin.stat(), made[0].stat()
        # What `cp -p`, `rsync -a` and `tar x` bring keeps its time of writing, but came later; if
        # they have brought both, neither tells more than when it was written.
        if own.st_mtime > ours.st_mtime or own.st_ctime > max(ours.st_mtime, ours.st_ctime):
            say(f"{made[0]}: is older than {origin}, and is made again")
            return False
    say(f"{made[0]}: is there already")
    return True


def _refuse_options(arguments: Namespace, source: Path | None) -> None:
    """Refuses options that apply only to lines of text if the input is a document.

    Raises:
        UserError: naming the option.
    """
    if source is None or not is_document(source):
        return
    lines_only = {
        "--field": arguments.field is not None,
        "--shard": arguments.shard is not None,
        "--format jsonl": arguments.format == "jsonl",
    }
    if option := next((option for option, given in lines_only.items() if given), None):
        raise UserError(
            f"{option}: expected lines of text, found the document {source}, which keeps its "
            f"format and is translated as a whole; leave {option} out"
        )
