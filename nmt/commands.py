"""The commands and their options; `nmt.cli` runs them."""

from pathlib import Path

from nmt.arguments import (
    Commands,
    Parser,
    add_format,
    add_input,
    add_machine,
    add_paragraphs,
    add_search,
    add_threads,
    at_least,
    positive,
    shard,
)


def add_prepare(parser: Parser) -> None:
    """`nmt prepare`: raw corpora to a prepared folder."""
    parser.add_argument("config", type=Path, help="the experiment's YAML file")
    parser.add_argument("--fresh", action="store_true", help="prepare even if nothing has changed")


def add_recommend(parser: Parser) -> None:
    """`nmt recommend`: a prepared folder to a recipe."""
    parser.add_argument("data", type=Path, metavar="DATA", help="a folder made by nmt prepare")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE.yaml",
        help="where to write the configuration (default: standard output)",
    )
    parser.add_argument(
        "--minutes",
        type=at_least(1),
        default=60,
        metavar="M",
        help="training time, validations excluded",
    )
    add_threads(parser)


def add_train(parser: Parser) -> None:
    """`nmt train`: a prepared folder to a run's folder."""
    parser.add_argument("config", type=Path, help="the experiment's YAML file")
    parser.add_argument("--fresh", action="store_true", help="start over: deletes the run's folder")
    parser.add_argument(
        "--init-from",
        type=Path,
        metavar="RUN",
        help="fine-tune: start from this run's weights, tokenizer and architecture, with a new "
        "optimiser and this configuration's data",
    )
    parser.add_argument(
        "--seeds",
        type=at_least(2),
        metavar="N",
        help="train N runs, FOLDER-seed-S for S from training.seed on, and report the mean and "
        "standard deviation of their validation BLEU",
    )


def add_translate(parser: Parser) -> None:
    """`nmt translate`: lines of text to lines of text."""
    add_input(parser, or_else=" or a folder of such files and documents")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="where to write; a folder if the input is one; .gz compresses (default: standard "
        "output)",
    )
    _add_resume(parser)
    parser.add_argument(
        "--field",
        metavar="F",
        help="what to translate in each line: the number of a tab-separated column, or a key of a "
        "JSON object; the translation becomes the last column, or the key `translation`",
    )
    parser.add_argument(
        "--shard",
        type=shard,
        metavar="I/N",
        help="translate only part I of N of the input, to OUT.I-of-N; `nmt join` joins the parts",
    )
    _add_segments(parser)
    add_format(parser)


def _add_resume(parser: Parser) -> None:
    parser.add_argument(
        "--resume",
        action="store_true",
        help="continue an interrupted output file after its last complete block of lines",
    )


def _add_segments(parser: Parser) -> None:
    """Adds the options for handling lines beyond their translation."""
    parser.add_argument(
        "--health",
        type=Path,
        metavar="FILE",
        help="list suspicious translations, as JSON lines with line number and reasons; a folder "
        "if the input is one",
    )
    add_paragraphs(parser)


def add_join(parser: Parser) -> None:
    """`nmt join`: the parts of a translation to one file."""
    parser.add_argument("output", type=Path, metavar="OUT", help="the file to make from its parts")


def add_synthesize(parser: Parser) -> None:
    """`nmt synthesize`: lines of text to training pairs with one machine-made side."""
    add_input(parser)
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="FILE.jsonl",
        help="where to write the pairs; name it under data.synthetic",
    )
    _add_resume(parser)
    parser.add_argument(
        "--back",
        action="store_true",
        help="back-translation, by a run for the other direction: the lines become targets, their "
        "translations sources; without it: self-training",
    )
    parser.add_argument(
        "--tag",
        metavar="TEXT",
        help="a word in angle brackets to put before each source; --tag= puts none (default: <BT> "
        "with --back, else none)",
    )


def add_distill(parser: Parser) -> None:
    """`nmt distill`: a student's YAML and its teachers to the student's run."""
    parser.add_argument("config", type=Path, help="the student's YAML file")
    parser.add_argument(
        "runs",
        type=Path,
        nargs="+",
        metavar="TEACHER",
        help="a run's folder; several form an ensemble",
    )
    parser.add_argument("--fresh", action="store_true", help="train anew: deletes the run's folder")
    add_search(parser)


def add_evaluate(parser: Parser) -> None:
    """`nmt evaluate`: BLEU, chrF and TER of runs or of given translations."""
    parser.add_argument(
        "runs",
        type=Path,
        nargs="*",
        metavar="RUN",
        help="runs to evaluate; several are compared. Without --src, on the test split of their "
        "prepared data",
    )
    parser.add_argument("--src", type=Path, help="source lines of another test set")
    parser.add_argument(
        "--ref",
        type=Path,
        nargs="+",
        action="extend",
        metavar="FILE",
        help="reference lines; several files are several references per line",
    )
    parser.add_argument(
        "--hyp",
        type=Path,
        nargs="+",
        action="extend",
        metavar="FILE",
        help="translations by any system, detokenised; they come before the runs, and p-values "
        "compare with the first system",
    )
    parser.add_argument("--ensemble", action="store_true", help="evaluate the runs as one ensemble")
    parser.add_argument("--lowercase", action="store_true", help="ignore case")
    tokenize = "sacreBLEU tokenizer for BLEU (default: by the first RUN's language, else 13a)"
    parser.add_argument("--tokenize", metavar="NAME", help=tokenize)
    parser.add_argument(
        "--report",
        type=Path,
        metavar="FOLDER",
        help="where to write the report (default: RUN/evaluation, with --src RUN/evaluation-FILE; "
        "none for --hyp and --ensemble)",
    )
    add_paragraphs(parser)
    add_search(parser)


def add_generate(parser: Parser) -> None:
    """`nmt generate`: text by a language model."""
    parser.add_argument("run", type=Path, help="the folder of a run with `encoder: none`")
    parser.add_argument(
        "--count",
        type=at_least(1),
        default=10,
        metavar="N",
        help="number of sentences, one per line",
    )
    parser.add_argument(
        "--temperature",
        type=positive,
        default=1.0,
        metavar="T",
        help="sample from p ** (1 / T): below 1, likely words become likelier",
    )
    parser.add_argument(
        "--max-length", type=at_least(1), default=100, metavar="L", help="most tokens per sentence"
    )
    parser.add_argument(
        "--seed", type=at_least(0, 2**64 - 1), default=1, metavar="S", help="random seed"
    )
    add_machine(parser)


def add_score(parser: Parser) -> None:
    """`nmt score`: log-probabilities of given translations."""
    parser.add_argument("run", type=Path, help="a run's folder")
    parser.add_argument("--src", type=Path, help="source lines (none for a language model)")
    parser.add_argument("--tgt", type=Path, required=True, help="the translations, one per line")
    add_machine(parser)


def add_export(parser: Parser) -> None:
    """`nmt export`: a run to a smaller and faster bundle for translation only."""
    parser.add_argument("run", type=Path, help="a run's folder")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="BUNDLE", help="the new folder"
    )
    parser.add_argument(
        "--int8",
        action="store_true",
        help="quantise the decoder's weights to 8 bits: a quarter of the size, and faster",
    )
    parser.add_argument(
        "--shortlist",
        type=at_least(0),
        default=0,
        metavar="N",
        help="limit the output vocabulary to at most N target tokens per source token, learnt from "
        "the model's attention over its training data; 0 does not limit it",
    )


def add_diagnose(parser: Parser) -> None:
    """`nmt diagnose`: how far back gradients reach."""
    parser.add_argument(
        "systems",
        type=Path,
        nargs="+",
        metavar="SYSTEM",
        help="a run's folder (trained) or a YAML file (fresh; its data must be prepared)",
    )
    parser.add_argument(
        "--length", type=at_least(2), default=50, metavar="L", help="tokens of each text"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("gradients.png"),
        metavar="FILE.png",
        help="where to write the plot",
    )
    add_threads(parser)


def add_info(parser: Parser) -> None:
    """`nmt info`: the contents of a run's folder."""
    parser.add_argument("run", type=Path, help="a run's folder")


COMMANDS: Commands = {
    "prepare": ("raw corpora -> a prepared folder", add_prepare),
    "recommend": ("a prepared folder -> a commented YAML file for it", add_recommend),
    "train": ("a prepared folder -> a run's folder; again: resume", add_train),
    "translate": ("lines of text, PO, XLIFF, TMX -> the same, translated", add_translate),
    "join": ("the parts that translate --shard made -> one file", add_join),
    "synthesize": ("lines of text -> synthetic training pairs", add_synthesize),
    "distill": ("teachers' runs -> a student's run", add_distill),
    "evaluate": ("BLEU, chrF and TER, with a report; compares systems", add_evaluate),
    "generate": ("text from a language model (encoder: none)", add_generate),
    "score": ("log-probabilities of given translations", add_score),
    "export": ("a run -> a smaller, faster bundle for translation", add_export),
    "diagnose": ("how far back gradients reach: a table and a plot", add_diagnose),
    "info": ("what a run's folder contains", add_info),
}
