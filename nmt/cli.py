"""The command line, with one command per task: parses, wires the parts together and prints.

Each command imports what it needs only when it runs, so that `nmt --help` answers at once.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TextIO

from nmt import processes
from nmt.arguments import Formatter, Parser, parse, parse_top_level, settings_help
from nmt.commands import COMMANDS
from nmt.errors import Say, UserError
from nmt.ram import keep_freed_memory


def say(line: str) -> None:
    """Prints a message to standard error; standard output is for results only."""
    print(line, file=sys.stderr, flush=True)


def _voice() -> Say:
    """`say` in the first of several processes; silence in the others."""
    return say if processes.rank() == 0 else lambda line: None


def prepare(arguments: argparse.Namespace) -> None:
    """Runs `nmt prepare`."""
    from data_prep.pipeline import prepare as run
    from nmt import config

    data = config.load(arguments.config, arguments.overrides).data
    others = [f"--{key}" for key, _ in arguments.overrides if not key.startswith("data.")]
    if others:
        say(f"{', '.join(others)}: not used by nmt prepare, but by nmt train")
    run(data, say, arguments.fresh)


def recommend(arguments: argparse.Namespace) -> None:
    """Runs `nmt recommend`."""
    from nmt import recommend as recommendation

    _use_machine(arguments.threads)
    recommendation.recommend(arguments, print, say)


def train(arguments: argparse.Namespace) -> None:
    """Runs `nmt train`."""
    from data_prep.pieces import Pieces
    from nmt import config
    from nmt.launcher import in_processes
    from nmt.wiring import run_training, train_seeds

    settings = config.load(arguments.config, arguments.overrides)
    keep_freed_memory()

    def work() -> None:
        given = (Pieces.of, _voice(), arguments.fresh, arguments.init_from)
        if arguments.seeds:
            train_seeds(settings, arguments.seeds, *given)
        else:
            run_training(settings, *given)

    in_processes(settings.training.processes, arguments.words, work)


def translate(arguments: argparse.Namespace) -> None:
    """Runs `nmt translate`; under torchrun each process translates its part."""
    from nmt.decoding import shards
    from nmt.decoding.file_translation import translate_files
    from nmt.decoding.outputs import check_options

    world = processes.world()
    with processes.process_group(processes.LONG_SILENCE):
        if world > 1 and _take_part(arguments):
            return
        check_options(arguments)
        _use_machine(arguments.threads, arguments.device)
        translate_files(arguments, say)
        processes.barrier()
        if world > 1 and processes.rank() == 0:
            wholes = filter(None, (arguments.output, arguments.health))
            for part in [part for whole in wholes for part in shards.join(whole, say, world)]:
                part.unlink()


def _take_part(arguments: argparse.Namespace) -> bool:
    """Sets this process's share of the file; returns whether the whole is already translated."""
    from nmt.decoding.outputs import is_done, is_one_file
    from nmt.documents.formats import is_document

    if arguments.shard:
        raise UserError("--shard: torchrun's processes share out the lines by themselves")
    if not is_one_file(arguments):
        raise UserError("torchrun's processes share out one file: name it by -i, its output by -o")
    if is_document(arguments.input):
        raise UserError(
            f"{arguments.input} is a document, translated as a whole: leave torchrun out"
        )
    arguments.shard = (processes.rank() + 1, processes.world())
    whole = [path for path in (arguments.output, arguments.health) if path]
    return processes.from_first(lambda: is_done(arguments, arguments.input, whole, _voice()))


def join(arguments: argparse.Namespace) -> None:
    """Runs `nmt join`."""
    from nmt.decoding import shards

    shards.join(arguments.output, say)


def synthesize(arguments: argparse.Namespace) -> None:
    """Runs `nmt synthesize`."""
    from nmt import synthesis

    _use_machine(arguments.threads, arguments.device)
    synthesis.synthesize(arguments, say)


def distill(arguments: argparse.Namespace) -> None:
    """Runs `nmt distill`."""
    from nmt import config, synthesis

    settings = config.load(arguments.config, arguments.overrides)
    # The launcher has divided the threads among the student's processes, each of which comes here.
    threads = arguments.threads if processes.world() == 1 else None
    _use_machine(threads, arguments.device)
    synthesis.distill(settings, arguments, _voice())


def evaluate(arguments: argparse.Namespace) -> None:
    """Runs `nmt evaluate`."""
    from nmt.evaluation import evaluate

    _use_machine(arguments.threads, arguments.device)
    evaluate.evaluate(arguments, print, say)


def generate(arguments: argparse.Namespace) -> None:
    """Runs `nmt generate`."""
    from nmt.decoding import generation

    _use_machine(arguments.threads, arguments.device)
    for line in generation.generate(arguments, say):
        print(line)


def score(arguments: argparse.Namespace) -> None:
    """Runs `nmt score`."""
    from nmt.decoding.file_scoring import score_files

    _use_machine(arguments.threads, arguments.device)
    for line in score_files(arguments, say):
        print(line)


def export(arguments: argparse.Namespace) -> None:
    """Runs `nmt export`."""
    from nmt.wiring import run_export

    run_export(arguments, say)


def diagnose(arguments: argparse.Namespace) -> None:
    """Runs `nmt diagnose`."""
    from nmt.evaluation import gradients

    _use_machine(arguments.threads)
    for line in gradients.diagnose(arguments.systems, arguments.length, arguments.output, say):
        print(line)
    say(f"picture: {arguments.output}")


def info(arguments: argparse.Namespace) -> None:
    """Runs `nmt info`."""
    from nmt.wiring import describe

    for line in describe(arguments.run):
        print(line)


RUN: dict[str, Callable[[argparse.Namespace], None]] = {
    "prepare": prepare,
    "recommend": recommend,
    "train": train,
    "translate": translate,
    "join": join,
    "synthesize": synthesize,
    "distill": distill,
    "evaluate": evaluate,
    "generate": generate,
    "score": score,
    "export": export,
    "diagnose": diagnose,
    "info": info,
}
CONFIGURABLE = ("prepare", "train", "distill")

MEMORY_RAN_OUT = ("MemoryError", "out of memory", "allocate memory", "enough memory", "bad_alloc")
"""What an error is called or says then; torch's are plain RuntimeErrors."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line; returns its exit status: 0, 2 for a user's mistake, 130 for Ctrl-C."""
    processes.open_streams()
    if processes.world() > 1:  # torch reads it when it is imported; DDP warns of an option of ours
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    try:
        return _status_of(list(sys.argv[1:] if argv is None else argv))
    except BrokenPipeError:  # the reader of our output has closed it, as `head` does
        return 141
    finally:
        for stream in (sys.stdout, sys.stderr):
            _settle(stream)


def _settle(stream: TextIO) -> None:
    """Flushes a stream; what cannot be written is dropped, or the interpreter would fail at it."""
    try:
        stream.flush()
    except (OSError, ValueError):  # ValueError: it is closed
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _status_of(words: list[str]) -> int:
    """Runs a command line; an error that a user can mend is said in one sentence."""
    command = words[0] if words and words[0] in COMMANDS else ""
    name = f"nmt {command}".rstrip()
    try:
        _run(command, words)
        sys.stdout.flush()
    except UserError as error:
        if processes.is_first_to_say(str(error)):
            say(f"{name}: {error}")
        return processes.LOST_STATUS if isinstance(error, processes.Lost) else 2
    except KeyboardInterrupt:
        deletes = command in ("train", "distill") and "--fresh" in words
        advice = "; without --fresh, the same command goes on from what was saved last"
        _voice()(f"{name}: interrupted{advice if deletes else ''}")
        return 130
    except UnicodeEncodeError as error:  # of a library, which was given the name of a file
        say(f"{name}: expected a name in UTF-8, found {error.object!r}; rename it")
        return 2
    except (MemoryError, RuntimeError) as error:
        if not any(it in repr(error) for it in MEMORY_RAN_OUT):
            raise
        say(
            f"{name}: memory ran out; take a smaller model, a smaller training.batch_tokens or, to "
            "translate, a smaller --beam-size, fewer --workers or --device cpu"
        )
        return 2
    except OSError as error:  # a full disk, a folder without write permission
        if not error.errno or isinstance(error, BrokenPipeError):
            raise
        say(f"{name}: {error.filename or 'standard output'}: {error.strerror}")
        return 2
    return 0


def _run(command: str, words: list[str]) -> None:
    if not command:
        parse_top_level(words, COMMANDS)
        return
    summary, add_options = COMMANDS[command]
    parser = Parser(
        prog=f"nmt {command}",
        description=summary,
        formatter_class=Formatter,
        allow_abbrev=False,
    )
    add_options(parser)
    configurable = command in CONFIGURABLE
    if configurable and {"-h", "--help"} & set(words):
        keys = "\n".join(settings_help(words))
        parser.print_help()
        print(f"\nEvery key of the YAML is an option too:\n\n{keys}")
        return
    RUN[command](parse(parser, words, configurable=configurable))


def _use_machine(threads: int | None, device: str = "cpu") -> None:
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    keep_freed_memory()
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device: expected cpu where torch sees no CUDA device, found cuda")


if __name__ == "__main__":
    try:
        status = main()
    except SystemExit as leaving:  # a signal has ended the training
        status = leaving.code if isinstance(leaving.code, int) else 1
    processes.leave(status)
