"""A decoder that has slots and no source learns what a memory is for (Graves et al. 2014)."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from nmt.model.contracts import Encoded
from nmt.model.decoder import Decoder

SYMBOLS, GO, BLANK = 8, 8, 9
MACHINE = {"kind": "turing_machine", "source": "none", "slots": 48, "slot_size": 16}


class Copier(nn.Module):
    """Reads symbols one by one, then says them again from blanks: all it knows is in its slots."""

    def __init__(self) -> None:
        super().__init__()
        self.decoder = Decoder(16, 1, cell="lstm", hidden_size=64, attention=MACHINE)
        self.embedding = nn.Embedding(SYMBOLS + 2, 16)
        self.output = nn.Linear(self.decoder.features_size, SYMBOLS)

    def forward(self, symbols: Tensor) -> Tensor:
        """(B, L) -> logits (B, L, symbols)."""
        batch, length = symbols.shape
        go = torch.full((batch, 1), GO)
        tokens = torch.cat([symbols, go, torch.full((batch, length - 1), BLANK)], dim=1)
        nothing = torch.ones(batch, 1, 1)
        encoded = Encoded(nothing, torch.ones(batch, 1, dtype=torch.bool), nothing[:, 0])
        features, _ = self.decoder(self.embedding(tokens), self.decoder.prepare(encoded))
        logits: Tensor = self.output(features[:, length:])
        return logits


def trained(model: nn.Module, draw: torch.Generator, updates: int) -> None:
    """On lengths of 1 to 20."""
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    for _ in range(updates):
        length = int(torch.randint(1, 21, (1,), generator=draw))
        symbols = torch.randint(SYMBOLS, (16, length), generator=draw)
        loss = functional.cross_entropy(model(symbols).flatten(0, 1), symbols.flatten())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_it_copies_twice_as_many_symbols_as_it_has_ever_seen(seed: int) -> None:
    torch.manual_seed(seed)
    draw = torch.Generator().manual_seed(seed)
    model: Any = Copier()
    trained(model, draw, updates=500)
    symbols = torch.randint(SYMBOLS, (50, 40), generator=draw)
    with torch.no_grad():
        right = (model(symbols).argmax(dim=2) == symbols).float().mean().item()
    assert right >= 0.99
