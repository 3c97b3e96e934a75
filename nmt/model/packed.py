"""Linear layers for inference, with weights packed once for the CPU's matrix units.

`pack` replaces the linear layers of a trained model. On a machine without packing (another
processor, a GPU) they run as torch's own product on the same numbers.
"""

from collections.abc import Callable, Iterable
from functools import cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from nmt.config import Precision

LARGEST = 127
"""Symmetric int8: -127 to 127."""


@cache
def input_levels() -> int:
    """The largest level of an input quantised to 8 bits: 127 or, where that overflows, 63.

    The matrix units multiply unsigned by signed bytes, so an input of zero becomes this plus one.
    Processors without VNNI add two products in 16 bits and saturate silently.
    """
    full, one = torch.full((16, 64), LARGEST, dtype=torch.int8), torch.ones(16)
    if not _packable(full):
        return LARGEST
    exact = 255 * LARGEST * full.shape[1]
    found = _eight_bits(full, one, zero=0)(torch.full((16, 64), 255, dtype=torch.uint8))
    return LARGEST if bool((found == exact).all()) else LARGEST // 2


def _eight_bits(weight: Tensor, scale: Tensor, zero: int) -> Callable[[Tensor], Tensor]:
    """A function of unsigned bytes (R, inputs): (inputs - zero) @ weight.T * scale."""
    ops, zero_points = torch.ops.onednn, torch.zeros(len(scale), dtype=torch.long)
    packed = ops.qlinear_prepack(weight, None)

    def product(eight: Tensor) -> Tensor:
        weight = (packed, scale, zero_points)
        result: Tensor = ops.qlinear_pointwise(
            eight, 1.0, zero, *weight, None, 1.0, 0, torch.float32, "none", [], ""
        )
        return result

    return product


def _packable(weight: Tensor) -> bool:
    return weight.device.type == "cpu" and bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]


def _has_bf16(weight: Tensor) -> bool:
    return not _packable(weight) or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _bias(linear: nn.Linear) -> Tensor | None:
    bias: Tensor | None = linear.bias  # its declared type leaves out None
    return None if bias is None else bias.detach()


class PackedLinear(nn.Module):
    """y = W x + b with W in oneDNN's own layout, in fp32 or bf16; x and y are fp32.

    Where oneDNN has no bf16 product, W is rounded to bf16 and the product computed in fp32.

    Args:
        weight: (outputs, inputs), in the type of the product.
        bias: (outputs,), if there is one.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.weight = weight
        self.bias = None if bias is None else bias.to(weight.dtype)
        self.packed: Tensor | None = None
        if _packable(weight):
            self.packed = torch.ops.mkldnn._reorder_linear_weight(weight, None)

    @classmethod
    def of(cls, linear: nn.Linear, dtype: torch.dtype) -> "PackedLinear":
        """The same layer, packed."""
        weight = linear.weight.detach().to(dtype)
        return cls(weight if _has_bf16(weight) else weight.float(), _bias(linear))

    def rows(self, outputs: Tensor) -> "PackedLinear":
        """The layer restricted to these outputs (C,), in this order."""
        return PackedLinear(self.weight[outputs], None if self.bias is None else self.bias[outputs])

    def forward(self, inputs: Tensor) -> Tensor:
        inputs = inputs.to(self.weight.dtype)
        if self.packed is None:
            return functional.linear(inputs, self.weight, self.bias).float()
        product: Tensor = torch.ops.mkldnn._linear_pointwise(
            inputs, self.packed, self.bias, "none", [], ""
        )
        return product.float()


class Int8Linear(nn.Module):
    """y = s_x s_w (W_8 x_8) + b: int8 weights, with one scale per output and per input row.

    Inputs are quantised row by row, so that a line's translation does not depend on the lines
    beside it. With one scale per batch, as is usual in dynamic quantisation, it would.

    Args:
        inputs: the size of x.
        outputs: the size of y.
        bias: whether there is a b.
        device: the device of the inputs.
    """

    weight: Tensor
    weight_scale: Tensor
    bias: Tensor | None
    zero: Tensor

    def __init__(
        self, inputs: int, outputs: int, bias: bool, device: torch.device | None = None
    ) -> None:
        super().__init__()
        weight = torch.zeros(outputs, inputs, dtype=torch.int8, device=device)
        self.register_buffer("weight", weight)
        self.register_buffer("weight_scale", torch.ones(outputs, device=device))
        self.register_buffer("bias", torch.zeros(outputs, device=device) if bias else None)
        self.levels = input_levels()
        zero = torch.tensor(self.levels + 1.5, device=device)
        self.register_buffer("zero", zero, persistent=False)
        self._product: Callable[[Tensor], Tensor] | None = None

    @classmethod
    def of(cls, linear: nn.Linear) -> "Int8Linear":
        """The layer quantised to 8 bits."""
        weight, bias = linear.weight.detach(), _bias(linear)
        made = cls(linear.in_features, linear.out_features, bias is not None, weight.device)
        made.weight_scale = weight.abs().amax(dim=1).clamp(min=1e-12) / LARGEST
        made.weight = (weight / made.weight_scale.unsqueeze(1)).round().to(torch.int8)
        made.bias = bias
        return made

    def rows(self, outputs: Tensor) -> "Int8Linear":
        """The layer restricted to these outputs (C,), in this order."""
        sizes = self.weight.shape[1], len(outputs)
        part = Int8Linear(*sizes, self.bias is not None, self.weight.device)
        part.weight, part.weight_scale = self.weight[outputs], self.weight_scale[outputs]
        part.bias = None if self.bias is None else self.bias[outputs]
        return part

    def forward(self, inputs: Tensor) -> Tensor:
        self._product = self._product or self._pack()
        flat = inputs.flatten(0, -2)
        # torch.aminmax and vector_norm need only one pass, but take ten times as long.
        largest = flat.abs().amax(dim=1, keepdim=True).clamp_(min=1e-12)
        # `zero` includes 0.5, so that the truncation to bytes rounds to the nearest.
        product = self._product(torch.addcmul(self.zero, flat, self.levels / largest))
        scale = largest.div_(self.levels)
        if self.bias is None:
            product *= scale
        else:
            torch.addcmul(self.bias, product, scale, out=product)
        return product.view(*inputs.shape[:-1], -1)

    def _pack(self) -> Callable[[Tensor], Tensor]:
        zero = self.levels + 1
        if not _packable(self.weight):
            weight = self.weight.float() * self.weight_scale.unsqueeze(1)
            return lambda scaled: functional.linear(scaled.floor().sub_(zero), weight)
        product = _eight_bits(self.weight, self.weight_scale, zero)
        return lambda scaled: product(scaled.to(torch.uint8))


PACKERS: "dict[Precision, Callable[[nn.Linear], nn.Module]]" = {
    "fp32": lambda linear: PackedLinear.of(linear, torch.float32),
    "bf16": lambda linear: PackedLinear.of(linear, torch.bfloat16),
    "int8": Int8Linear.of,
}


def rounds_inputs(layer: nn.Module) -> bool:
    """Whether a linear layer rounds its inputs, so that it is not linear to the last digit."""
    coarse = isinstance(layer, PackedLinear) and layer.weight.dtype == torch.bfloat16
    return coarse or isinstance(layer, Int8Linear)


def is_packed(module: nn.Module) -> bool:
    """Whether any layer of a module is packed and so fit for inference only."""
    return any(isinstance(part, PackedLinear | Int8Linear) for part in module.modules())


def pack(module: nn.Module, precision: "Precision") -> None:
    """Replaces every linear layer of a module, in place; it is then fit for inference only."""
    for name, child in module.named_children():
        if isinstance(child, nn.Linear):
            setattr(module, name, PACKERS[precision](child))
        else:
            pack(child, precision)


def pack_decoder(model: nn.Module, precision: "Precision") -> None:
    """Packs what every step of search computes: a model's decoder and output layer."""
    pack(model.get_submodule("decoder"), precision)
    pack(model.get_submodule("output"), precision)


def place_int8_layers(module: nn.Module, tensors: Iterable[str]) -> None:
    """Replaces linear layers that were stored in 8 bits: `a.weight_scale` marks the layer `a`."""
    layers = dict(module.named_modules(remove_duplicate=False))
    for name in tensors:
        path, _, last = name.rpartition(".")
        parent, _, child = path.rpartition(".")
        layer = layers.get(path)  # without one, the tensor is too many, and refused as such
        if last == "weight_scale" and isinstance(layer, nn.Linear):
            bias = _bias(layer) is not None
            empty = Int8Linear(layer.in_features, layer.out_features, bias)
            setattr(layers[parent], child, empty)
