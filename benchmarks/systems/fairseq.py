"""fairseq 0.12.3 (Ott et al. 2019), as packaged for Python 3.11 under the name fairseq-fixed."""

import re
import shutil
from pathlib import Path

from benchmarks.environments import TORCH, Recipe
from benchmarks.systems.contract import Length
from benchmarks.systems.toolkit import Toolkit
from benchmarks.watching import Command, watch

# Its attention has fewer parameters than the others': embeddings of 264, which cost no time to
# speak of, bring it to within 3 % of ours.
MODEL = (
    "--arch lstm --encoder-bidirectional --encoder-layers 1 --encoder-embed-dim 264 "
    "--encoder-hidden-size 256 --decoder-layers 1 --decoder-embed-dim 264 "
    "--decoder-hidden-size 512 --decoder-out-embed-dim 512 --decoder-attention 1 --dropout 0.2"
)
LEARNING = (
    "--task translation --optimizer adam --lr 0.001 --lr-scheduler fixed --clip-norm 1.0 "
    "--criterion label_smoothed_cross_entropy --label-smoothing 0.1 --seed 1 --cpu "
    "--disable-validation --no-epoch-checkpoints --log-format simple"
)


class Fairseq(Toolkit):
    """Its reduced precision is for GPUs alone."""

    name = "fairseq"
    note = "its encoder is an LSTM, its attention bilinear; embeddings of 264 instead of 256"
    # It comes as source: it is built in this environment, with the numpy below 2 that it runs
    # with, instead of in one more with a torch of its own. It imports torchaudio for speech.
    recipe = Recipe(
        steps=[
            [TORCH, "numpy<2", "cython", "setuptools<81", "wheel"],
            ["hydra-core==1.3.2", "omegaconf==2.3.0", "cffi", "regex", "sacrebleu", "tqdm"],
            ["bitarray", "scikit-learn", "packaging", "numpy<2"],
            ["--no-deps", "--no-build-isolation", "fairseq-fixed==0.12.3.1"],
        ],
        stand_ins=["torchaudio"],
        report=["fairseq-fixed", "torch"],
    )
    progress_line = re.compile(r" wpb=(?P<mean>[\d.]+), .*num_updates=(?P<update>\d+),")
    parameters_line = re.compile(r"num\. shared model params: ([\d,]+)")
    dictionary = "data"

    def make_data(self) -> None:
        data = self.bench.data
        names = self.folder / "dictionary.txt"
        names.write_text("".join(f"{piece} 1\n" for piece in data.pieces()), encoding="utf-8")
        shutil.rmtree(self.folder / self.dictionary, ignore_errors=True)
        program: list[str | Path] = [self.python.with_name("fairseq-preprocess")]
        program += ["--source-lang", "src", "--target-lang", "tgt", "--workers", "1"]
        program += ["--joined-dictionary", "--srcdict", names, "--destdir", self.dictionary]
        for option, split in (("train", "train"), ("valid", "validation"), ("test", "test")):
            program += [f"--{option}pref", data.path(split)]
        watch(self.command(program), self.folder / "preprocess.log")

    def train(self, mode: str, folder: Path, length: Length) -> Command:
        shutil.rmtree(folder, ignore_errors=True)  # it would go on with an old training
        words: list[str | Path] = [self.python.with_name("fairseq-train"), self.dictionary]
        words += [*MODEL.split(), *LEARNING.split(), "--batch-size", str(self.bench.batch)]
        words += ["--max-epoch", str(length.epochs), "--log-interval", str(length.every)]
        words += ["--save-dir", folder.resolve()]
        if length.updates is not None:
            words += ["--max-update", str(length.updates)]
        if not length.save:
            words.append("--no-save")
        return self.command(words)
