"""How far back gradients reach, as numbers and as a picture: why gates exist.

A recurrence multiplies the gradient by a Jacobian at every step, so that it vanishes or explodes
with distance (Bengio et al. 1994; Pascanu et al. 2013) unless gates preserve it.
"""

from collections.abc import Mapping, Sequence
from itertools import chain, islice
from pathlib import Path

import torch
from datasets import DatasetDict
from torch import Tensor

from nmt import checkpoint, config
from nmt.data.datamodule import open_dataset
from nmt.errors import Say, UserError
from nmt.evaluation.origin import training_data_encoded
from nmt.evaluation.plots import plot_lines
from nmt.model.encoders import RecurrentEncoder
from nmt.model.seq2seq import Seq2Seq
from nmt.vocab import load_vocabularies

TEXTS = 32
"""Maximum number of texts over which norms are averaged."""

TOLD = (1, 2, 5, 10, 20, 50, 100, 200)
"""Distances shown in the table."""

Norms = dict[str, list[float]]
"""{part of the model: the norm of the gradient at each distance, from 0}."""


def gradient_norms(model: Seq2Seq, source: Tensor, target: Tensor) -> Norms:
    """How strongly the state at the last word depends on the word k positions before it.

    The norm of d (v^T h_L) / d x_(L - k), averaged over the texts, with v random of unit variance.
    h_L is the encoder's state at the last word, or the decoder's last state. Parts of the encoder's
    output that have only read the last word are excluded: the right-to-left direction, and the
    embedding appended by a shortcut.

    Args:
        model: trained or untrained; dropout is switched off.
        source: (B, L) tokens.
        target: (B, L) tokens.
    """
    model.eval()
    found: Norms = {}
    lengths = torch.full((len(source),), source.shape[1], device=source.device)
    if model.source_embedding is not None:
        source_words = model.source_embedding(source).detach().requires_grad_()
        memory = model.encoder(source_words, lengths).memory
        size = memory.shape[2] - model.encoder.words_size
        if isinstance(model.encoder, RecurrentEncoder):
            size = model.encoder.hidden_size
        found["encoder"] = _norms(memory[:, -1, :size], source_words)
    target_words = model.target_embedding(target).detach().requires_grad_()
    features, _ = model.decoder(target_words, model.encode(source, lengths))
    states = features[:, -1, : model.decoder.sizes[0]]
    return {**found, "decoder": _norms(states, target_words)}


def _norms(last: Tensor, words: Tensor) -> list[float]:
    """Gradient norms of outputs (B, F) w.r.t. words (B, L, E): L means, from the last word back."""
    generator = torch.Generator().manual_seed(1)
    direction = torch.randn(last.shape, generator=generator).to(last)
    (gradient,) = torch.autograd.grad((last * direction).sum(), words)
    found: list[float] = gradient.norm(dim=2).mean(dim=0).flip(0).tolist()
    return found


def diagnose(systems: Sequence[Path], length: int, picture: Path, say: Say) -> list[str]:
    """Plots how far gradients reach in trained and untrained models, and returns a table.

    Args:
        systems: folders of trained runs, or YAML files for untrained models.
        length: number of tokens of each text.
        picture: the PNG to write.
        say: receives a message if a run's tokenizer is not that of its data.

    Raises:
        UserError: the picture is a folder, a system is neither a trained run nor a configuration,
            the prepared data is missing or is not what a run was trained on, or matplotlib is not
            installed.
    """
    if picture.is_dir():
        raise UserError(f"--output: expected the name of a picture, found the folder {picture}")
    lines: dict[str, list[float]] = {}
    stems = [system.stem for system in systems]
    for system in systems:
        name = system.stem if stems.count(system.stem) == 1 else str(system)
        model, data = _model(system, say)
        sides = [_texts(data["validation"][ids][:], length) for ids in ("source_ids", "target_ids")]
        rows = min(map(len, sides))  # the target has other tokens, and maybe fewer texts
        for part, norms in gradient_norms(model, *(side[:rows] for side in sides)).items():
            lines[f"{name} {part}"] = norms
    drawn = {name: list(enumerate(norms)) for name, norms in lines.items()}
    plot_lines(drawn, ("distance in tokens", "norm of the gradient"), picture, logarithmic=True)
    return _table(lines, length)


def _model(system: Path, say: Say) -> tuple[Seq2Seq, DatasetDict]:
    """A trained or untrained model, and its prepared data."""
    if system.is_dir():
        model = checkpoint.load_run(system, trainable=True).model
        return model, training_data_encoded(system, "prepare it again", say)
    if not system.exists():
        raise UserError(f"{system}: expected the folder of a run or a YAML file, found none")
    settings = config.load(system)
    folder = Path(settings.data.folder)
    data = open_dataset(folder)
    torch.manual_seed(settings.training.seed)
    return checkpoint.build_model(settings, *load_vocabularies(folder)), data


def _texts(sentences: Sequence[Sequence[int]], length: int) -> Tensor:
    """Sentences concatenated, then cut into texts of equal length: (B, L)."""
    ids = list(islice(chain.from_iterable(sentences), TEXTS * length))
    count = len(ids) // length
    if count == 0:
        raise UserError(
            f"--length: expected at most {len(ids)}, the tokens of the validation split, "
            f"found {length}"
        )
    return torch.tensor(ids[: count * length]).view(count, length)


def _table(lines: Mapping[str, list[float]], length: int) -> list[str]:
    """A row for each part of each system: norms relative to that of the last word."""
    told = [distance for distance in TOLD if distance < length]
    width = max(map(len, lines))
    heading = "".join(f"{distance:>10}" for distance in told)
    rows = [f"{'tokens back':<{width}}{heading}"]
    for name, norms in lines.items():
        shares = "".join(f"{norms[distance] / norms[0]:>10.1e}" for distance in told)
        rows.append(f"{name:<{width}}{shares}")
    return rows
