"""Command-line parsing: one-sentence errors, options that commands share, and overrides."""

import argparse
import difflib
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NoReturn

from nmt import __version__
from nmt.errors import UserError

SECTIONS = ("--data.", "--model.", "--training.", "--decoding.")
"""How the option for a key of the YAML file begins."""

Overrides = list[tuple[str, list[str]]]
"""(dotted key, the words after it), in the order given."""


class Parser(argparse.ArgumentParser):
    """Reports an error in one sentence instead of printing the whole usage."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; see `{self.prog} --help`")


class Formatter(argparse.HelpFormatter):
    """Formats help with each option's default."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=32, width=100)

    def _get_help_string(self, action: argparse.Action) -> str:
        text = action.help or ""
        unset = action.default in (None, argparse.SUPPRESS) or action.default is False
        plain = unset or not action.option_strings
        return text if plain else f"{text} (default: %(default)s)"


Commands = Mapping[str, tuple[str, Callable[[Parser], None]]]
"""For each command, a summary and the function that adds its options."""


def at_least(least: int, most: int = 10**9) -> Callable[[str], int]:
    """The type of an option that takes an integer of at least `least`, and at most `most`."""

    def read(text: str) -> int:
        if not (found := int(text)) >= least:
            raise argparse.ArgumentTypeError(f"expected {least} or more, found {found}")
        if found > most:
            raise argparse.ArgumentTypeError(f"expected at most {most}, found {found}")
        return found

    read.__name__ = "int"  # what argparse calls the type in its errors
    return read


def positive(text: str) -> float:
    """The type of an option that takes a number above 0."""
    if not 0 < (found := float(text)) < math.inf:
        raise argparse.ArgumentTypeError(f"expected a finite number above 0, found {text}")
    return found


positive.__name__ = "float"  # what argparse calls the type in its errors


def shard(text: str) -> tuple[int, int]:
    """The type of an option that takes one part of several: 2/4 is the second of four."""
    number, _, parts = text.partition("/")
    numbers = number.isdecimal() and parts.isdecimal()
    if not numbers or not 1 <= int(number) <= int(parts):
        raise argparse.ArgumentTypeError(f"expected a part as 2/4, found {text}")
    return int(number), int(parts)


def add_format(parser: Parser) -> None:
    """Adds the options for the output of each line."""
    parser.add_argument(
        "--format",
        choices=("text", "jsonl"),
        default="text",
        help="text: one line per line; jsonl: one object per line, with scores",
    )
    parser.add_argument(
        "--n-best",
        type=int,
        default=1,
        metavar="N",
        help="hypotheses per line; more than one needs --format jsonl",
    )
    parser.add_argument(
        "--alignments",
        action="store_true",
        help="write the attention weights between tokens; needs --format jsonl",
    )


def add_input(parser: Parser, or_else: str = "") -> None:
    """Adds the options for models and input; `or_else` names other input than lines of text."""
    parser.add_argument(
        "runs",
        type=Path,
        nargs="+",
        metavar="RUN",
        help="a run's folder, such as checkpoints/tatoeba-en-es; several form an ensemble",
    )
    parser.add_argument(
        "-i",
        "--input",
        type=Path,
        metavar="FILE",
        help=f"the text to translate, one sentence per line{or_else}; .gz is decompressed "
        "(default: standard input)",
    )
    parser.add_argument(
        "--workers",
        type=at_least(1),
        metavar="N",
        help="number of processes, which share the threads (default: one per thread if the input "
        "has more than 3,000 lines and memory allows, else 1)",
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="refuse lines that are not UTF-8; otherwise wrong bytes become U+FFFD and are counted",
    )
    # Commands without these options read all input and list no suspicious translations.
    parser.set_defaults(shard=None, health=None)
    add_search(parser)


def add_paragraphs(parser: Parser) -> None:
    """Adds the option for lines of more than one sentence."""
    parser.add_argument(
        "--paragraphs",
        action="store_true",
        help="lines, fields and segments may contain several sentences: split, translate and "
        "rejoin them",
    )


def add_search(parser: Parser) -> None:
    """Adds the options for the search and the machine."""
    parser.add_argument(
        "--beam-size",
        type=int,
        metavar="K",
        help="hypotheses kept at each step; 1 is greedy search (default: the run's "
        "decoding.beam_size)",
    )
    parser.add_argument(
        "--length-penalty",
        type=float,
        metavar="A",
        help="a hypothesis scores log P / length ** A (default: the run's decoding.length_penalty)",
    )
    add_machine(parser)


def add_threads(parser: Parser) -> None:
    """Adds the option for the number of threads."""
    parser.add_argument(
        "--threads", type=at_least(1, 4096), metavar="N", help="CPU threads (default: all)"
    )


def add_machine(parser: Parser) -> None:
    """Adds the options for the device and precision that a trained model runs with."""
    add_threads(parser)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where to run")
    parser.add_argument(
        "--precision",
        choices=("fp32", "bf16", "int8"),
        help="precision of the decoder's matrix products (default: the run's decoding.precision)",
    )


def parse_top_level(words: list[str], commands: Commands) -> None:
    """Answers a command line without a command: with help, the version or an error."""
    table = "\n".join(f"  {command:<12}{summary}" for command, (summary, _) in commands.items())
    parser = Parser(
        prog="nmt",
        usage="nmt COMMAND ...",
        description="Recurrent neural machine translation with attention.",
        epilog=f"commands:\n{table}\n\n`nmt COMMAND --help` lists its options.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"nmt {__version__}")
    if words and not words[0].startswith("-"):
        raise UserError(f"unknown command {words[0]!r}; expected one of {', '.join(commands)}")
    parser.parse_args(words or ["--help"])


def parse(parser: Parser, words: list[str], *, configurable: bool) -> argparse.Namespace:
    """The options of a command; `words` and `overrides`, those of its YAML file, beside them.

    Raises:
        UserError: an unknown option, or a run or a file that is named twice.
    """
    others = words[1:]
    own, given = _divided(others) if configurable else (others, [])
    if given and all(word.startswith("-") for word in others[: others.index(given[0])]):
        raise UserError(f"expected the YAML file before the settings, found {given[0]}")
    arguments, rest = parser.parse_known_args(own)
    for word in rest:
        if not configurable or (word.startswith("--") and not word.startswith(SECTIONS)):
            _refuse(parser, word, configurable)
    _expect_different(arguments)
    arguments.words, arguments.overrides = words, read_overrides(given) + read_overrides(rest)
    return arguments


def _divided(words: list[str]) -> tuple[list[str], list[str]]:
    """A command's own words, and the settings with their values, which argparse must not take."""
    own: list[str] = []
    given: list[str] = []
    into = own
    for word in words:
        if word.startswith("-") and not word[1:].lstrip(".")[:1].isdigit():  # -1 is a value
            into = given if word.startswith(SECTIONS) else own
        into.append(word)
    return own, given


def _refuse(parser: Parser, word: str, configurable: bool) -> None:
    if configurable and word in ("--resume", "--continue"):
        parser.error(f"{word}: leave it out; `nmt train` goes on by itself where it stopped")
    meant = option_meant(parser, word, configurable)
    if meant or not configurable:  # else it is taken for a key, and its section is unknown
        parser.error(f"unexpected {word!r}" + (f"; did you mean {meant}?" if meant else ""))


def _expect_different(arguments: argparse.Namespace) -> None:
    for name in ("runs", "hyp", "systems"):
        seen = set[Path]()
        for path in vars(arguments).get(name) or []:
            if path.resolve() in seen:
                raise UserError(f"{path}: expected once, found twice; leave one out")
            seen.add(path.resolve())


def read_overrides(words: list[str]) -> Overrides:
    """Parses `--a.b c d` or `--a.b=c` to (key, words) pairs.

    Raises:
        UserError: a word belongs to no key, or a key has no value.
    """
    found: Overrides = []
    for word in words:
        if word.startswith("--"):
            key, equals, value = word[2:].partition("=")
            found.append((key, [value] if equals else []))
        elif found:
            found[-1][1].append(word)
        else:
            raise UserError(f"unexpected argument {word!r}; an override is --key value")
    for key, values in found:
        if not values:
            raise UserError(f"--{key}: expected a value after it, found none")
    return found


def option_meant(parser: argparse.ArgumentParser, word: str, configurable: bool) -> str | None:
    """The option that a mistyped one was probably meant to be, if any."""
    known = {name: name for action in parser._actions for name in action.option_strings}
    if configurable:
        from nmt import config, options

        keys = [option.key for option in options.walk(config.Config, config.EXAMPLE)]
        known = {f"--{key.rpartition('.')[2]}": f"--{key}" for key in keys} | known
        known |= dict.fromkeys((section.rstrip(".") for section in SECTIONS), "")
    close = difflib.get_close_matches(word.partition("=")[0], known, n=1)
    return known[close[0]] or None if close else None


def settings_help(words: list[str]) -> Iterator[str]:
    """A help line for every key of the kinds that a YAML file and the overrides name.

    Without a file among the words, they are those of an example.
    """
    from nmt import config, options
    from nmt.files import read_yaml
    from nmt.schema import flat

    files = [Path(word) for word in words if word.endswith((".yaml", ".yml"))]
    settings = read_yaml(files[0]) if files else dict(config.EXAMPLE)
    required = () if files else flat(settings)
    _, given = _divided(words)
    options.apply_overrides(config.Config, settings, read_overrides(given))
    for option in options.walk(config.Config, settings):
        default = f"default: {options.show(option.default)}"
        told = "required" if option.key in required else default
        yield f"  --{option.key}  {option.help} ({told})"
