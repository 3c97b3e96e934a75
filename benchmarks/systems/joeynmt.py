"""JoeyNMT 2.3.0 (Kreutzer et al. 2019)."""

import re
from pathlib import Path
from typing import Any

import yaml

from benchmarks.environments import TORCH, Recipe
from benchmarks.systems.contract import Length
from benchmarks.systems.toolkit import Toolkit
from benchmarks.watching import Command

MODEL: dict[str, Any] = {
    "initializer": "xavier_uniform",
    "tied_embeddings": False,
    "tied_softmax": False,
    "encoder": {
        "type": "recurrent",
        "rnn_type": "gru",
        "embeddings": {"embedding_dim": 256, "dropout": 0.2},
        "hidden_size": 256,
        "bidirectional": True,
        "num_layers": 1,
    },
    "decoder": {
        "type": "recurrent",
        "rnn_type": "lstm",
        "embeddings": {"embedding_dim": 256, "dropout": 0.2},
        "hidden_size": 512,
        "num_layers": 1,
        "hidden_dropout": 0.2,
        "attention": "bahdanau",
        "init_hidden": "bridge",
        "input_feeding": True,
    },
}

LEARNING: dict[str, Any] = {
    "loss": "crossentropy",
    "label_smoothing": 0.1,
    "normalization": "tokens",
    "optimizer": "adam",
    "learning_rate": 0.001,
    # A constant rate. It insists on a schedule, and the usual one, plateau, hands torch an argument
    # that torch no longer takes.
    "scheduling": "exponential",
    "decrease_factor": 1.0,
    "clip_grad_norm": 1.0,
    "batch_type": "sentence",
    "overwrite": True,
}


class JoeyNMT(Toolkit):
    """It has no 16 bits on a CPU, and draws its batches without regard to length."""

    name = "joeynmt"
    # It imports importlib_metadata, which it does not ask for; and its tensorboard imports
    # pkg_resources, which newer versions of setuptools no longer have.
    recipe = Recipe(
        steps=[[TORCH, "joeynmt==2.3.0", "importlib_metadata", "setuptools<81"]],
        report=["joeynmt", "torch"],
    )
    progress_line = re.compile(r"Epoch +\d+, Step: +(?P<update>\d+), ")
    parameters_line = re.compile(r"Total params: (\d+)")

    def train(self, mode: str, folder: Path, length: Length) -> Command:
        data = self.bench.data
        side = {"level": "word", "voc_file": str(data.path("vocabulary.txt"))}
        training = LEARNING | {
            "batch_size": self.bench.batch,
            "epochs": length.epochs,
            "logging_freq": length.every,
            "validation_freq": length.every * 10**6,
        }
        if length.updates is not None:
            training["updates"] = length.updates
        settings = {
            "name": "benchmark",
            "model_dir": str(folder.resolve()),
            "use_cuda": False,
            "random_seed": 1,
            "data": {
                "train": str(data.path("train")),
                "dev": str(data.path("validation")),
                "dataset_type": "plain",
                "src": {"lang": "src", **side},
                "trg": {"lang": "tgt", **side},
            },
            "model": MODEL,
            "training": training,
            "testing": {"n_best": 1, "beam_size": 5, "beam_alpha": 1.0, "eval_metrics": []},
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{folder.name}.yaml"
        path.write_text(yaml.safe_dump(settings), encoding="utf-8")
        return self.command([self.python, "-m", "joeynmt", "train", path, "--skip-test"])
