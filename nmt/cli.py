"""The command line, with one command per task: parses, wires the parts together and prints.

Each command imports what it needs only when it runs, so that `nmt --help` answers at once.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from nmt import __version__, processes
from nmt.arguments import SECTIONS, Formatter, Parser, option_meant, read_overrides, settings_help
from nmt.commands import COMMANDS
from nmt.errors import UserError
from nmt.ram import keep_freed_memory


def say(line: str) -> None:
    """Prints a message to standard error; standard output is for results only."""
    print(line, file=sys.stderr, flush=True)


def _voice() -> Callable[[str], None]:
    """`say` in the first of several processes; silence in the others."""
    return say if processes.rank() == 0 else lambda line: None


def prepare(arguments: argparse.Namespace) -> None:
    """Runs `nmt prepare`."""
    from data_prep.pipeline import prepare as run
    from nmt import config

    run(config.load(arguments.config, arguments.overrides).data, say, arguments.fresh)


def recommend(arguments: argparse.Namespace) -> None:
    """Runs `nmt recommend`."""
    from nmt import recommend as recommendation

    _use_machine(arguments.threads)
    recommendation.recommend(arguments, print, say)


def train(arguments: argparse.Namespace) -> None:
    """Runs `nmt train`."""
    from nmt import config
    from nmt.launcher import in_processes
    from nmt.wiring import run_training, train_seeds

    settings = config.load(arguments.config, arguments.overrides)
    keep_freed_memory()

    def work() -> None:
        tell = _voice()
        if arguments.seeds:
            train_seeds(settings, arguments.seeds, tell, arguments.fresh, arguments.init_from)
        else:
            run_training(settings, tell, arguments.fresh, arguments.init_from)

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
    _use_machine(arguments.threads, arguments.device)
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
    from nmt.decoding.score import score_files

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


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line; returns its exit status: 0, 2 for a user's mistake, 130 for Ctrl-C."""
    processes.open_streams()
    if processes.world() > 1:  # torch reads it when it is imported; DDP warns of an option of ours
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    words = list(sys.argv[1:] if argv is None else argv)
    command = words[0] if words and words[0] in COMMANDS else ""
    try:
        if not command:
            _top_level(words)
            return 0
        summary, add_options = COMMANDS[command]
        parser = Parser(
            prog=f"nmt {command}",
            description=summary,
            formatter_class=Formatter,
            allow_abbrev=False,
        )
        add_options(parser)
        if command in CONFIGURABLE and {"-h", "--help"} & set(words):
            keys = "\n".join(settings_help(words))
            parser.print_help()
            print(f"\nEvery key of the YAML is an option too:\n\n{keys}")
            return 0
        RUN[command](_parsed(parser, words))
        sys.stdout.flush()
    except UserError as error:
        if processes.is_first_to_say(str(error)):
            say(f"nmt {command}: {error}" if command else f"nmt: {error}")
        return processes.LOST_STATUS if isinstance(error, processes.Lost) else 2
    except KeyboardInterrupt:
        _voice()(f"nmt {command}: interrupted")
        return 130
    except BrokenPipeError:  # the reader of our output has closed it, as `head` does
        sys.stderr.close()
        return 141
    except OSError as error:  # a full disk, a folder without write permission
        if not error.errno:
            raise
        say(f"nmt {command}: {error.filename or 'standard output'}: {error.strerror}")
        return 2
    return 0


def _parsed(parser: Parser, words: list[str]) -> argparse.Namespace:
    """The options of a command; `words` and `overrides`, those of its YAML file, beside them."""
    command, *others = words
    own, given = _divided(others) if command in CONFIGURABLE else (others, [])
    if given and all(word.startswith("-") for word in others[: others.index(given[0])]):
        raise UserError(f"expected the YAML file before the settings, found {given[0]}")
    arguments, rest = parser.parse_known_args(own)
    configurable = command in CONFIGURABLE
    for word in rest:
        if not configurable or (word.startswith("--") and not word.startswith(SECTIONS)):
            meant = option_meant(parser, word, configurable)
            if meant or not configurable:  # else it is taken for a key, and its section is unknown
                parser.error(f"unexpected {word!r}" + (f"; did you mean {meant}?" if meant else ""))
    arguments.words, arguments.overrides = words, read_overrides(given + rest)
    return arguments


def _divided(words: list[str]) -> tuple[list[str], list[str]]:
    """A command's own words, and the settings with their values, which argparse must not take."""
    own: list[str] = []
    given: list[str] = []
    into = own
    for word in words:
        if word.startswith("-") and not word[1:2].isdigit():  # -1 is a value
            into = given if word.startswith(SECTIONS) else own
        into.append(word)
    return own, given


def _top_level(words: list[str]) -> None:
    table = "\n".join(f"  {command:<12}{summary}" for command, (summary, _) in COMMANDS.items())
    parser = Parser(
        prog="nmt",
        usage="nmt COMMAND ...",
        description="Recurrent neural machine translation with attention.",
        epilog=f"commands:\n{table}\n\n`nmt COMMAND --help` lists its options.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"nmt {__version__}")
    if words and not words[0].startswith("-"):
        raise UserError(f"unknown command {words[0]!r}; expected one of {', '.join(COMMANDS)}")
    parser.parse_args(words or ["--help"])


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
