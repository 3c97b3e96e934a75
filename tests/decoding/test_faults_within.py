"""What goes wrong within a translator: memory that runs out, damaged files, lost processes."""

import os
import time
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor

from nmt import checkpoint
from nmt.batch import Batch
from nmt.config import Decoding
from nmt.decoding import blocks, scoring
from nmt.decoding.blocks import in_blocks
from nmt.decoding.paragraphs import LONGEST, Paragraphs
from nmt.decoding.scoring import Scored
from nmt.decoding.shortlist import Shortlist
from nmt.decoding.workers import map_in_processes
from nmt.errors import UserError
from nmt.lines import Line
from tests.decoding import tiny
from tests.toy import lives


def make_refusing() -> Callable[[int], int]:
    raise UserError("the run has changed")


def test_a_mistake_that_a_process_finds_at_its_start_is_told() -> None:
    with pytest.raises(UserError) as refused:
        list(map_in_processes(make_refusing, range(3), 1))
    assert str(refused.value) == "the run has changed"


def make_slow(folder: Path) -> Callable[[int], int]:
    def slow(number: int) -> int:
        (folder / str(os.getpid())).touch()
        time.sleep(600 if number else 0)
        return number

    return slow


def test_nobody_waits_for_what_is_in_flight(tmp_path: Path) -> None:
    results: Any = map_in_processes(partial(make_slow, tmp_path), range(9), 2)
    assert next(results) == 0
    began = time.monotonic()
    results.close()
    assert time.monotonic() - began < 60
    assert not any(lives(int(worker.name)) for worker in tmp_path.iterdir())


@pytest.mark.parametrize("most", [1, 2, 4])
def test_a_batch_that_does_not_fit_is_halved(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    translator = tiny.translator(Decoding(beam_size=2))
    search, score, tried = translator.engine.search, scoring.score, list[int]()

    def expect_room(batch: Batch) -> None:
        tried.append(len(batch.source))
        if len(batch.source) > most:
            raise torch.OutOfMemoryError("CUDA out of memory")

    def scarce(batch: Batch, decoding: Decoding, count: int | None = None) -> Any:
        expect_room(batch)
        return search(batch, decoding, count)

    def scarcely(model: Any, batch: Batch) -> list[Scored]:
        expect_room(batch)
        return score(model, batch)

    wanted = translator.translate(tiny.SENTENCES)
    scored = translator.score(tiny.SENTENCES, tiny.SENTENCES)
    monkeypatch.setattr(translator.engine, "search", scarce)
    monkeypatch.setattr(scoring, "score", scarcely)
    found = translator.translate(tiny.SENTENCES)
    assert [one.text for one in found] == [one.text for one in wanted]
    assert max(tried) == len(tiny.SENTENCES) and tried.count(most) > 0
    again = translator.score(tiny.SENTENCES, tiny.SENTENCES)
    assert [one.tokens for one in again] == [one.tokens for one in scored]
    most = 0
    for work in (translator.translate, lambda texts: translator.score(texts, texts)):
        with pytest.raises(UserError, match=r"a text of \d+ tokens, 'a dog\.\.\.', does not fit"):
            work(["a dog"])


def test_weights_are_rounded_to_four_digits() -> None:
    [found] = tiny.translator().translate(["a dog"], alignments=True)
    assert found.alignment is not None
    weights = [weight for row in found.alignment.weights for weight in row]
    assert any(weights) and [round(weight, 4) for weight in weights] == weights


@given(st.lists(st.text(alphabet="ab", max_size=9)), st.integers(1, 4), st.integers(1, 20))
def test_a_block_ends_when_it_has_enough_characters(texts: list[str], size: int, most: int) -> None:
    lines = [Line(text, "\n") for text in texts]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "MOST", most)
        found = list(in_blocks(lines, size))
    assert [line for block in found for line in block] == lines
    for block in found:
        characters = [len(line.text) for line in block]
        assert len(block) <= size and sum(characters[:-1]) < most
        assert block is found[-1] or len(block) == size or sum(characters) >= most


def test_a_part_has_few_bytes_as_each_may_be_a_token() -> None:
    [cut] = Paragraphs(["🦜" * 2000], None).cut
    assert [len(part) for part in cut] == [LONGEST // 2] * 2
    [cut] = Paragraphs(["é" * 2000], None).cut
    assert [len(part) for part in cut] == [LONGEST]


IDS = torch.zeros(5, 2, dtype=torch.int32)
FREQUENT = torch.zeros(2, dtype=torch.int32)


@pytest.mark.parametrize(
    "tensors",
    [
        {"lists": IDS},
        {"lists": IDS[:4], "frequent": FREQUENT},
        {"lists": IDS[:, 0], "frequent": FREQUENT},
        {"lists": IDS.long(), "frequent": FREQUENT},
        {"lists": IDS, "frequent": FREQUENT + 30},
        {"lists": IDS - 1, "frequent": FREQUENT},
        {"lists": IDS, "frequent": IDS.clone()},
        None,
    ],
)
def test_a_damaged_shortlist_is_refused(tensors: dict[str, Tensor] | None, tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_bytes(b"no tensors")
    if tensors is not None:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    with pytest.raises(UserError, match="list: expected lists of 30 target words for 5 source wor"):
        Shortlist.read(path, 5, 30)


@pytest.mark.parametrize("name", ["x.weight_scale", "decoder.weight_scale", "weight_scale"])
def test_a_scale_without_its_layer_is_refused(name: str, tmp_path: Path) -> None:
    tiny.save_run(tmp_path, {})
    path = tmp_path / checkpoint.WEIGHTS
    save_file({**load_file(path), name: torch.ones(3)}, path)
    with torch.no_grad(), pytest.raises(UserError, match=f"found {name} too"):
        checkpoint.load_weights(deepcopy(tiny.model()), path)
