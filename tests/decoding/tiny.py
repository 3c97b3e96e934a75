"""A tiny, untrained translator: its translations are nonsense, but always the same nonsense."""

import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer

from nmt import checkpoint, config
from nmt.config import Decoding
from nmt.decoding.translator import Translator
from nmt.model.seq2seq import Seq2Seq
from nmt.vocab import EOS, JOINT, RESERVED, Vocabulary

SENTENCES = (
    "the cat sat on the mat",
    "a dog",
    "where is the nearest station, please?",
    "I do not know.",
    "café über 東京 🦜",
    "no",
    "she said that the train had left an hour ago and that we should wait for the next one",
)

CONFIG = config.from_dict(
    {
        "data": {
            "folder": "data/tiny",
            "source_language": "xx",
            "target_language": "yy",
            "corpus": {"kind": "files", "train": ["train.tsv"]},
        },
        "model": {
            "embedding_size": 16,
            "encoder": {"kind": "recurrent", "hidden_size": 16},
            "decoder": {"hidden_size": 24},
            "tie_embeddings": "none",
        },
        "training": {"folder": "checkpoints/tiny"},
        "decoding": {"beam_size": 3},
    },
    "tiny.yaml",
)


def byte_level(size: int = 300) -> Tokenizer:
    """A byte-level BPE trained on a few sentences; text can reach no reserved id."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = BpeTrainer(
        vocab_size=size,
        special_tokens=list(RESERVED),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES * 3, trainer)
    return Tokenizer.from_str(json.dumps(json.loads(tokenizer.to_str()) | {"added_tokens": []}))


@cache
def vocabulary() -> Vocabulary:
    with TemporaryDirectory() as folder:
        path = Path(folder) / JOINT
        byte_level().save(str(path))
        return Vocabulary(path)


def save_run(folder: Path, facts: dict[str, Any]) -> None:
    """The tiny translator as a run's folder, with these facts in its manifest."""
    byte_level().save(str(folder / JOINT))
    checkpoint.write_weights(folder, model())
    checkpoint.write_config(folder, CONFIG)
    (folder / checkpoint.METRICS).write_text("{}", encoding="utf-8")
    checkpoint.write_manifest(folder, {"languages": ["xx", "yy"], **facts})


@cache
@torch.inference_mode(False)
def model() -> Seq2Seq:
    """What it says depends on the source and on every word before; most of it comes to an end."""
    torch.manual_seed(2)
    network = checkpoint.build_model(CONFIG, vocabulary(), vocabulary()).eval()
    with torch.no_grad():
        # Not far enough from where training starts to turn rounding errors into chaos.
        for parameter in network.parameters():
            parameter.mul_(3 if parameter.dim() == 2 else 1)
        assert network.output.straight is not None
        network.output.straight.weight.div_(12)  # no tanh bounds it
        network.source_embedding.weight.normal_()
        network.target_embedding.weight.normal_()
        network.output.projection.weight.normal_()
        network.output.projection.bias[EOS] += 5
    return network


def translator(decoding: Decoding | None = None) -> Translator:
    return Translator(model(), vocabulary(), vocabulary(), decoding)
