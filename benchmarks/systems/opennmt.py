"""OpenNMT-py 3.5.1 (Klein et al. 2017)."""

import re
from pathlib import Path

import yaml

from benchmarks.environments import TORCH, Recipe
from benchmarks.systems.contract import Length
from benchmarks.systems.toolkit import Toolkit
from benchmarks.watching import Command

MODEL = {
    "encoder_type": "brnn",
    "decoder_type": "rnn",
    "rnn_type": "LSTM",
    "word_vec_size": 256,
    "hidden_size": 512,  # both directions of the encoder together
    "layers": 1,
    "global_attention": "mlp",
    "input_feed": 1,
    "dropout": [0.2],
}
LEARNING = {
    "label_smoothing": 0.1,
    "optim": "adam",
    "learning_rate": 0.001,
    "max_grad_norm": 1.0,
    "batch_type": "sents",
    "normalization": "tokens",
    "num_workers": 0,  # data are read in the same process, for the threads are counted
    "valid_steps": 10**9,
    "seed": 1,
}


class OpenNMT(Toolkit):
    """Its mixed precision is for GPUs alone."""

    name = "opennmt"
    note = "its encoder is an LSTM, for it must have the decoder's kind of state"
    # It asks for torch below 2.3, and for spacy and fasttext, which it imports for filters that
    # are not used here and which take long to build.
    recipe = Recipe(
        steps=[
            [TORCH, "configargparse", "pyonmttok>=1.37,<2", "pyyaml", "sacrebleu", "rapidfuzz"],
            ["pyahocorasick", "six", "tensorboard", "setuptools<81"],
            ["--no-deps", "OpenNMT-py==3.5.1"],
        ],
        stand_ins=["spacy", "fasttext"],
        report=["OpenNMT-py", "torch"],
    )
    progress_line = re.compile(r"Step +(?P<update>\d+)/ *\d+; .* bsz: +\d+/ *(?P<mean>\d+)/")
    parameters_line = re.compile(r"\* number of parameters: (\d+)")

    def train(self, mode: str, folder: Path, length: Length) -> Command:
        bench = self.bench
        updates = length.updates or length.epochs * bench.updates_an_epoch
        corpora = {
            name: {
                "path_src": str(bench.data.path(f"{split}.src")),
                "path_tgt": str(bench.data.path(f"{split}.tgt")),
            }
            for name, split in (("corpus", "train"), ("valid", "validation"))
        }
        settings = {
            "data": corpora,
            "src_vocab": str(bench.data.path("vocabulary.txt")),
            "share_vocab": True,
            "save_model": str(folder.resolve() / "model"),
            "overwrite": True,
            **MODEL,
            **LEARNING,
            "batch_size": bench.batch,
            "valid_batch_size": bench.batch,
            # One pass over the data is one bucket, which is sorted by length.
            "bucket_size": bench.data.pairs,
            "train_steps": updates,
            "save_checkpoint_steps": updates,
            "report_every": length.every,
        }
        folder.mkdir(parents=True, exist_ok=True)
        path = folder.resolve() / "config.yaml"
        path.write_text(yaml.safe_dump(settings), encoding="utf-8")
        return self.command([self.python.with_name("onmt_train"), "-config", path])

    def loaded(self, folder: Path) -> Path:
        return max(folder.resolve().glob("model_step_*.pt"), key=lambda path: path.stat().st_mtime)
