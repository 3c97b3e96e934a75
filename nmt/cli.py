"""The command line: one verb for each job. It parses, wires the parts together, and prints.

Only the verb that runs imports what it needs, so that `nmt --help` answers at once.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from nmt import __version__
from nmt.arguments import Formatter, Overrides, Parser, read_overrides, settings_help
from nmt.errors import UserError


def say(line: str) -> None:
    """Tells the user, on the error stream: standard output is for results alone."""
    print(line, file=sys.stderr, flush=True)


def add_prepare(parser: Parser) -> None:
    """`nmt prepare`: raw corpora to a prepared folder."""
    parser.add_argument("config", type=Path, help="the experiment's YAML file")
    parser.add_argument("--fresh", action="store_true", help="prepare even if nothing has changed")


def prepare(arguments: argparse.Namespace, overrides: Overrides) -> None:
    """Runs `nmt prepare`."""
    from data_prep.pipeline import prepare as run
    from nmt import config

    run(config.load(arguments.config, overrides).data, say, arguments.fresh)


def add_train(parser: Parser) -> None:
    """`nmt train`: a prepared folder to a run's folder."""
    parser.add_argument("config", type=Path, help="the experiment's YAML file")
    parser.add_argument("--fresh", action="store_true", help="start over: drops the run's folder")
    parser.add_argument(
        "--init-from",
        type=Path,
        metavar="RUN",
        help="fine-tune: start from this run's weights, "
        "tokenizer and architecture, with a new optimiser and this configuration's data",
    )


def train(arguments: argparse.Namespace, overrides: Overrides) -> None:
    """Runs `nmt train`."""
    from nmt import config
    from nmt.wiring import run_training

    settings = config.load(arguments.config, overrides)
    run_training(settings, say, arguments.fresh, arguments.init_from)


def _add_search(parser: Parser) -> None:
    parser.add_argument(
        "--beam-size",
        type=int,
        metavar="K",
        help="hypotheses kept at each step; 1 "
        "is greedy search (default: the run's decoding.beam_size)",
    )
    parser.add_argument(
        "--length-penalty",
        type=float,
        metavar="A",
        help="a hypothesis scores log P / length ** A (default: the run's decoding.length_penalty)",
    )
    _add_machine(parser)


def _add_machine(parser: Parser) -> None:
    parser.add_argument("--threads", type=int, metavar="N", help="processor threads (default: all)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="cpu or cuda")


def add_translate(parser: Parser) -> None:
    """`nmt translate`: lines of text to lines of text."""
    parser.add_argument("run", type=Path, help="a run's folder, such as checkpoints/tatoeba-en-es")
    parser.add_argument(
        "-i",
        "--input",
        type=Path,
        metavar="FILE",
        help="the text to translate, a sentence a line (default: standard input)",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="where to write (default: standard output)",
    )
    parser.add_argument(
        "--format",
        choices=("text", "jsonl"),
        default="text",
        help="text: one line for each line; jsonl: an object with scores for each",
    )
    parser.add_argument(
        "--n-best",
        type=int,
        default=1,
        metavar="N",
        help="candidates for each line; more than one needs --format jsonl",
    )
    parser.add_argument(
        "--alignments",
        action="store_true",
        help="which source token each word came from; needs --format jsonl",
    )
    _add_search(parser)


def translate(arguments: argparse.Namespace, overrides: Overrides) -> None:
    """Runs `nmt translate`."""
    from nmt.decoding.files import translate_file

    if arguments.format == "text" and (arguments.n_best > 1 or arguments.alignments):
        raise UserError("--n-best and --alignments do not fit on a line: add --format jsonl")
    _use_machine(arguments)
    translate_file(arguments, say)


def add_evaluate(parser: Parser) -> None:
    """`nmt evaluate`: BLEU, chrF and TER of runs or of given translations."""
    parser.add_argument(
        "runs",
        type=Path,
        nargs="*",
        metavar="RUN",
        help="runs to evaluate; "
        "several are compared. Without --src: on their data set's own test split",
    )
    parser.add_argument("--src", type=Path, help="source lines of another test set")
    parser.add_argument(
        "--ref",
        type=Path,
        nargs="+",
        action="extend",
        metavar="FILE",
        help="reference lines; several files are several references",
    )
    parser.add_argument(
        "--hyp",
        type=Path,
        nargs="+",
        action="extend",
        metavar="FILE",
        help="translations by any system, detokenised",
    )
    parser.add_argument("--lowercase", action="store_true", help="score without regard to case")
    parser.add_argument("--tokenize", default="13a", help="sacreBLEU's tokenizer for BLEU")
    parser.add_argument(
        "--report",
        type=Path,
        metavar="FOLDER",
        help="where the report goes (default: RUN/evaluation; none for --hyp)",
    )
    _add_search(parser)


def evaluate(arguments: argparse.Namespace, overrides: Overrides) -> None:
    """Runs `nmt evaluate`."""
    from nmt.wiring import run_evaluation

    _use_machine(arguments)
    run_evaluation(arguments, print, say)


def add_score(parser: Parser) -> None:
    """`nmt score`: log-probabilities of given translations."""
    parser.add_argument("run", type=Path, help="a run's folder")
    parser.add_argument("--src", type=Path, required=True, help="source lines")
    parser.add_argument("--tgt", type=Path, required=True, help="their translations, line by line")
    _add_machine(parser)


def score(arguments: argparse.Namespace, overrides: Overrides) -> None:
    """Runs `nmt score`."""
    from nmt.decoding.files import score_files

    _use_machine(arguments)
    for line in score_files(arguments, say):
        print(line)


def add_info(parser: Parser) -> None:
    """`nmt info`: what a run's folder holds."""
    parser.add_argument("run", type=Path, help="a run's folder")


def info(arguments: argparse.Namespace, overrides: Overrides) -> None:
    """Runs `nmt info`."""
    from nmt.wiring import describe

    for line in describe(arguments.run):
        print(line)


VERBS: dict[
    str, tuple[str, Callable[[Parser], None], Callable[[argparse.Namespace, Overrides], None]]
] = {
    "prepare": ("raw corpora -> a prepared folder", add_prepare, prepare),
    "train": ("a prepared folder -> a run's folder; again: resume", add_train, train),
    "translate": ("lines of text -> lines of text", add_translate, translate),
    "evaluate": ("BLEU, chrF and TER, with a report; systems compared", add_evaluate, evaluate),
    "score": ("log-probabilities of given translations", add_score, score),
    "info": ("what a run's folder holds", add_info, info),
}
CONFIGURABLE = ("prepare", "train")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line; returns its exit status: 0, 2 for a user's mistake, 130 for Ctrl-C."""
    words = list(sys.argv[1:] if argv is None else argv)
    verb = words[0] if words and words[0] in VERBS else ""
    try:
        if not verb:
            _top_level(words)
            return 0
        _, add_options, run = VERBS[verb]
        parser = Parser(
            prog=f"nmt {verb}",
            description=VERBS[verb][0],
            formatter_class=Formatter,
            allow_abbrev=False,
        )
        add_options(parser)
        if verb in CONFIGURABLE and {"-h", "--help"} & set(words):
            keys = "\n".join(settings_help(words))
            parser.print_help()
            print(f"\nEvery key of the YAML is an option too:\n\n{keys}")
            return 0
        arguments, rest = parser.parse_known_args(words[1:])
        if rest and verb not in CONFIGURABLE:
            parser.error(f"unexpected {rest[0]!r}")
        run(arguments, read_overrides(rest))
    except UserError as error:
        say(f"nmt {verb}: {error}" if verb else f"nmt: {error}")
        return 2
    except KeyboardInterrupt:
        say(f"nmt {verb}: interrupted")
        return 130
    except BrokenPipeError:  # the reader of our output has left, as `head` does
        sys.stderr.close()
        return 141
    except OSError as error:  # a full disk, a folder that may not be written to
        if error.filename is None:
            raise
        say(f"nmt {verb}: {error.filename}: {error.strerror}")
        return 2
    return 0


def _top_level(words: list[str]) -> None:
    table = "\n".join(f"  {verb:<12}{summary}" for verb, (summary, _, _) in VERBS.items())
    parser = Parser(
        prog="nmt",
        usage="nmt VERB ...",
        description="Recurrent neural machine translation with attention.",
        epilog=f"verbs:\n{table}\n\n`nmt VERB --help` lists a verb's options.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"nmt {__version__}")
    if words and not words[0].startswith("-"):
        raise UserError(f"unknown verb {words[0]!r}; expected one of {', '.join(VERBS)}")
    parser.parse_args(words or ["--help"])


def _use_machine(arguments: argparse.Namespace) -> None:
    import torch

    if arguments.threads is not None:
        if arguments.threads < 1:
            raise UserError(f"--threads: expected 1 or more, found {arguments.threads}")
        torch.set_num_threads(arguments.threads)
    if arguments.device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device: expected cpu where torch sees no CUDA device, found cuda")


if __name__ == "__main__":
    sys.exit(main())
