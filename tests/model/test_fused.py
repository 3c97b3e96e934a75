"""The hand-written backwards: the numbers of autograd over single steps, and true gradients."""

from collections.abc import Callable, Sequence
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from nmt.model import encoders
from nmt.model.contracts import Encoded
from nmt.model.decoder import Decoder
from nmt.model.encoders import RecurrentEncoder
from tests.model.variants import assert_gradients, assert_same, perturb

EMBEDDING, HIDDEN = 6, 5
SHAPES = [([1], 1), ([4], 3), ([1, 1, 1], 2), ([5, 3, 1, 5], 7), ([2, 6], 1), ([30, 17], 25)]
CASES = {f"fp64-{shape}": (torch.float64, 1e-12, *shape) for shape in SHAPES}
CASES |= {f"fp32-{shape}": (torch.float32, 1e-5, *shape) for shape in (SHAPES[3], SHAPES[5])}
cases = pytest.mark.parametrize(
    ("dtype", "tolerance", "lengths", "steps"), CASES.values(), ids=CASES
)
orders = pytest.mark.parametrize("attend", ["after", "before"])
coverages = pytest.mark.parametrize("coverage", [False, True], ids=["plain", "coverage"])


def make_encoder(layers: int = 1, bidirectional: bool = True) -> RecurrentEncoder:
    torch.manual_seed(13)
    encoder = RecurrentEncoder(
        EMBEDDING, hidden_size=HIDDEN, layers=layers, bidirectional=bidirectional
    )
    perturb(encoder)
    assert encoders.fused(encoder)
    return encoder.eval()


def make_decoder(attend: Literal["after", "before"] = "after", coverage: bool = False) -> Decoder:
    torch.manual_seed(14)
    attention = {"kind": "additive", "hidden_size": 3, "coverage": coverage}
    decoder = Decoder(
        EMBEDDING, 4, cell="lstm", attention=attention, attend=attend, hidden_size=HIDDEN
    )
    perturb(decoder)
    assert decoder.fused()
    return decoder.eval()


def random(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, dtype=dtype, requires_grad=True)


def sentences(lengths: list[int], dtype: torch.dtype) -> Encoded:
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return Encoded(random(*mask.shape, 4, dtype=dtype), mask, random(len(lengths), 4, dtype=dtype))


def with_gradients(outputs: Sequence[Tensor], inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The outputs and the gradients of a fixed random projection of them."""
    generator = torch.Generator().manual_seed(15)
    directions = [torch.randn(y.shape, generator=generator).to(y.dtype) for y in outputs]
    return (*outputs, *torch.autograd.grad(outputs, inputs, directions))


@pytest.fixture
def encode_by_steps(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Encoded]:
    """An encoder's `forward` without its fused path."""

    def encode(encoder: RecurrentEncoder, words: Tensor, lengths: Tensor) -> Encoded:
        with monkeypatch.context() as patch:
            patch.setattr(encoders, "_fusible", lambda cell: False)
            encoded: Encoded = encoder(words, lengths)
        return encoded

    return encode


@cases
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_encoder_is_the_same_fused_and_by_steps(
    encode_by_steps: Callable[..., Encoded],
    dtype: torch.dtype,
    tolerance: float,
    layers: int,
    bidirectional: bool,
    lengths: list[int],
    steps: int,
) -> None:
    encoder = make_encoder(layers, bidirectional).to(dtype)
    words = random(len(lengths), max(lengths), EMBEDDING, dtype=dtype)
    inputs = [words, *encoder.parameters()]
    fused, stepped = (
        with_gradients([encoded.memory, encoded.summary], inputs)
        for encoded in (
            encoder(words, torch.tensor(lengths)),
            encode_by_steps(encoder, words, torch.tensor(lengths)),
        )
    )
    assert_same(fused, stepped, tolerance)


@cases
@orders
@coverages
def test_the_decoder_is_the_same_fused_and_by_steps(
    dtype: torch.dtype,
    tolerance: float,
    attend: Literal["after", "before"],
    coverage: bool,
    lengths: list[int],
    steps: int,
) -> None:
    decoder, encoded = make_decoder(attend, coverage).to(dtype), sentences(lengths, dtype)
    embedded = random(len(lengths), steps, EMBEDDING, dtype=dtype)
    inputs = [embedded, encoded.memory, encoded.summary, *decoder.parameters()]
    results = []
    for run in (decoder.forward, decoder.forward_stepped):
        features, weights = run(embedded, decoder.prepare(encoded))
        told = [features, weights] if coverage else [features]
        results.append((*with_gradients(told, inputs), weights.detach()))
    assert_same(results[0], results[1], tolerance)


@orders
@pytest.mark.parametrize("part", ["outputs", "contexts"])
def test_each_output_alone_has_the_right_gradient(
    attend: Literal["after", "before"], part: str
) -> None:
    """Training may leave an output unused; its gradient is then zero, not missing."""
    decoder, encoded = make_decoder(attend), sentences([3, 2], torch.float64)
    embedded = random(2, 3, EMBEDDING)
    wanted = slice(0, HIDDEN) if part == "outputs" else slice(HIDDEN, HIDDEN + 4)
    fused, stepped = (
        with_gradients(
            [run(embedded, decoder.prepare(encoded))[0][:, :, wanted]],
            [encoded.memory, encoded.summary, *decoder.cell.parameters()],  # type: ignore[attr-defined]
        )
        for run in (decoder.forward, decoder.forward_stepped)
    )
    assert_same(fused, stepped)


def test_the_encoders_gradients_agree_with_finite_differences() -> None:
    encoder, words, lengths = make_encoder(layers=2), random(2, 4, EMBEDDING), [4, 2]
    assert_gradients(
        lambda: encoder(words, torch.tensor(lengths)).memory, [words, *encoder.parameters()]
    )


@orders
@coverages
def test_the_decoders_gradients_agree_with_finite_differences(
    attend: Literal["after", "before"], coverage: bool
) -> None:
    decoder, encoded = make_decoder(attend, coverage), sentences([4, 2], torch.float64)
    embedded = random(2, 3, EMBEDDING)
    assert_gradients(
        lambda: torch.cat(decoder(embedded, decoder.prepare(encoded))[: 1 + coverage], dim=2),
        [embedded, encoded.memory, encoded.summary, *decoder.parameters()],
    )


def test_a_second_backward_gives_the_same_gradients() -> None:
    decoder, encoded = make_decoder(), sentences([3], torch.float64)
    loss = decoder(random(1, 3, EMBEDDING), decoder.prepare(encoded))[0].sum()
    parameters = list(decoder.parameters())
    first = torch.autograd.grad(loss, parameters, retain_graph=True)
    assert_same(torch.autograd.grad(loss, parameters), first)


def mixed_and_single(module: nn.Module, run: Callable[[], Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Output and parameters' gradients, each in bf16 autocast beside fp32."""
    pairs = []
    for mixed in (True, False):
        module.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            output = run()
        output.float().square().mean().backward()  # type: ignore[no-untyped-call]
        gradients = [p.grad for p in module.parameters() if p.grad is not None]
        pairs.append([output.detach().float(), *gradients])
    assert len(pairs[0]) == 1 + len(list(module.parameters()))
    return list(zip(*pairs, strict=True))


def assert_close_in_bf16(pairs: list[tuple[Tensor, Tensor]]) -> None:
    """bf16 has 8 bits: about 0.4 % a number, and some more for sums of many."""
    for mixed, single in pairs:
        assert mixed.isfinite().all()
        assert (mixed - single).norm() <= 0.05 * single.norm() + 1e-6


def test_the_encoder_runs_in_bf16_close_to_fp32() -> None:
    encoder, words = make_encoder(layers=2).float(), random(8, 9, EMBEDDING, dtype=torch.float32)
    lengths = torch.tensor([9, 9, 8, 7, 5, 3, 2, 1])
    run = lambda: encoder(words, lengths).memory  # noqa: E731
    assert_close_in_bf16(mixed_and_single(encoder, run))


# Over many steps, coverage itself differs.
@pytest.mark.parametrize(("coverage", "steps"), [(False, 6), (True, 6), (False, 600)])
def test_the_decoder_runs_in_bf16_close_to_fp32(coverage: bool, steps: int) -> None:
    decoder = make_decoder(coverage=coverage).float()
    encoded = sentences([7, 5, 3, 1], torch.float32)
    embedded = random(4, steps, EMBEDDING, dtype=torch.float32)
    run = lambda: decoder(embedded, decoder.prepare(encoded))[0]  # noqa: E731
    assert_close_in_bf16(mixed_and_single(decoder, run))
