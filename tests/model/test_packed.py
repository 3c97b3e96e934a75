"""Linear layers packed for inference: the same numbers, or numbers near enough, row by row."""

import pytest
import torch
from torch import Tensor, nn

from nmt.config import Precision
from nmt.model import packed
from nmt.model.packed import PACKERS, Int8Linear, PackedLinear, is_packed, pack, place_int8_layers

TOLERANCE = {"fp32": 1e-5, "bf16": 2e-2, "int8": 2e-2}


def layer(bias: bool = True) -> nn.Linear:
    torch.manual_seed(1)
    linear = nn.Linear(48, 40, bias=bias)
    # Rows and columns of very different size: one scale for all of them would drown the small.
    with torch.no_grad():
        linear.weight.mul_(torch.logspace(-3, 2, 40).unsqueeze(1))
    return linear


def inputs(rows: int = 6) -> Tensor:
    torch.manual_seed(2)
    return torch.randn(rows, 48) * torch.logspace(-2, 2, rows).unsqueeze(1)


@pytest.fixture(params=["packed", "plain", "saturating"])
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor that oneDNN serves, one that it does not, and one without VNNI or bf16."""
    if request.param == "saturating":
        monkeypatch.setattr(packed, "input_levels", lambda: 63)
        monkeypatch.setattr(packed, "_has_bf16", lambda weight: False)
    if request.param == "plain":
        monkeypatch.setattr(packed, "_packable", lambda weight: False)
    elif PackedLinear.of(layer(), torch.float32).packed is None:
        pytest.skip("this build of torch has no oneDNN")


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize("precision", PACKERS)
@pytest.mark.parametrize("bias", [True, False])
@torch.inference_mode()
def test_a_packed_layer_gives_what_the_layer_gives(precision: Precision, bias: bool) -> None:
    linear, x = layer(bias), inputs()
    wanted = linear(x)
    found = PACKERS[precision](linear)(x)
    assert found.dtype == torch.float32
    # Each output relative to the size of what was added up for it.
    size = x.norm(dim=1, keepdim=True) * linear.weight.norm(dim=1)
    size += linear.bias.abs() if bias else 0.0
    assert ((found - wanted).abs() / size).max() < TOLERANCE[precision]


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize("precision", PACKERS)
@torch.inference_mode()
def test_a_row_does_not_depend_on_the_rows_beside_it(precision: Precision) -> None:
    fast, x = PACKERS[precision](layer()), inputs()
    together = fast(x)
    for row in range(len(x)):
        alone = fast(x[row : row + 1])[0]
        torch.testing.assert_close(
            alone, together[row], rtol=1e-5, atol=1e-6 * float(x[row].norm())
        )


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize("precision", PACKERS)
@torch.inference_mode()
def test_a_selection_of_rows_gives_those_outputs(precision: Precision) -> None:
    fast, x, chosen = PACKERS[precision](layer()), inputs(), torch.tensor([3, 0, 39, 17])
    assert isinstance(fast, PackedLinear | Int8Linear)
    torch.testing.assert_close(fast.rows(chosen)(x), fast(x)[:, chosen], rtol=1e-5, atol=1e-5)


@torch.inference_mode()
def test_rows_of_zeros_and_weights_of_zero_are_no_trouble() -> None:
    linear = layer()
    linear.weight[7] = 0.0
    found = Int8Linear.of(linear)(torch.zeros(2, 48))
    torch.testing.assert_close(found, linear.bias.expand(2, -1))


@torch.inference_mode()
def test_leading_dimensions_stay() -> None:
    x = torch.randn(2, 3, 48)
    for make in PACKERS.values():
        assert make(layer())(x).shape == (2, 3, 40)


def test_all_of_a_packed_layer_lies_where_the_layer_did() -> None:
    for make in PACKERS.values():
        packed = make(nn.Linear(48, 40, device="meta"))
        assert isinstance(packed, PackedLinear | Int8Linear)
        for part in (packed, packed.rows(torch.arange(8, device="meta"))):
            tensors = [*part.buffers(), *(t for t in vars(part).values() if torch.is_tensor(t))]
            assert tensors and {tensor.device.type for tensor in tensors} == {"meta"}


def test_packing_replaces_every_linear_layer_below_a_module() -> None:
    module = nn.Sequential(layer(), nn.Sequential(nn.Tanh(), nn.Linear(40, 8)))
    assert not is_packed(module)
    pack(module, "fp32")
    assert is_packed(module)
    assert not any(isinstance(part, nn.Linear) for part in module.modules())


@torch.inference_mode()
def test_weights_of_8_bits_are_stored_and_loaded() -> None:
    stored = nn.Sequential(layer(), nn.Tanh(), Int8Linear.of(layer()))
    tensors = stored.state_dict()
    assert tensors["2.weight"].dtype == torch.int8
    loaded = nn.Sequential(layer(), nn.Tanh(), nn.Linear(48, 40))
    place_int8_layers(loaded, tensors)
    assert isinstance(loaded[0], nn.Linear)
    loaded.load_state_dict(tensors)
    torch.testing.assert_close(loaded[2](inputs()), stored[2](inputs()))


@torch.inference_mode()
def test_sums_of_many_large_products_are_exact() -> None:
    linear = nn.Linear(64, 32, bias=False)
    linear.weight.fill_(1.0)
    product = Int8Linear.of(linear)(torch.ones(16, 64))
    torch.testing.assert_close(product, torch.full((16, 32), 64.0))
