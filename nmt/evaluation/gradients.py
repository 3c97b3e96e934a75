"""How far back a gradient reaches: why gates exist, as numbers and as a picture.

Through a recurrence a gradient is multiplied by a Jacobian at every step, and so vanishes or
explodes with the distance (Bengio et al. 1994; Pascanu et al. 2013), unless gates hold it.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path

import torch
from datasets import DatasetDict
from torch import Tensor

from nmt import checkpoint, config
from nmt.data.datamodule import open_dataset
from nmt.errors import UserError
from nmt.evaluation.origin import own_ids
from nmt.evaluation.plots import plot_lines
from nmt.model.encoders import RecurrentEncoder
from nmt.model.seq2seq import Seq2Seq
from nmt.vocab import load_vocabularies

TEXTS = 32
"""Pieces of text over which norms are averaged."""

TOLD = (1, 2, 5, 10, 20, 50, 100, 200)
"""Distances that the table tells."""

Norms = dict[str, list[float]]
"""{part: the gradient's norm at each distance, from 0}."""


def gradient_norms(model: Seq2Seq, source: Tensor, target: Tensor) -> Norms:
    """How much the last word's state depends on the word before it, the one before that, ...

    The norm of d (v^T h_L) / d x_(L - k), v random of unit variance, averaged over the texts: of
    the encoder's last reading h_L, and of the decoder's last state. What has read nothing but the
    last word is left out of the reading: the direction from right to left, and the word itself that
    a shortcut puts beside it.

    Args:
        model: trained or fresh; dropout is off.
        source: (B, L) tokens.
        target: (B, L) tokens.
    """
    model.eval()
    found: Norms = {}
    lengths = torch.full((len(source),), source.shape[1], device=source.device)
    if model.source_embedding is not None:
        read = model.source_embedding(source).detach().requires_grad_()
        memory = model.encoder(read, lengths).memory
        size = memory.shape[2] - model.encoder.words_size
        if isinstance(model.encoder, RecurrentEncoder):
            size = model.encoder.hidden_size
        found["encoder"] = _norms(memory[:, -1, :size], read)
    said = model.target_embedding(target).detach().requires_grad_()
    features, _ = model.decoder(said, model.encode(source, lengths))
    states = features[:, -1, : model.decoder.sizes[0]]
    return {**found, "decoder": _norms(states, said)}


def _norms(last: Tensor, words: Tensor) -> list[float]:
    """Of outputs (B, F) by words (B, L, E): L means, the last word's first."""
    generator = torch.Generator().manual_seed(1)
    direction = torch.randn(last.shape, generator=generator).to(last)
    (gradient,) = torch.autograd.grad((last * direction).sum(), words)
    found: list[float] = gradient.norm(dim=2).mean(dim=0).flip(0).tolist()
    return found


def diagnose(
    systems: Sequence[Path], length: int, picture: Path, say: Callable[[str], None]
) -> list[str]:
    """Draws how far gradients reach in trained runs and in fresh models; gives a table back.

    Args:
        systems: a run's folder is trained, a YAML file is a fresh model.
        length: tokens of each text.
        picture: the PNG to write.
        say: told if a run's tokenizer is not that of its data.

    Raises:
        UserError: neither a run nor a configuration, no prepared data or not a run's own, or no
            matplotlib.
    """
    lines: dict[str, list[float]] = {}
    stems = [system.stem for system in systems]
    for system in systems:
        name = system.stem if stems.count(system.stem) == 1 else str(system)
        model, data = _model(system, say)
        sides = (_texts(data["validation"][ids][:], length) for ids in ("source_ids", "target_ids"))
        for part, norms in gradient_norms(model, *sides).items():
            lines[f"{name} {part}"] = norms
    drawn = {name: list(enumerate(norms)) for name, norms in lines.items()}
    plot_lines(drawn, ("distance in words", "norm of the gradient"), picture, logarithmic=True)
    return _table(lines, length)


def _model(system: Path, say: Callable[[str], None]) -> tuple[Seq2Seq, DatasetDict]:
    """A trained or a fresh model, and the prepared data that it is for."""
    if system.is_dir():
        run = checkpoint.load_run(system)
        return run.model, own_ids(system, "prepare it again", say)
    settings = config.load(system)
    folder = Path(settings.data.folder)
    data = open_dataset(folder)
    torch.manual_seed(settings.training.seed)
    return checkpoint.build_model(settings, *load_vocabularies(folder)), data


def _texts(sentences: Sequence[Sequence[int]], length: int) -> Tensor:
    """Sentences one after the other, cut into texts of one length: (B, L)."""
    ids = list(islice(chain.from_iterable(sentences), TEXTS * length))
    count = len(ids) // length
    if count == 0:
        raise UserError(
            f"--length: expected at most {len(ids)}, the tokens of the validation split, "
            f"found {length}"
        )
    return torch.tensor(ids[: count * length]).view(count, length)


def _table(lines: Mapping[str, list[float]], length: int) -> list[str]:
    """A row for each part of each system: what reaches it, against what its last word brings."""
    told = [distance for distance in TOLD if distance < length]
    width = max(map(len, lines))
    heading = "".join(f"{distance:>10}" for distance in told)
    rows = [f"{'words back':<{width}}{heading}"]
    for name, norms in lines.items():
        shares = "".join(f"{norms[distance] / norms[0]:>10.1e}" for distance in told)
        rows.append(f"{name:<{width}}{shares}")
    return rows
