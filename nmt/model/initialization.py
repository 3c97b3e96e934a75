"""Initial weights as named rules."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import init


def uniform(weight: Tensor) -> None:
    """U(-0.1, 0.1), as in Luong et al. 2015."""
    init.uniform_(weight, -0.1, 0.1)


INITIALIZERS: dict[str, Callable[[Tensor], object]] = {
    "uniform": uniform,
    "xavier_uniform": init.xavier_uniform_,
    "xavier_normal": init.xavier_normal_,
    "kaiming": lambda weight: init.kaiming_uniform_(weight, nonlinearity="relu"),
    "orthogonal": init.orthogonal_,
    "identity": init.eye_,  # Le et al. 2015, for recurrent weights
}


Rule = Literal["uniform", "xavier_uniform", "xavier_normal", "kaiming", "orthogonal"]
# As a stacked (gates, input) matrix, the identity would feed the first gate alone.
RecurrentRule = Literal[Rule, "identity"]


def initialize(module: nn.Module, weights: Rule, recurrent: RecurrentRule) -> None:
    """Initialises every parameter of a module by its role, which its name shows.

    Recurrent weights are square blocks, one per gate, and each block is initialised separately: an
    orthogonal (4H, H) matrix would not be orthogonal gate by gate. All other matrices are taken as
    a whole, those that feed several gates too. Embeddings and the projection
    to the vocabulary, which may be tied, are N(0, 1/n) for rows of size n, which have unit length,
    while with Xavier's rule they would be shorter the larger the vocabulary. Vectors (biases,
    gains) keep the values that their modules gave them.

    Args:
        module: the module whose parameters to set, in place.
        weights: the rule for input and output matrices, a key of INITIALIZERS.
        recurrent: the rule for recurrent matrices, a key of INITIALIZERS.
    """
    for name, parameter in module.named_parameters():
        if parameter.dim() < 2:
            continue
        if name.endswith(("embedding.weight", "projection.weight")):
            init.normal_(parameter, std=parameter.shape[1] ** -0.5)
        elif name.endswith("recurrent.weight"):
            for block in torch.split(parameter.detach(), parameter.shape[1]):
                INITIALIZERS[recurrent](block)
        else:
            INITIALIZERS[weights](parameter)
