"""Every variant of a part, read from the signatures that are its schema, and how to check one."""

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Literal, get_args, get_origin

import pytest
import torch
from torch import Tensor, nn

from nmt.model.contracts import Encoded
from nmt.options import Option, parameters
from nmt.schema import Count, Depth, Fraction, Part, Positive, PositiveInt, Settings
from nmt.state import State

SIZE = 4
"""Of everything: a part of this size has all its formulas, and takes milliseconds."""

STEP = 1e-6
"""Half the distance over which a difference quotient is taken."""


NEEDS: dict[str, Settings] = {
    "RecurrentEncoder.residual": {"layers": 2},
    "Decoder.residual": {"layers": 2},
    "Decoder.dropout": {"layers": 2},
    "RecurrentEncoder.transitions": {"layers": 2},  # BiDeep
    "Decoder.transitions": {"layers": 2},
    "Decoder.attend=before": {
        "self_attention": {"kind": "multihead", "heads": 2, "head_size": SIZE}
    },
    "Seq2Seq.readout_size": {"tie_embeddings": "none"},
    "Seq2Seq.encoder=none": {"decoder": {"hidden_size": SIZE, "attention": "none"}},
}
"""What an option is tried with, where it would be refused alone."""


def over(target: Any) -> pytest.MarkDecorator:
    """Runs a test with the `settings` of every variant of a class, or of a table of classes."""
    return each(variants(target))


def each(found: Mapping[str, Settings]) -> pytest.MarkDecorator:
    """Runs a test with each of the named `settings`."""
    named = [pytest.param(settings, id=name) for name, settings in found.items()]
    return pytest.mark.parametrize("settings", named)


def variants(target: Any) -> dict[str, Settings]:
    """Each kind of a table with small sizes, then with one option after another changed.

    A new class in a table, a new option and a new value of an option are found by themselves.
    """
    if isinstance(target, Mapping):
        return {
            f"{kind}-{name}" if name else kind: {"kind": kind, **settings}
            for kind, constructor in target.items()
            for name, settings in variants(constructor).items()
        }
    options = parameters(target)
    plain = {name: _small(option) for name, option in options.items()}
    changed = {
        f"{name}={label}": plain | _needed(target, name, label) | {name: value}
        for name, option in options.items()
        for label, value in _values(option).items()
        if value != plain[name]
    }
    return {"": plain, **changed}


def _needed(target: Any, name: str, label: str) -> Settings:
    key = f"{target.__name__}.{name}"
    return NEEDS.get(key, {}) | NEEDS.get(f"{key}={label}", {})


def _small(option: Option) -> Any:
    """An option's default, made small."""
    sizes = (PositiveInt, PositiveInt | None)
    if option.annotation in sizes and option.key.endswith("_size") and option.default is not None:
        return SIZE
    if part := _part(option):
        # A part that is not chosen from a table has no kind.
        kind = option.default if isinstance(option.default, str) else ""
        return variants(part.resolve())[kind]
    return option.default


def _values(option: Option) -> dict[str, Any]:
    """Values that an option may take: all of them where they can be counted, else one."""
    if part := _part(option):
        inner = variants(part.resolve())
        # A part within a part of the same table has been tried with all its options already.
        own = option.key in ("order", "source")
        return {name: made for name, made in inner.items() if not (own and "-" in name)}
    if get_origin(option.annotation) is Literal:
        return {value: value for value in get_args(option.annotation)}
    samples: dict[Any, list[Any]] = {
        bool: [True, False],
        PositiveInt: [SIZE - 2],  # the default of no option
        PositiveInt | None: [SIZE - 2],  # none at all needs equal sizes: see test_attention.py
        Count: [0, 2],
        Depth: [1, 2],
        Fraction: [0.25],
        Positive: [0.5],
        float: [0.5],
    }
    values = next(values for kind, values in samples.items() if kind == option.annotation)
    return {str(value): value for value in values}


def _part(option: Option) -> Part | None:
    if get_origin(option.annotation) is Annotated:
        return next((m for m in get_args(option.annotation) if isinstance(m, Part)), None)
    return None


def perturb(module: nn.Module) -> None:
    """In double, and moved off the initial zeros, where a wrong bias or gain would not show."""
    module.double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))


TORCH: dict[str, tuple[Callable[..., nn.RNNBase], list[int]]] = {
    "rnn": (nn.RNN, [0]),
    "gru": (nn.GRU, [0, 1, 2]),
    "lstm": (nn.LSTM, [0, 1, 3, 2]),  # ours i, f, o, g; theirs i, f, g, o
}
"""torch's layer for each kind of cell, and which of our gates stands where in it."""


def copy_weights(cell: nn.Module, theirs: nn.Module, order: list[int], layer: str = "l0") -> None:
    """Fills a layer of torch from a cell."""
    names = {"input": "ih", "recurrent": "hh"}
    with torch.no_grad():
        theirs.get_parameter(f"bias_hh_{layer}").zero_()  # where ours has none
        for path, parameter in cell.named_parameters():
            module, kind = path.split(".")
            blocks = parameter.chunk(len(order))
            permuted = torch.cat([blocks[place] for place in order])
            theirs.get_parameter(f"{kind}_{names[module]}_{layer}").copy_(permuted)


def encoded(lengths: list[int], size: int = SIZE) -> Encoded:
    """Random sentences as an encoder would give them, in double; padding holds large numbers."""
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    memory = torch.randn(len(lengths), max(lengths), size, dtype=torch.double)
    summary = torch.randn(len(lengths), size, dtype=torch.double)
    return Encoded(memory.masked_fill(~mask[:, :, None], 1e3), mask, summary)


def rows_of(source: Encoded, rows: slice, length: int) -> Encoded:
    """Some of the sentences, cut to a length."""
    return Encoded(source.memory[rows, :length], source.mask[rows, :length], source.summary[rows])


def tensors(state: State) -> list[Tensor]:
    """All tensors of a state, in order."""
    if isinstance(state, Tensor):
        return [state]
    return [tensor for part in state for tensor in tensors(part)]


def assert_same(found: State, expected: State, tolerance: float = 1e-12) -> None:
    """Equal in shape and up to rounding in every number."""
    torch.testing.assert_close(
        tensors(found), tensors(expected), rtol=tolerance, atol=tolerance, check_stride=False
    )


def assert_learns(module: nn.Module, loss: Tensor) -> None:
    """The loss is finite, and so is its gradient, which reaches every parameter."""
    assert loss.isfinite()
    module.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


def assert_gradients(function: Callable[[], Tensor], inputs: Iterable[Tensor]) -> None:
    """Backward agrees with the difference quotient along one direction through all the tensors.

    Args:
        function: reads the tensors by itself.
        inputs: in double; a wrong gradient of any one shows in the sum.
    """
    leaves = [tensor.requires_grad_() for tensor in inputs]
    weights = torch.randn_like(function())
    total = (function() * weights).sum()
    slopes = torch.autograd.grad(total, leaves, allow_unused=True, materialize_grads=True)
    directions = [torch.randn_like(leaf) for leaf in leaves]
    products = zip(slopes, directions, strict=True)
    expected = torch.stack([(slope * direction).sum() for slope, direction in products]).sum()
    values = []
    with torch.no_grad():
        for distance in (STEP, -2 * STEP, STEP):  # the last goes back to where it was
            for leaf, direction in zip(leaves, directions, strict=True):
                leaf.add_(direction, alpha=distance)
            values.append((function() * weights).sum())
    found = (values[0] - values[1]) / (2 * STEP)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
