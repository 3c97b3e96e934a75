"""A decoder that has slots and no source learns what a memory is for (Graves et al. 2014)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from nmt.decoding.scoring import recorded_heads
from nmt.evaluation.plots import heads_picture
from nmt.model.contracts import Encoded
from nmt.model.decoder import Decoder
from nmt.translation import Alignment

Draw = Callable[[int, int], tuple[Tensor, Tensor]]
"""(update, sentences) -> tokens (B, T) and what is to be said at the last A of them, (B, A)."""


class Machine(nn.Module):
    """Reads symbols one by one and answers at the end: all it knows is in its slots."""

    def __init__(self, symbols: int, embedding_size: int, slots: int, slot_size: int) -> None:
        super().__init__()
        settings = {
            "kind": "turing_machine",
            "source": "none",
            "slots": slots,
            "slot_size": slot_size,
        }
        self.decoder = Decoder(embedding_size, 1, cell="lstm", hidden_size=64, attention=settings)
        self.embedding = nn.Embedding(symbols + 2, embedding_size)  # two are signs, not symbols
        self.output = nn.Linear(self.decoder.features_size, symbols)

    def forward(self, tokens: Tensor, answers: int) -> Tensor:
        """(B, T) -> logits (B, answers, symbols)."""
        nothing = torch.ones(len(tokens), 1, 1)
        encoded = Encoded(nothing, torch.ones(len(tokens), 1, dtype=torch.bool), nothing[:, 0])
        features, _ = self.decoder(self.embedding(tokens), self.decoder.prepare(encoded))
        logits: Tensor = self.output(features[:, -answers:])
        return logits


def train(model: nn.Module, draw: Draw, updates: int, sentences: int, rate: float) -> None:
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    for update in range(updates):
        tokens, answers = draw(update, sentences)
        logits = model(tokens, answers.shape[1])
        loss = functional.cross_entropy(logits.flatten(0, 1), answers.flatten())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()


@torch.no_grad()
def right(model: nn.Module, tokens: Tensor, answers: Tensor) -> float:
    """The share of answers that are right."""
    said: Any = model(tokens, answers.shape[1]).argmax(dim=2)
    return float((said == answers).float().mean())


def copying(
    length: int, sentences: int, symbols: int, by: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Symbols, then as many blanks, at which they are to be said again."""
    go, blank = symbols, symbols + 1
    said = torch.randint(symbols, (sentences, length), generator=by)
    signs = [torch.full((sentences, 1), go), torch.full((sentences, length - 1), blank)]
    return torch.cat([said, *signs], dim=1), said


def recalling(
    items: int, sentences: int, symbols: int, by: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Different symbols, then all but the last in another order: at each, what came after it."""
    said = torch.rand(sentences, symbols, generator=by).argsort(dim=1)[:, :items]
    asked = torch.rand(sentences, items - 1, generator=by).argsort(dim=1)
    go = torch.full((sentences, 1), symbols)
    return torch.cat([said, go, said.gather(1, asked)], dim=1), said.gather(1, asked + 1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_it_copies_twice_as_many_symbols_as_it_has_ever_seen(seed: int, tmp_path: Path) -> None:
    torch.manual_seed(seed)
    by = torch.Generator().manual_seed(seed)
    model = Machine(8, 16, slots=48, slot_size=16)

    def draw(update: int, sentences: int) -> tuple[Tensor, Tensor]:
        return copying(int(torch.randint(1, 21, (), generator=by)), sentences, 8, by)

    train(model, draw, updates=500, sentences=16, rate=0.003)
    assert right(model, *copying(40, 50, 8, by)) >= 0.99
    picture = tmp_path / "heads.png"
    places = {name: weights.argmax(dim=1) for name, weights in drawn(model, picture, by).items()}
    written, read = places["write 1"][1:], places["read 1"][1:]  # after the initial state
    assert (read[16:] == written[:16]).all()  # it walks where it walked while it wrote
    assert picture.exists()


@torch.no_grad()
def drawn(model: nn.Module, picture: Path, by: torch.Generator) -> dict[str, Tensor]:
    """Draws where the heads are while 16 symbols are copied: (steps, slots) of each."""
    tokens, answers = copying(16, 1, 8, by)
    with recorded_heads(model) as found:
        model(tokens, answers.shape[1])
    heads = {name: torch.cat(weights) for name, weights in found.items()}
    rows = ["", *("abcdefgh"[token] if token < 8 else "·" for token in tokens[0].tolist())]
    told = {name: weights.tolist() for name, weights in heads.items()}
    heads_picture(Alignment(rows, rows, [[1.0]] * len(rows), told), picture)
    return heads


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_it_recalls_what_came_after_each_of_eight_symbols(seed: int) -> None:
    torch.manual_seed(seed)
    by = torch.Generator().manual_seed(seed)
    model = Machine(24, 32, slots=16, slot_size=24)

    def draw(update: int, sentences: int) -> tuple[Tensor, Tensor]:
        most = min(8, 4 + update // 250)  # an easier beginning is what seed 3 needs
        return recalling(int(torch.randint(2, most + 1, (), generator=by)), sentences, 24, by)

    train(model, draw, updates=4000, sentences=32, rate=0.01)
    assert right(model, *recalling(8, 256, 24, by)) >= 0.99
