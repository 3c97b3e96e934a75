"""The arithmetic of a model: its products with weights, counted from the shapes of its modules.

A multiplication and an addition are two operations. Training makes each product three times:
forward, for the gradient of the input, and for the gradient of the weight. Counted is what a step
cannot do without, at lengths without padding. Left out is what no matrix unit would speed up:
everything elementwise, and attention's sums over the memory (two products of a row by a matrix
for each word, 0.2 % of the whole in the matched model at 16 source tokens).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from torch import nn

from nmt.errors import UserError
from nmt.model.encoders import RecurrentEncoder
from nmt.model.seq2seq import Seq2Seq


@dataclass(frozen=True)
class Sizes:
    """Of a batch without padding: sentences, and tokens of each, end marks counted."""

    batch: int
    source_length: int
    target_length: int

    def __post_init__(self) -> None:
        for name, least in (("batch", 1), ("source_length", 2), ("target_length", 2)):
            if (found := getattr(self, name)) < least:
                raise UserError(f"{name}: expected {least} or more, found {found}")


@dataclass(frozen=True)
class Product:
    """(rows, inner) times (inner, columns), so many times.

    `weight` says that the right-hand side is a weight, which can be packed once for many products.
    """

    name: str
    rows: int
    inner: int
    columns: int
    times: int = 1
    weight: bool = True

    @property
    def operations(self) -> int:
        return 2 * self.rows * self.inner * self.columns * self.times


def expect_counted(model: Seq2Seq, where: str) -> None:
    """Refuses a model of another kind, whose products would be counted wrongly.

    Raises:
        UserError: its encoder is not recurrent, or its decoder has no whole-sequence path.
    """
    if not isinstance(model.encoder, RecurrentEncoder) or not model.decoder.fused():
        raise UserError(
            f"{where}: expected a recurrent encoder and a decoder of one LSTM with additive "
            "attention, whose products can be counted; found another model"
        )


def training_products(model: Seq2Seq, sizes: Sizes) -> list[Product]:
    """Every product of one training step."""
    return [one for forward in _forward(model, sizes) for one in _with_gradients(forward)]


def decoding_products(model: Seq2Seq, sizes: Sizes, beam: int) -> list[Product]:
    """Every product of a search in which each sentence gets `target_length` tokens.

    The first step has one hypothesis for each sentence, every other one `beam`. Words are projected
    once for all searches, and the memory is projected instead of each context: the least there is
    to do, though bf16 and 8 bits project each context.
    """
    products = []
    for product in _forward(model, sizes):
        if product.name == "decoder.cell.input":
            continue
        if product.name == "decoder.context":
            rows = sizes.batch * sizes.source_length
            products.append(replace(product, rows=rows, times=1))
        elif _once_a_sentence(product.name):
            products.append(product)
        else:
            products.append(replace(product, rows=sizes.batch, times=1))
            rows, times = sizes.batch * beam, sizes.target_length - 1
            products.append(replace(product, rows=rows, times=times))
    return [product for product in products if product.times]


def operations(products: Sequence[Product]) -> int:
    """In all."""
    return sum(product.operations for product in products)


def mflop_per_target_token(model: Seq2Seq, sizes: Sizes) -> float:
    """Of training: forward and both gradients, for each real target token, end mark counted.

    The model of matched.yaml costs 52.2 at equal lengths (17.4 of them forward), and 51 where the
    source has four tokens for the target's five.
    """
    return operations(training_products(model, sizes)) / (sizes.batch * sizes.target_length) / 1e6


def _forward(model: Seq2Seq, sizes: Sizes) -> Iterator[Product]:
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            rows, times = _applied(name, sizes)
            yield Product(name, rows, module.in_features, module.out_features, times)


def _with_gradients(forward: Product) -> tuple[Product, Product, Product]:
    name, rows, inner, columns = forward.name, forward.rows, forward.inner, forward.columns
    return (
        forward,
        Product(f"{name}, input's gradient", rows, columns, inner, forward.times),
        # Of all time steps in one: nothing keeps it from waiting for the last.
        Product(f"{name}, weight's gradient", columns, rows * forward.times, inner, weight=False),
    )


def _once_a_sentence(name: str) -> bool:
    return name.startswith("encoder.") or name in {"decoder.attention.key", "decoder.bridge"}


def _applied(name: str, sizes: Sizes) -> tuple[int, int]:
    """(rows, times): what depends on the past goes step by step, the rest at all positions.

    The query before the first word is left out: one more than there are words.
    """
    if name == "decoder.bridge":
        return sizes.batch, 1
    length = sizes.source_length if _once_a_sentence(name) else sizes.target_length
    at_once = name.startswith("output.") or name.endswith((".input", ".key"))
    return (sizes.batch * length, 1) if at_once else (sizes.batch, length)
