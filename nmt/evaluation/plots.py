"""Pictures: attention over one sentence, training curves and other line plots.

matplotlib comes with the extra `plots` and is imported only when a picture is drawn.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nmt.errors import UserError
from nmt.files import write_atomically
from nmt.perplexity import perplexity
from nmt.translation import Alignment

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANELS: tuple[tuple[str, dict[str, str], Callable[[float], float]], ...] = (
    ("loss (nats per token)", {"train_loss": "training", "loss": "validation"}, float),
    ("perplexity", {"loss": "validation"}, perplexity),
    ("BLEU", {"bleu": "validation"}, float),
)
"""The panels of `plot_curves`: title, {column: legend}, and the function applied to values."""


def attention_picture(alignment: Alignment, path: Path) -> None:
    """Draws attention weights as a grid: a row for each target token; darker means more.

    Raises:
        UserError: matplotlib is not installed.
    """
    source = [piece.strip() for piece in alignment.source]
    figure = _figure(2 + 0.35 * len(source), 1.5 + 0.3 * len(alignment.target))
    axes = _grid(figure.add_subplot(), alignment.weights, alignment.target)
    axes.set_xticks(range(len(source)), source, rotation=90, parse_math=False)
    axes.xaxis.tick_top()
    _save(figure, path)


def heads_picture(alignment: Alignment, path: Path) -> None:
    """Draws where each head of a Turing machine looked: one grid over the slots for each head.

    Raises:
        UserError: matplotlib is not installed.
    """
    heads = alignment.heads or {}
    figure = _figure(1.5 + 4 * len(heads), 1.5 + 0.3 * len(alignment.target))
    for place, (name, weights) in enumerate(heads.items(), start=1):
        axes = figure.add_subplot(1, len(heads), place, xlabel=f"{name}: slots")
        _grid(axes, weights, alignment.target)
    _save(figure, path)


def _grid(axes: "Axes", weights: Sequence[Sequence[float]], rows: Sequence[str]) -> "Axes":
    axes.imshow(weights, cmap="Greys", vmin=0, vmax=1, aspect="auto")
    axes.set_yticks(range(len(rows)), [piece.strip() for piece in rows], parse_math=False)
    return axes


def plot_curves(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Plots training and validation loss, validation perplexity and BLEU against updates.

    Args:
        rows: the history of a run from its `metrics.json`, one row for each validation.
        path: the PNG to write.

    Raises:
        UserError: matplotlib is not installed.
    """
    figure = _figure(5 * len(PANELS), 4)
    for index, (title, columns, scale) in enumerate(PANELS, start=1):
        axes = figure.add_subplot(1, len(PANELS), index)
        axes.set_title(title)
        axes.set_xlabel("updates")
        axes.grid(alpha=0.3)
        for column, legend in columns.items():
            drawn = [(row["step"], scale(row[column])) for row in rows if column in row]
            if drawn:
                axes.plot(*zip(*drawn, strict=True), label=legend)
                axes.legend()
    _save(figure, path)


def plot_lines(
    lines: Mapping[str, Sequence[tuple[float, float]]],
    titles: tuple[str, str],
    path: Path,
    *,
    logarithmic: bool = False,
) -> None:
    """Plots one line for each name.

    Args:
        lines: {name: points (x, y)}.
        titles: the labels of the x and the y axis.
        path: the PNG to write.
        logarithmic: use a logarithmic y axis.

    Raises:
        UserError: matplotlib is not installed.
    """
    figure = _figure(7, 5)
    axes = figure.add_subplot(xlabel=titles[0], ylabel=titles[1])
    axes.set_yscale("log" if logarithmic else "linear")
    axes.grid(alpha=0.3)
    for name, points in lines.items():
        axes.plot(*zip(*points, strict=True), marker=".", label=name)
    axes.legend()
    _save(figure, path)


def _figure(width: float, height: float) -> "Figure":
    try:
        # A bare Figure needs no display and leaves pyplot's global state alone.
        from matplotlib.figure import Figure
    except ImportError:
        raise UserError(
            "pictures need matplotlib, which is not installed; `pip install 'nmt[plots]'` adds it"
        ) from None
    return Figure(figsize=(width, height), layout="constrained")


def _save(figure: "Figure", path: Path) -> None:
    with warnings.catch_warnings():
        # The default font lacks some scripts; we accept that their letters are drawn as boxes.
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing from")
        write_atomically(path, lambda file: figure.savefig(file, format="png", dpi=120))
