"""Marian 1.12.42 (Junczys-Dowmunt et al. 2018), through its package pymarian."""

import json
import re
import shutil
from pathlib import Path

import numpy as np

from benchmarks.environments import Recipe
from benchmarks.systems.contract import Length
from benchmarks.systems.toolkit import Toolkit
from benchmarks.watching import Command, Progress

# Its decoder has two cells around the attention and its readout is as wide as an embedding: at a
# state of 512 it has 15.8 million parameters. A state of 416 brings it to within 3 % of ours.
MODEL = (
    "--type s2s --dim-emb 256 --dim-rnn 416 --enc-type bidirectional --enc-cell gru --enc-depth 1 "
    "--dec-cell lstm --dec-cell-base-depth 2 --dec-depth 1 --dropout-rnn 0.2"
)
LEARNING = (
    "--optimizer adam --learn-rate 0.001 --clip-norm 1 --label-smoothing 0.1 "
    "--cost-type ce-mean-words --max-length 1000 --maxi-batch 1000 --mini-batch-round-up=false "
    "--sync-sgd --overwrite --no-reload --seed 1"
)


class Marian(Toolkit):
    """Its 16 bits in training are for GPUs alone."""

    name = "marian"
    note = "two cells in the decoder, of 416 instead of 512, and a readout of 256 instead of 512"
    recipe = Recipe(steps=[["pymarian==1.12.42"]], report=["pymarian"])
    progress_line = re.compile(r" : Up\. (\d+) : .* : Time ([\d.]+)s : ([\d.]+) words/s")
    model = "model.npz"
    dictionary = "vocabulary.yml"

    def make_data(self) -> None:
        names = ["</s>", "<unk>", *self.bench.data.pieces()]
        lines = [f"{json.dumps(name, ensure_ascii=False)}: {i}\n" for i, name in enumerate(names)]
        (self.folder / self.dictionary).write_text("".join(lines), encoding="utf-8")

    def train(self, mode: str, folder: Path, length: Length) -> Command:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        bench, data = self.bench, self.bench.data
        words: list[str | Path] = [self.python, "-m", "pymarian", "train", *MODEL.split()]
        words += [*LEARNING.split(), "--model", folder.resolve() / self.model]
        words += ["--train-sets", data.path("train.src"), data.path("train.tgt")]
        words += ["--vocabs", self.dictionary, self.dictionary, "--tempdir", folder.resolve()]
        words += ["--cpu-threads", str(bench.threads), "--mini-batch", str(bench.batch)]
        words += ["--disp-freq", f"{length.every}u", "--after-epochs", str(length.epochs)]
        if length.updates is not None:
            words += ["--after-batches", str(length.updates)]
        return self.command(words)

    def progress(self, line: str) -> Progress | None:
        found = self.progress_line.search(line)
        if found is None:
            return None
        # Its words are those of the target and the end marks, since the line before.
        return Progress(int(found[1]), since=float(found[2]) * float(found[3]))

    def parameters(self, folder: Path, log: str) -> int:
        with np.load(folder / self.model) as arrays:
            sizes = [arrays[name].size for name in arrays.files if not name.startswith("special:")]
        return int(sum(sizes))
