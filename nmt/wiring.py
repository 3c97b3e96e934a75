"""Tasks that combine training with decoding and evaluation."""

from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from nmt import checkpoint, processes
from nmt.batch import Batch
from nmt.config import Config
from nmt.decoding.engine import Engine
from nmt.errors import Say, UserError
from nmt.evaluation import metrics
from nmt.files import read_json

if TYPE_CHECKING:
    from nmt.model.seq2seq import Seq2Seq
    from nmt.training.pieces import WritePiece

SHORTLIST_BATCH_TOKENS = 4000
"""For a forced pass over the training data, which needs no gradients: batches may be large."""

InPieces = Callable[[Path, Say], "WritePiece"]
"""Opens the corpus of a prepared folder, to be read in pieces."""

NO_SHORTLIST = "leave --shortlist out, which is learnt from it"


def run_training(
    config: Config, in_pieces: InPieces, say: Say, fresh: bool, init_from: Path | None
) -> Path:
    """Trains with validation BLEU (or perplexity) wired in, then plots the curves."""
    import datasets

    from nmt.evaluation.validation import ValidationBleu, validation_perplexity
    from nmt.training.callbacks import Validate
    from nmt.training.risk import Risk
    from nmt.training.run import Hooks, train
    from nmt.vocab import Vocabulary

    decoding = replace(config.decoding, beam_size=config.training.validation_beam)
    tokenize = metrics.tokenizer_for(config.data.target_language)

    def validation(
        model: "Seq2Seq", split: datasets.Dataset, source: Vocabulary, target: Vocabulary
    ) -> Validate:
        if not model.reads_source:
            return partial(validation_perplexity, say)
        texts = split["source"][:], split["references"][:]
        return ValidationBleu(*texts, (source, target), decoding, say, tokenize)

    def risk(target: Vocabulary) -> Risk:
        def drawn(model: "Seq2Seq", batch: Batch, count: int) -> list[list[list[int]]]:
            return Engine(model).sample(batch, config.decoding, count)

        def reward(translations: Sequence[list[int]], reference: list[int]) -> list[float]:
            *texts, right = target.decode([*translations, reference])
            return [metrics.sentence_bleu(text, right, tokenize) / 100 for text in texts]

        return Risk(drawn, reward)

    hooks = Hooks(validation, risk, lambda: in_pieces(Path(config.data.folder), say))
    folder = train(config, hooks, say, fresh, init_from)
    if processes.rank() == 0:
        _draw_curves(folder, say)
    return folder


def _draw_curves(folder: Path, say: Say) -> None:
    from nmt.evaluation.plots import plot_curves

    history = read_json(folder / checkpoint.METRICS)["history"]
    try:
        plot_curves(history, folder / "curves.png")
    except UserError as error:  # plotting needs an optional extra
        say(str(error))


def train_seeds(
    config: Config,
    seeds: int,
    in_pieces: InPieces,
    say: Say,
    fresh: bool,
    init_from: Path | None,
) -> list[Path]:
    """Trains a run per seed and reports their spread; an improvement below it is noise."""
    folders = []
    for seed in range(config.training.seed, config.training.seed + seeds):
        folder = f"{Path(config.training.folder).as_posix()}-seed-{seed}"
        training = replace(config.training, seed=seed, folder=folder)
        one = replace(config, training=training)
        folders.append(run_training(one, in_pieces, say, fresh, init_from))
    best = [read_json(folder / checkpoint.METRICS)["validation"] for folder in folders]
    names, found = zip(*map(checkpoint.quality, best), strict=True)
    say(
        f"{seeds} seeds: best validation {names[0]} {mean(found):.2f}, standard deviation "
        f"{stdev(found):.2f} ({', '.join(f'{value:.2f}' for value in found)})"
    )
    return folders


def run_export(arguments: Namespace, say: Say) -> None:
    """Writes a bundle; a shortlist requires the run's own training data."""
    from nmt.decoding.export import check_export, export

    run = checkpoint.load_run(arguments.run)
    check_export(arguments.output, run, arguments.shortlist)
    batches: Iterable[Batch] = []
    if arguments.shortlist:
        made = _training_batches(arguments.run, say)
        batches = tqdm(made, desc="shortlist", unit=" batches", disable=None)
    export(
        run,
        arguments.output,
        int8=arguments.int8,
        shortlist=arguments.shortlist,
        batches=batches,
    )
    files = sorted(arguments.output.iterdir())
    size = sum(file.stat().st_size for file in files)
    say(f"exported {arguments.output}: {len(files)} files, {size / 1e6:.1f} MB")


def _training_batches(run: Path, say: Say) -> Iterable[Batch]:
    from nmt.data.datamodule import TranslationData
    from nmt.evaluation.origin import training_data_encoded

    dataset = training_data_encoded(run, NO_SHORTLIST, say)
    return TranslationData(dataset, SHORTLIST_BATCH_TOKENS, seed=1).train_dataloader()


def describe(folder: Path) -> Iterator[str]:
    """The contents of a run's folder, line by line."""
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
