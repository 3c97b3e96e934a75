"""`nmt evaluate`: systems translate a test set, are scored and compared, and get reports."""

import os
from argparse import Namespace
from collections.abc import Container, Sequence
from contextlib import suppress
from itertools import chain, count
from pathlib import Path

from sacrebleu.metrics.bleu import BLEU
from tqdm import tqdm

from nmt import checkpoint
from nmt.decoding.paragraphs import Paragraphs
from nmt.decoding.translator import Translator
from nmt.errors import Say, UserError
from nmt.evaluation import metrics, report
from nmt.evaluation.metrics import References
from nmt.lines import read_parallel, read_texts
from nmt.translation import Alignment, Translation
from nmt.writing_systems import is_unspaced

ENSEMBLE = "ensemble"
"""The name of several runs that are evaluated as one system."""

SIGNIFICANT = 0.05
"""Significance level: a difference with a lower p-value is considered real."""


def evaluate(arguments: Namespace, show: Say, say: Say) -> None:
    """Translates with each model, scores and compares all systems, prints and writes reports."""
    _check_evaluation(arguments)
    hypotheses = {str(path): read_texts(path) for path in arguments.hyp or []}
    sources, references = _test_set(arguments)
    if doubt := _doubt(arguments, references):
        say(doubt)
    systems = _systems(arguments)
    for name, lines in (hypotheses | dict.fromkeys(systems, sources or [])).items():
        metrics.check(lines, references, name)  # now: translating may take minutes
    reports = _report_folders(arguments, [*hypotheses, *systems], systems)
    translators = {}
    for name, folders in systems.items():
        assert sources is not None
        translator = Translator.load(
            *folders, device=arguments.device, precision=arguments.precision, say=say
        )
        say(f"translating {len(sources):,} sentences with {name}")
        language = checkpoint.read_manifest(folders[0])["languages"][0]
        with tqdm(unit=" sentences", disable=None) as bar:
            found = _translated(translator, sources, language, arguments, bar=bar)
        translators[name] = translator, language
        hypotheses[name] = [one.text for one in found]
        if folder := reports[name]:  # now: it may have taken minutes
            with suppress(OSError):  # a full disk: the report tells, once the scores are shown
                report.write_hypotheses(folder, hypotheses[name])
    scores = metrics.compare(
        hypotheses, references, lowercase=arguments.lowercase, tokenize=_tokenizer(arguments)
    )
    _show(scores, show)
    for name, lines in hypotheses.items():
        if folder := reports[name]:
            examples = report.examples_of(sources, references, lines, lowercase=arguments.lowercase)
            made_by, language = translators.get(name, (None, ""))
            align = _aligner(made_by, language, arguments) if made_by is not None else None
            setting = _setting(arguments, made_by)
            report.write_report(folder, name, scores[name], examples, align, setting)
            say(f"report: {folder / 'report.md'}")


def _check_evaluation(arguments: Namespace) -> None:
    if not arguments.hyp and not arguments.runs:
        raise UserError(
            "expected the folder of a run, before --ref and --hyp, or --hyp FILE; found neither"
        )
    if arguments.ensemble and len(arguments.runs) < 2:
        raise UserError(f"--ensemble: expected two runs or more, found {len(arguments.runs)}")
    if arguments.src and not arguments.ref:
        raise UserError("--src: expected --ref FILE beside it, found none")
    if arguments.runs and arguments.ref and not arguments.src:
        raise UserError("--ref: expected --src FILE beside it, to be translated; found none")
    if arguments.hyp and not arguments.ref:
        raise UserError("--hyp: expected --ref FILE beside it, found none")
    if arguments.tokenize:
        _check_tokenizer(arguments.tokenize)
    if arguments.report and arguments.report.exists() and not arguments.report.is_dir():
        raise UserError(f"--report: expected a folder, found the file {arguments.report}")
    for option in ("beam_size", "length_penalty", "precision", "paragraphs"):
        given = vars(arguments)[option]
        if given is not None and given is not False and not arguments.runs:
            raise UserError(
                f"--{option.replace('_', '-')}: expected a RUN that translates, found --hyp alone"
            )


def _tokenizer(arguments: Namespace) -> str:
    """The requested BLEU tokenizer, or that of the first run's target language."""
    given: str | None = arguments.tokenize
    if given or not arguments.runs:
        return given or metrics.DEFAULT_TOKENIZER
    return metrics.tokenizer_for(checkpoint.read_config(arguments.runs[0]).data.target_language)


def _doubt(arguments: Namespace, references: References) -> str | None:
    """A warning if 13a is chosen by default for what seems to have no spaces between words."""
    if arguments.tokenize or _tokenizer(arguments) != metrics.DEFAULT_TOKENIZER:
        return None
    unspaced = sum(is_unspaced(row[0] or "") for row in references)
    if 2 * unspaced <= len(references):
        return None
    return (
        "--ref: looks like a language written without spaces between words; the default "
        "tokenizer, 13a, takes a whole sentence for one word: give --tokenize zh for Chinese, "
        "else char"
    )


def _check_tokenizer(name: str) -> None:
    if name not in BLEU.TOKENIZERS:
        raise UserError(f"--tokenize: expected one of {', '.join(BLEU.TOKENIZERS)}, found {name!r}")
    try:
        BLEU(tokenize=name)
    except (RuntimeError, ImportError, OSError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"--tokenize {name}: {reason}") from None


def _systems(arguments: Namespace) -> dict[str, list[Path]]:
    """The systems that are to translate, by name: each run by itself, or all as an ensemble."""
    if arguments.ensemble:
        return {ENSEMBLE: arguments.runs}
    return {str(run): [run] for run in arguments.runs}


def _show(systems: dict[str, metrics.Scores], show: Say) -> None:
    if len(systems) > 1:
        show(report.scores_table(systems))
        show("p: paired bootstrap against the first system")
        for name, scores in systems.items():
            if (p := scores.bleu.p_value) is not None and p >= SIGNIFICANT:
                show(f"{name}: its BLEU differs from the first system's by no more than the noise")
    for name, scores in systems.items():
        show(f"{name}: {scores.sentences:,} sentences")
        for score in scores.all():
            show(f"  {score}")


def _test_set(arguments: Namespace) -> tuple[list[str] | None, References]:
    """Sources, if any, and references, from the given files or from the runs' own test split."""
    if arguments.ref:
        if arguments.src is None:
            return None, _rows(read_parallel(*arguments.ref))
        *texts, sources = read_parallel(*arguments.ref, arguments.src)
        return sources, _rows(texts)
    return _own_test_set(arguments.runs)


def _rows(files: Sequence[Sequence[str]]) -> References:
    """The references of each sentence; a blank line counts as missing if another file has text."""
    rows = list(zip(*files, strict=True))
    told = [any(map(str.strip, row)) for row in rows]
    return [
        [text if text.strip() or not some else None for text in row]
        for row, some in zip(rows, told, strict=True)
    ]


def _own_test_set(runs: Sequence[Path]) -> tuple[list[str], References]:
    from nmt.evaluation.origin import training_data  # late: it imports the `datasets` library

    test = training_data(runs)["test"]
    return test["source"][:], test["references"][:]


def _setting(arguments: Namespace, translator: Translator | None) -> dict[str, str]:
    """What is scored, against which references, and how it was translated."""
    if arguments.ref:
        told = {"references": ", ".join(map(str, arguments.ref))}
        if arguments.src:
            told = {"sources": str(arguments.src), **told}
    else:
        told = {"test split": str(checkpoint.read_config(arguments.runs[0]).data.folder)}
    if translator is not None:
        decoding = translator.decoding
        penalty = arguments.length_penalty
        told["beam size"] = str(arguments.beam_size or decoding.beam_size)
        told["length penalty"] = str(decoding.length_penalty if penalty is None else penalty)
        if arguments.paragraphs:
            told["lines"] = "translated sentence by sentence (--paragraphs)"
    return told


def _report_folders(
    arguments: Namespace, names: list[str], runs: Container[str]
) -> dict[str, Path | None]:
    """The folder of each system's report, if it gets one.

    Raises:
        UserError: one cannot be written, which must be known before minutes of translating.
    """
    folders = _named_folders(arguments, names, runs)
    for folder in filter(None, folders.values()):
        above = next(place for place in (folder, *folder.absolute().parents) if place.exists())
        if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
            raise UserError(
                f"{folder}: expected a place to write the report to, found none ({above} cannot "
                "be written); name another by --report"
            )
    return folders


def _named_folders(
    arguments: Namespace, names: list[str], runs: Container[str]
) -> dict[str, Path | None]:
    given: Path | None = arguments.report
    if given is None:
        folder = f"evaluation-{arguments.src.name}" if arguments.src else "evaluation"
        own = () if arguments.ensemble else runs
        return {name: Path(name) / folder if name in own else None for name in names}
    if len(names) == 1:
        return {names[0]: given}
    found: dict[str, Path | None] = {}
    for name in names:  # systems may share a base name: the report of the second gets a number
        base = Path(name).name
        folders = chain([given / base], (given / f"{base}-{number}" for number in count(2)))
        found[name] = next(folder for folder in folders if folder not in found.values())
    return found


def _aligner(translator: Translator, language: str, arguments: Namespace) -> report.Align:
    def align(sources: Sequence[str]) -> list[Alignment | None]:
        found = _translated(translator, sources, language, arguments, alignments=True)
        return [one.alignment for one in found]

    return align


def _translated(
    translator: Translator,
    sources: Sequence[str],
    language: str,
    arguments: Namespace,
    *,
    alignments: bool = False,
    bar: tqdm | None = None,
) -> list[Translation]:
    """The same translations as `nmt translate` gives with these options."""
    cut = Paragraphs(sources, language if arguments.paragraphs else None)
    if bar is not None:
        bar.reset(len(cut.parts))
    found = translator.translate(
        cut.parts,
        beam_size=arguments.beam_size,
        length_penalty=arguments.length_penalty,
        alignments=alignments,
        progress=None if bar is None else bar.update,
    )
    return cut.joined(found)
