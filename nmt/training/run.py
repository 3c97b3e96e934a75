"""One training run from checked settings to a finished folder: fresh, resumed or fine-tuned."""

import dataclasses
import logging
import shutil
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, EarlyStopping
from pytorch_lightning.loggers import CSVLogger, Logger, TensorBoardLogger

from nmt import checkpoint
from nmt.config import Config
from nmt.data.datamodule import TranslationData, lengths_of, open_dataset, reencode
from nmt.errors import UserError
from nmt.files import read_json, sha256
from nmt.model.seq2seq import Seq2Seq
from nmt.training.callbacks import RunFolder, ThroughputBar, averaging
from nmt.training.module import TranslationModule
from nmt.training.precision import choose_precision
from nmt.training.resumption import already_finished, facts_to_resume
from nmt.vocab import Vocabulary, load_vocabularies, tokenizer_files


@dataclass(frozen=True)
class Validation:
    """What the caller wires in, so that training knows nothing of decoding.

    Args:
        callback: measures BLEU after each validation and logs it as `val_bleu`.
        metrics: the metrics of the last validation, "bleu" among them.
    """

    callback: Callback
    metrics: Callable[[], dict[str, Any]]


MakeValidation = Callable[[datasets.Dataset, Vocabulary, Vocabulary], Validation]
Say = Callable[[str], None]


def train(
    config: Config,
    make_validation: MakeValidation,
    say: Say,
    fresh: bool = False,
    init_from: Path | None = None,
) -> Path:
    """Trains, or resumes training, until the settings say that it is enough.

    Args:
        config: checked settings.
        make_validation: builds the validation from the Arrow validation split and the source and
            target vocabularies.
        say: takes each line for the user.
        fresh: drop what the run's folder holds and start over.
        init_from: a run whose weights, tokenizer and architecture to start from.

    Returns:
        The run's folder.

    Raises:
        UserError: no prepared data, or a folder whose run does not fit the settings.
    """
    folder, prepared = Path(config.training.folder), Path(config.data.folder)
    dataset = open_dataset(prepared)
    data_hash = read_json(prepared / checkpoint.MANIFEST)["data_hash"]
    parent = checkpoint.load_run(init_from) if init_from else None
    if parent:
        config = dataclasses.replace(config, model=parent.config.model)
    if fresh and folder.exists():
        shutil.rmtree(folder)
    facts = facts_to_resume(folder, config, data_hash)
    if facts is None:
        _start_folder(folder, parent.folder if parent else prepared)
    source, target = load_vocabularies(folder)
    if _digests(folder) != _digests(prepared):
        say(f"encoding {prepared} anew with the tokenizer of the run")
        dataset = reencode(dataset, source, target)
    data = TranslationData(dataset, config.training.batch_tokens, config.training.seed)
    every, data.steps = _steps(config, len(data.plan))
    done = already_finished(facts, config, data.steps) if facts else None
    if done:
        say(f"{folder}: this run is finished: {done}; --fresh starts over")
        return folder
    torch.manual_seed(config.training.seed)
    model = checkpoint.build_model(config, source, target)
    if parent and facts is None:
        model.load_state_dict(parent.model.state_dict())
    checkpoint.write_config(folder, config)
    resumed = facts is not None
    if facts is None:
        facts = _new_facts(config, dataset, data_hash, model, parent)
    validation = make_validation(dataset["validation"], source, target)
    _fit(
        config,
        model,
        data,
        every,
        RunFolder(folder, facts, validation.metrics),
        validation,
        say,
        resumed,
    )
    return folder


def _start_folder(folder: Path, origin: Path) -> None:
    """An empty run with its own copy of the tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in tokenizer_files(origin):
        shutil.copyfile(file, folder / file.name)


def _digests(folder: Path) -> list[str]:
    return [sha256(file) for file in tokenizer_files(folder)]


def _steps(config: Config, epoch: int) -> tuple[int, int]:
    """(updates between validations, updates in all), the latter a multiple of the former."""
    training = config.training
    wanted = training.max_epochs * epoch
    if training.max_steps is not None:
        wanted = min(wanted, training.max_steps)
    every = min(training.validate_every or epoch, wanted)
    return every, -(-wanted // every) * every


def _new_facts(
    config: Config,
    dataset: datasets.DatasetDict,
    data_hash: str,
    model: Seq2Seq,
    parent: checkpoint.Run | None,
) -> dict[str, Any]:
    """What is decided once, at the start of a run, and kept in its manifest."""
    threads = config.training.threads or torch.get_num_threads()
    torch.set_num_threads(threads)
    return {
        "languages": [config.data.source_language, config.data.target_language],
        "data_hash": data_hash,
        "parent": parent.manifest["files"][checkpoint.WEIGHTS] if parent else None,
        "parameters": model.parameters_count(),
        "max_source_length": int(lengths_of(dataset["train"], "source_ids").max()),
        "choices": {
            "precision": choose_precision(config.training.precision, _device()),
            "threads": threads,
        },
    }


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _fit(
    config: Config,
    model: Seq2Seq,
    data: TranslationData,
    every: int,
    run: RunFolder,
    validation: Validation,
    say: Say,
    resumed: bool,
) -> None:
    training, choices = config.training, run.facts["choices"]
    torch.set_num_threads(choices["threads"])
    module = TranslationModule(model, training, data.steps)
    _rehearse(module, data, run.folder)
    say(
        f"{'resuming' if resumed else 'training'} {run.folder}: "
        f"{run.facts['parameters']:,} parameters, {choices['precision']}, "
        f"{choices['threads']} threads on {_device()}; {len(data.dataset['train']):,} pairs, "
        f"{len(data.plan)} updates an epoch, {data.steps} in all, validation every {every}; "
        f"{model.paths()}"
    )
    # The order matters: BLEU and the saved weights want the average, which the averaging
    # callback takes out of the model at the end of a validation.
    callbacks = [
        validation.callback,
        run,
        *averaging(training.average_decay),
        EarlyStopping("val_bleu", mode="max", patience=training.patience),
        ThroughputBar(),
    ]
    with _quiet():
        trainer = _trainer(config, choices["precision"], every, callbacks, run.folder)
        last = str(run.folder / checkpoint.LAST) if resumed else None
        trainer.fit(module, datamodule=data, ckpt_path=last, weights_only=True)
    if trainer.interrupted:
        raise KeyboardInterrupt
    step = trainer.global_step
    run.write(finished={"step": step, "steps": data.steps, "patience": training.patience})
    why = "all updates are done" if step >= data.steps else "BLEU has stopped rising"
    say(
        f"finished after {step} updates: {why}; best validation BLEU {run.best['bleu']:.2f} "
        f"at update {run.best['step']}"
    )


def _trainer(
    config: Config, precision: str, every: int, callbacks: list[Callback], folder: Path
) -> pl.Trainer:
    loggers: list[Logger] = [CSVLogger(folder, name="logs")]
    try:
        loggers.append(TensorBoardLogger(folder, name="logs", version=loggers[0].version))
    except ModuleNotFoundError:  # the extra `tensorboard` is not installed
        pass
    return pl.Trainer(
        accelerator=_device(),
        devices=1,
        precision="bf16-mixed" if precision == "bf16" else "32-true",
        max_epochs=1,  # the data module's one long epoch
        val_check_interval=every,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=1,
        gradient_clip_val=config.training.clip_norm or None,
        callbacks=callbacks,
        logger=loggers,
        log_every_n_steps=config.training.log_every,
        enable_checkpointing=False,
        enable_model_summary=False,
    )


def _rehearse(module: TranslationModule, data: TranslationData, folder: Path) -> None:
    """Fails now rather than in an hour: the widest batch forward and backward, one save, one load.

    Raises:
        UserError: the folder cannot be written to.
    """
    loss, _, _ = module.loss(data.widest_batch(), smoothing=0.1)
    if not torch.isfinite(loss):
        raise UserError(f"model: the loss of the untrained model is {loss.item()}")
    loss.backward()  # type: ignore[no-untyped-call]
    module.zero_grad()
    try:
        with tempfile.TemporaryDirectory(dir=folder) as name:
            checkpoint.write_weights(Path(name), module.model)
            with torch.no_grad():
                checkpoint.load_weights(module.model, Path(name) / checkpoint.WEIGHTS)
    except OSError as error:
        raise UserError(f"{folder}: cannot write a model here ({error})") from None


class _quiet:
    """Keeps Lightning's banners, and warnings that do not apply to this loop, off the screen."""

    def __enter__(self) -> None:
        self._logger = logging.getLogger("pytorch_lightning")
        self._level = self._logger.level
        self._logger.setLevel(logging.ERROR)
        self._warnings = warnings.catch_warnings()
        self._warnings.__enter__()
        warnings.filterwarnings("ignore", ".*does not have many workers.*")

    def __exit__(self, *error: Any) -> None:
        self._logger.setLevel(self._level)
        self._warnings.__exit__(*error)
