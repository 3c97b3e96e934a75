"""One training run from checked settings to a finished folder: fresh, resumed or fine-tuned."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from math import inf
from pathlib import Path
from typing import Any

import datasets
import torch

from nmt import checkpoint, options, processes
from nmt.config import Config
from nmt.data.datamodule import TranslationData, encoded_for, open_dataset
from nmt.data.shortening import shortened
from nmt.errors import Say, UserError
from nmt.files import alone, errors_named
from nmt.model.seq2seq import TWO_VOCABULARIES, Seq2Seq
from nmt.training.callbacks import Progress, RunFolder, Validate, averaging
from nmt.training.folder import begin, check_folder, clear_partial, put_aside, settle
from nmt.training.footprint import GB, free_for_batches, plan_batches
from nmt.training.module import TranslationModule
from nmt.training.objectives import OBJECTIVES, MinimumRisk
from nmt.training.pieces import OpenCorpus, clear_pieces, memory_beside, pieces
from nmt.training.precision import device
from nmt.training.resumption import (
    Origin,
    already_finished,
    check_objective,
    check_prepared,
    expect_same_data,
    expect_shared,
    facts_to_resume,
    layout_of,
    new_facts,
    other_machine,
    other_processes,
    with_inherited_model,
    with_new_decoding,
)
from nmt.training.risk import Risk
from nmt.training.states import SavedState, Signals, exits, newest_state
from nmt.training.trainer import make_trainer, quiet, rehearse
from nmt.vocab import Vocabulary, load_vocabularies

GO_ON = (
    "a higher limit (training.max_steps and max_epochs, or patience) continues it, --fresh starts "
    "over"
)
"""What can be done with a run that is finished."""


@dataclass(frozen=True)
class Hooks:
    """What training is given, because it knows neither decoding nor raw corpora.

    Args:
        validate: builds the validation from the model being trained, the Arrow validation split and
            the source and target vocabularies.
        risk: builds the sampler and the reward of `objective: risk` from the target vocabulary.
        open_corpus: opens the corpus of `data.folder`, if it is read in pieces.
    """

    validate: Callable[[Seq2Seq, datasets.Dataset, Vocabulary, Vocabulary], Validate]
    risk: Callable[[Vocabulary], Risk]
    open_corpus: OpenCorpus


def train(
    config: Config, hooks: Hooks, say: Say, fresh: bool = False, init_from: Path | None = None
) -> Path:
    """Trains, or resumes training, until the limits in the settings are reached.

    Args:
        config: checked settings.
        hooks: what is done with parts that training does not know.
        say: prints a line for the user.
        fresh: delete the run in the folder and start over.
        init_from: a run to take weights, tokenizer and architecture from.

    Returns:
        The run's folder.

    Raises:
        UserError: no prepared data, or a folder whose run does not fit the settings.
    """
    folder, prepared = Path(config.training.folder), Path(config.data.folder)
    check_folder(folder, prepared, init_from)
    dataset = open_dataset(prepared)
    waiting = f"{folder}: another process is training in it; waiting"
    with alone(folder, lambda: say(waiting), processes.from_first):
        processes.from_first(lambda: settle(folder))  # of a session that was killed
        try:
            return _trained(config, dataset, hooks, say, fresh=fresh, init_from=init_from)
        except BaseException:
            if processes.rank() == 0:
                with suppress(OSError):  # data still mapped (Windows): the next session does it
                    settle(folder)
            raise
        finally:
            clear_pieces(folder)


def _trained(
    config: Config,
    dataset: datasets.DatasetDict,
    hooks: Hooks,
    say: Say,
    *,
    fresh: bool,
    init_from: Path | None,
) -> Path:
    folder, prepared = Path(config.training.folder), Path(config.data.folder)
    check_objective(config, init_from, fresh)
    origin = check_prepared(prepared, config, say)
    expect_same_data(origin["data_hash"], prepared)
    parent = checkpoint.load_run(init_from, trainable=True) if init_from else None
    config = with_inherited_model(config, parent, fresh, say)
    _expect_possible(config, parent.folder if parent else prepared)
    state, facts = processes.from_first(lambda: _open(config, origin, parent, say, fresh))
    expect_shared(folder)
    # Before the weights are made: the last digits of orthogonal ones depend on it. `new_facts`
    # measures the precisions with these threads.
    torch.set_num_threads((facts["choices"] if facts else layout_of(config))["threads"])
    source, target = load_vocabularies(folder)
    model = _make_model(config, source, target, parent)
    data = _data(config, encoded_for(folder, prepared, dataset, say), model, facts, say)
    if facts and data.is_cut:  # a GPU may have less room now than when the run began
        facts["choices"]["memory"] = data.plan.room.size
    every, data.steps = _steps(config, len(data.plan))
    done = already_finished(facts, config, data.steps) if facts else None
    if facts and done:
        say(f"{folder}: this run is finished: {done}; {GO_ON}")
        with_new_decoding(config, say)
        return folder
    if config.data.piece:
        data.make_piece = pieces(hooks.open_corpus, data.dataset, config.training, say)
    if facts is None:
        facts = processes.from_first(lambda: new_facts(config, data, origin, model, parent))
    facts.pop("finished", None)
    if processes.rank() == 0:
        checkpoint.write_config(folder, config)
        checkpoint.write_manifest(folder, facts)
    validate = hooks.validate(model, data.dataset["validation"], source, target)
    run = RunFolder(folder, facts, validate, config.training.patience)
    objective = options.build(OBJECTIVES, config.training.objective)
    risk = hooks.risk(target) if isinstance(objective, MinimumRisk) else None
    try:
        _fit(_Prepared(config, model, data, every, run, risk, state), say)
    except torch.OutOfMemoryError:
        raise run.overflowed(data.plan.bytes_of(data.plan.widest)) from None
    return folder


@dataclass(frozen=True)
class _Prepared:
    """All that `_fit` needs; it validates every `every` updates and resumes a `state` if any."""

    config: Config
    model: Seq2Seq
    data: TranslationData
    every: int
    run: RunFolder
    risk: Risk | None
    state: Path | None


def _open(
    config: Config, origin: Origin, parent: checkpoint.Run | None, say: Say, fresh: bool
) -> tuple[Path | None, dict[str, Any] | None]:
    """The state and facts of the run in the folder; without one, prepares it for a new run."""
    folder = Path(config.training.folder)
    if fresh:
        put_aside(folder)
    clear_partial(folder)
    state = newest_state(folder, say)
    facts = facts_to_resume(folder, state, config, origin, parent)
    if facts is None:
        begin(folder, parent.folder if parent else Path(config.data.folder), config)
        return state, None
    if difference := other_machine(facts):
        say(f"{folder}: {difference}")
    if difference := other_processes(facts):
        say(f"{folder}: {difference}")
        facts["choices"] |= layout_of(config)
    return state, facts


def _data(
    config: Config,
    dataset: datasets.DatasetDict,
    model: Seq2Seq,
    facts: dict[str, Any] | None,
    say: Say,
) -> TranslationData:
    """The data in batches that fit into memory, as available now or when the run began."""
    training = config.training
    if training.max_length:
        dataset = shortened(
            dataset, training.max_length, training.longer, say, Path(training.folder)
        )
    module = TranslationModule(model, training, steps=1)
    [free] = processes.all_min(free_for_batches(module))
    free -= memory_beside(free, config.data.piece)
    # A batch that was not cut when the run began is not cut now: the batches stay the same.
    size = (facts["choices"].get("memory") or inf) if facts else free
    data = plan_batches(module, dataset, training, size, max(size, free))
    plan = data.plan
    more, needed = len(plan) - plan.wished, plan.bytes_of(plan.widest)
    if more:
        say(f"{more:,} more batches an epoch, so that none takes over {size / GB:.1f} GB of memory")
    if needed > free:
        say(
            f"a batch takes about {needed / GB:.1f} GB of memory, and {free / GB:.1f} GB are free: "
            "the system may end this run, which then goes on where there is more"
        )
    return data


def _expect_possible(config: Config, vocabularies: Path) -> None:
    """Tries the settings on a model without content, before an old run is deleted for a new one.

    Raises:
        UserError: they contradict one another or the vocabularies, or need more memory than there
            is.
    """
    source, target = load_vocabularies(vocabularies)
    if config.model.get("tie_embeddings") == "all" and source != target:
        raise UserError(f"model.{TWO_VOCABULARIES}")
    try:
        with torch.device("meta"):
            model = checkpoint.build_model(config, source, target)
    except RuntimeError as error:  # the sizes overflow
        raise UserError(f"model: {error}; choose smaller sizes") from None
    free_for_batches(TranslationModule(model, config.training, steps=1))


def _make_model(
    config: Config, source: Vocabulary, target: Vocabulary, parent: checkpoint.Run | None
) -> Seq2Seq:
    torch.manual_seed(config.training.seed)
    model = checkpoint.build_model(config, source, target)
    if parent:
        model.load_state_dict(parent.model.state_dict())
    return model


def _steps(config: Config, epoch: int) -> tuple[int, int]:
    """(updates between validations, updates in all), the latter a multiple of the former."""
    training = config.training
    wanted = training.max_epochs * epoch
    if training.max_steps is not None:
        wanted = min(wanted, training.max_steps)
    every = min(training.validate_every or epoch, wanted)
    return every, -(-wanted // every) * every


def _fit(job: _Prepared, say: Say) -> None:
    training, run, steps = job.config.training, job.run, job.data.steps
    choices = run.facts["choices"]
    module = TranslationModule(job.model, training, steps, job.risk)
    rehearse(module, job.data, run.folder)
    world = processes.world()
    in_each = f" in each of {world} processes" if world > 1 else ""
    say(
        f"{'resuming' if job.state else 'training'} {run.folder}: "
        f"{run.facts['parameters']:,} parameters, {choices['precision']}, "
        f"{choices['threads']} threads on {device()}{in_each}; "
        f"{len(job.data.dataset['train']):,} pairs, "
        f"{len(job.data.plan):,} updates an epoch, {steps:,} in all, "
        f"validation every {job.every:,}; {job.model.paths()}"
    )
    # The order matters: BLEU and the saved weights need the average, which the averaging callback
    # takes out of the model at the end of a validation; and the saved state must include the
    # metrics of this validation, and this update's average.
    callbacks = [
        run,
        *averaging(training.average_decay),
        SavedState(run.folder, job.every, Signals(), partial(settle, run.folder)),
        Progress(steps, say),
    ]
    with quiet(), exits(), errors_named(run.folder):
        trainer = make_trainer(run.folder, training, choices["precision"], job.every, callbacks)
        trainer.fit(module, datamodule=job.data, ckpt_path=job.state, weights_only=True)
    step = trainer.global_step
    run.write(finished={"step": step, "steps": steps, "patience": training.patience})
    name, value = checkpoint.quality(run.best)
    still = f"{name} has stopped {'rising' if name == 'BLEU' else 'falling'}"
    why = "all updates are done" if step >= steps else still
    say(
        f"finished after {step:,} updates: {why}; best validation {name} {value:.2f} "
        f"at update {run.best['step']:,}"
    )
