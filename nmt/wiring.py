"""Where training meets decoding and evaluation: the jobs that need more than one of them."""

from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

from sacrebleu.metrics.bleu import BLEU
from tqdm import tqdm

from nmt import checkpoint, processes
from nmt.batch import Batch
from nmt.config import Config
from nmt.decoding.engine import Engine
from nmt.decoding.translator import Translator
from nmt.errors import UserError
from nmt.evaluation import metrics, report
from nmt.evaluation.metrics import References
from nmt.files import read_json
from nmt.lines import read_parallel, read_texts

if TYPE_CHECKING:
    from datasets import DatasetDict

    from nmt.model.seq2seq import Seq2Seq

Say = Callable[[str], None]

ENSEMBLE = "ensemble"
"""The name under which several runs are evaluated as one."""

SIGNIFICANT = 0.05
"""A difference that chance alone makes less often than this is taken to be one."""

SHORTLIST_BATCH_TOKENS = 4000
"""Of a forced pass over the training data: it keeps no gradients, so batches may be large."""


def run_training(config: Config, say: Say, fresh: bool, init_from: Path | None) -> Path:
    """Trains with validation BLEU wired in, then draws the curves."""
    import datasets

    from nmt.evaluation.callback import ValidationBleu, ValidationPerplexity
    from nmt.evaluation.plots import plot_curves
    from nmt.training.risk import Risk
    from nmt.training.run import Validation, train
    from nmt.vocab import Vocabulary

    decoding = replace(config.decoding, beam_size=config.training.validation_beam)

    def validation(split: datasets.Dataset, source: Vocabulary, target: Vocabulary) -> Validation:
        if config.model["encoder"]["kind"] == "none":
            perplexity = ValidationPerplexity(say)
            return Validation(perplexity, perplexity.metrics)
        callback = ValidationBleu(
            split["source"][:], split["references"][:], (source, target), decoding, say
        )
        return Validation(callback, callback.metrics)

    def risk(target: Vocabulary) -> Risk:
        def drawn(model: "Seq2Seq", batch: Batch, count: int) -> list[list[list[int]]]:
            return Engine(model).sample(batch, config.decoding, count)

        def reward(translations: Sequence[list[int]], reference: list[int]) -> list[float]:
            *texts, right = target.decode([*translations, reference])
            return [metrics.sentence_bleu(text, right) / 100 for text in texts]

        return Risk(drawn, reward)

    folder = train(config, validation, risk, say, fresh, init_from)
    if processes.rank() > 0:
        return folder
    history = read_json(folder / checkpoint.METRICS)["history"]
    try:
        plot_curves(history, folder / "curves.png")
    except UserError as error:  # pictures are an extra
        say(str(error))
    return folder


def train_seeds(
    config: Config, seeds: int, say: Say, fresh: bool, init_from: Path | None
) -> list[Path]:
    """Trains a run for each seed; tells how far apart they are: a smaller gain is none."""
    folders = []
    for seed in range(config.training.seed, config.training.seed + seeds):
        folder = f"{Path(config.training.folder)}-seed-{seed}"
        training = replace(config.training, seed=seed, folder=folder)
        folders.append(run_training(replace(config, training=training), say, fresh, init_from))
    best = [read_json(folder / checkpoint.METRICS)["validation"] for folder in folders]
    names, found = zip(*map(checkpoint.quality, best), strict=True)
    say(
        f"{seeds} seeds: best validation {names[0]} {mean(found):.2f}, standard deviation "
        f"{stdev(found):.2f} ({', '.join(f'{value:.2f}' for value in found)})"
    )
    return folders


def run_evaluation(arguments: Namespace, show: Say, say: Say) -> None:
    """Translates where there is a model, scores, compares, prints and writes reports."""
    _check_evaluation(arguments)
    hypotheses = {str(path): read_texts(path) for path in arguments.hyp or []}
    sources, references = _test_set(arguments)
    translators = {}
    for name, folders in _systems(arguments).items():
        assert sources is not None
        translator = Translator.load(
            *folders, device=arguments.device, precision=arguments.precision, say=say
        )
        translator.expect_source()
        say(f"translating {len(sources):,} sentences with {name}")
        with tqdm(total=len(sources), unit=" sentences", disable=None) as bar:
            found = translator.translate(
                sources,
                beam_size=arguments.beam_size,
                length_penalty=arguments.length_penalty,
                progress=bar.update,
            )
        translators[name] = translator
        hypotheses[name] = [one.text for one in found]
    systems = metrics.compare(
        hypotheses, references, lowercase=arguments.lowercase, tokenize=arguments.tokenize
    )
    _show(systems, show)
    for name in hypotheses:
        folder = _report_folder(arguments.report, list(hypotheses), name, name in translators)
        if folder:
            examples = report.examples_of(sources, references, hypotheses[name])
            align = _aligner(translators[name]) if name in translators else None
            report.write_report(folder, name, systems[name], examples, align)
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
    if arguments.tokenize not in BLEU.TOKENIZERS:
        raise UserError(
            f"--tokenize: expected one of {', '.join(BLEU.TOKENIZERS)}, "
            f"found {arguments.tokenize!r}"
        )
    try:
        BLEU(tokenize=arguments.tokenize)
    except (RuntimeError, ImportError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"--tokenize {arguments.tokenize}: {reason}") from None


def _systems(arguments: Namespace) -> dict[str, list[Path]]:
    """What is to translate, by name: each run by itself, or all as one."""
    if arguments.ensemble:
        return {ENSEMBLE: arguments.runs} if arguments.runs else {}
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
    """Sources, if there are any, and references: of the named files or of the run's own data."""
    if arguments.ref:
        if arguments.src is None:
            return None, list(zip(*read_parallel(*arguments.ref), strict=True))
        *texts, sources = read_parallel(*arguments.ref, arguments.src)
        return sources, list(zip(*texts, strict=True))
    return _own_test_set(arguments.runs)


def _own_test_set(runs: Sequence[Path]) -> tuple[list[str], References]:
    test = _own_data(runs)["test"]
    return test["source"][:], test["references"][:]


def _own_data(runs: Sequence[Path]) -> "DatasetDict":
    """The data set that all these runs were trained on."""
    from nmt.data.datamodule import open_dataset

    found = set()
    for run in runs:
        manifest = checkpoint.read_manifest(run)
        config = checkpoint.read_config(run)
        found.add((config.data.folder, manifest["data_hash"]))
    if len(found) > 1:
        raise UserError(
            "these runs were trained on different data: name a test set by --src, --ref"
        )
    folder, data_hash = found.pop()
    dataset = open_dataset(Path(folder))
    if read_json(Path(folder) / checkpoint.MANIFEST)["data_hash"] != data_hash:
        raise UserError(
            f"{folder}: its data has changed since {runs[0]} was trained, so its test split may "
            "hold sentences that the run has learnt; name a test set by --src and --ref"
        )
    return dataset


def run_export(arguments: Namespace, say: Say) -> None:
    """Writes a bundle; a shortlist needs the run's own training data."""
    from nmt.decoding.export import check_export, export

    run = checkpoint.load_run(arguments.run)
    check_export(arguments.output, run, arguments.shortlist)
    batches = _training_batches(arguments.run, say) if arguments.shortlist else []
    export(
        run,
        arguments.output,
        int8=arguments.int8,
        shortlist=arguments.shortlist,
        batches=tqdm(batches, desc="shortlist", unit=" batches", disable=None),
    )
    files = sorted(arguments.output.iterdir())
    size = sum(file.stat().st_size for file in files)
    say(f"exported {arguments.output}: {len(files)} files, {size / 1e6:.1f} MB")


def _training_batches(run: Path, say: Say) -> Iterable[Batch]:
    from nmt.data.datamodule import TranslationData, encoded_for

    folder = Path(checkpoint.read_config(run).data.folder)
    dataset = encoded_for(run, folder, _own_data([run]), say)
    return TranslationData(dataset, SHORTLIST_BATCH_TOKENS, seed=1).train_dataloader()


def _report_folder(given: Path | None, names: list[str], name: str, is_run: bool) -> Path | None:
    if given:
        if len(names) == 1:
            return given
        # Two systems may have the same base name: the report of the second gets a number.
        same = [other for other in names if Path(other).name == Path(name).name]
        number = same.index(name)
        return given / (Path(name).name + (f"-{number + 1}" if number else ""))
    return Path(name) / "evaluation" if is_run and name != ENSEMBLE else None


def _aligner(translator: Translator) -> report.Align:
    return lambda sources: [one.alignment for one in translator.translate(sources, alignments=True)]


def describe(folder: Path) -> Iterator[str]:
    """What a run's folder holds, line by line."""
    run = checkpoint.load_run(folder)
    manifest: dict[str, Any] = run.manifest
    best = read_json(folder / checkpoint.METRICS)["validation"]
    finished = manifest.get("finished")
    yield f"run           {folder}"
    yield f"languages     {' -> '.join(manifest['languages'])}"
    yield f"parameters    {manifest['parameters']:,}"
    yield f"vocabularies  {len(run.source):,} source, {len(run.target):,} target"
    signature = f" ({best['signature']})" if "signature" in best else ""
    name, value = checkpoint.quality(best)
    yield f"validation    {name} {value:.2f}{signature}"
    yield f"              at update {best['step']:,}, loss {best['loss']:.3f} nats a token"
    yield f"training      {'finished' if finished else 'not finished: train again to resume'}"
    yield f"choices       {', '.join(f'{k} {v}' for k, v in manifest['choices'].items())}"
    yield f"versions      {', '.join(f'{k} {v}' for k, v in manifest['versions'].items())}"
    yield f"data          {manifest['data_hash'][:16]}... ({run.config.data.folder})"
    for name, digest in manifest["files"].items():
        size = (folder / name).stat().st_size
        yield f"file          {name}, {size:,} bytes, sha256 {digest[:16]}..."
