"""Lightning's Trainer as this project uses it: quiet, with saving left to our own callbacks."""

import contextlib
import io
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import CSVLogger, Logger, TensorBoardLogger
from pytorch_lightning.plugins.environments import LightningEnvironment  # type: ignore[attr-defined]
from pytorch_lightning.plugins.io import TorchCheckpointIO
from pytorch_lightning.strategies import DDPStrategy

from nmt import checkpoint, processes
from nmt.config import Training
from nmt.data.datamodule import TranslationData
from nmt.errors import UserError
from nmt.training.module import TranslationModule
from nmt.training.precision import device

UNFITTING = (
    # Batches are read in microseconds: a worker process would only add overhead.
    ".*does not have many workers.*",
    # The length is exact, and the same in every process.
    "Your `IterableDataset` has `__len__` defined.*",
    # The run is short.
    "The number of training batches .* is smaller than the logging interval.*",
    # Every process measures the whole validation set, so all have the same numbers already.
    "It is recommended to use .*sync_dist=True.*",
    # Lightning's own use of torch.
    r"`isinstance\(treespec, LeafSpec\)` is deprecated.*",
)


class Beside(TorchCheckpointIO):
    """Writes a state where it is told to; Lightning would write to the system's folder for
    temporary files first, which may be small, and where a killed run would leave it."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        content = io.BytesIO()
        torch.save(checkpoint, content)
        Path(path).write_bytes(content.getbuffer())


def make_trainer(
    folder: Path, training: Training, precision: str, every: int, callbacks: list[Callback]
) -> pl.Trainer:
    """A Trainer that validates every `every` updates and leaves saving to the callbacks."""
    loggers: list[Logger] = [CSVLogger(folder, name="logs")]
    with contextlib.suppress(ModuleNotFoundError):  # the extra `tensorboard` is not installed
        loggers.append(TensorBoardLogger(folder, name="logs", version=loggers[0].version))
    return pl.Trainer(
        default_root_dir=folder,  # elsewhere Lightning might find a state that is not this run's
        accelerator=device(),
        **_places(),
        precision="bf16-mixed" if precision == "bf16" else "32-true",
        max_epochs=1,  # the data module's one long epoch
        val_check_interval=every,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=1,
        callbacks=callbacks,
        logger=loggers,
        log_every_n_steps=training.log_every,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
    )


def _places() -> dict[str, Any]:
    """The Trainer's arguments on devices and processes, one device per process."""
    if (world := processes.world()) == 1:
        # Within a cluster job of several tasks, Lightning would take this for one of them.
        return {"devices": 1, "plugins": [LightningEnvironment(), Beside()]}
    here = processes.local_world()
    if world % here:
        raise UserError(
            f"torchrun: expected as many processes on each machine, found {here} here and "
            f"{world - here} on others; give each the same --nproc-per-node"
        )
    if device() == "cuda" and here > torch.cuda.device_count():
        raise UserError(
            f"training.processes: expected at most {torch.cuda.device_count()}, one for each CUDA "
            f"device of this machine, found {here}"
        )
    # If this is unset, Lightning chooses the number of threads itself.
    os.environ.setdefault("OMP_NUM_THREADS", str(torch.get_num_threads()))
    return {
        "devices": here,
        "num_nodes": world // here,
        # Not that any is unused: but otherwise DDP lays the gradients out anew after its first
        # update, and three processes or more add them up in another order after a resume.
        "strategy": DDPStrategy(find_unused_parameters=True),
        "plugins": [Beside()],
        "use_distributed_sampler": False,  # the batches are split already
    }


def rehearse(module: TranslationModule, data: TranslationData, folder: Path) -> None:
    """Fails now rather than in an hour: the widest batch forward and backward, one save, one load.

    Raises:
        UserError: the loss is not finite, or the folder cannot be written to.
    """
    module.to(device())
    loss = module.rehearsal(data.widest_batch().to(module.device))
    if not torch.isfinite(loss):
        raise UserError(
            f"model: expected a finite loss before training, found {loss.item()}; try a smaller "
            "model.embedding_scale, or training.precision: fp32"
        )
    loss.backward()  # type: ignore[no-untyped-call]
    module.zero_grad()
    try:
        with tempfile.TemporaryDirectory(".partial", ".rehearsal-", folder) as name:
            checkpoint.write_weights(Path(name), module.model)
            with torch.no_grad():
                checkpoint.load_weights(module.model, Path(name) / checkpoint.WEIGHTS)
    except OSError as error:
        raise UserError(f"{folder}: cannot write a model here ({error})") from None


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps Lightning's banners, and warnings that do not apply to this loop, off the screen."""
    logger = logging.getLogger("pytorch_lightning")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for message in UNFITTING:
                warnings.filterwarnings("ignore", message)
            yield
    finally:
        logger.setLevel(level)
