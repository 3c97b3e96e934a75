"""What every network promises: each value of each option anywhere below `model:` is tried here."""

import copy
import re
from pathlib import Path
from typing import cast

import pytest
import torch
from torch import Tensor

from nmt import checkpoint, options
from nmt.batch import Batch
from nmt.config import Precision
from nmt.model.packed import is_packed, pack_decoder
from nmt.model.seq2seq import Seq2Seq
from nmt.schema import Settings
from nmt.state import State, repeat
from tests.model.variants import SIZE, assert_learns, assert_same, each, variants

WORDS = 9
SOURCES = [[4, 5, 6, 7], [8], [6, 4, 8]]
TARGETS = [[5, 8], [7, 6, 4], [8]]
TOGETHER = Batch.of(SOURCES, TARGETS)


def build(settings: Settings) -> Seq2Seq:
    torch.manual_seed(5)
    model: Seq2Seq = options.build(Seq2Seq, settings, WORDS, WORDS)
    return model


NETWORKS = variants(Seq2Seq)
NETWORKS["encoder=none-slots"] = NETWORKS["encoder=none"] | {
    "decoder": {"hidden_size": SIZE, "attention": {"kind": "turing_machine", "source": "none"}}
}
# Those that differ in a number alone make the same tensors; the parts' own tests try them too.
MAKING = {
    name: settings
    for name, settings in NETWORKS.items()
    if not re.search(r"(?<!layers|.tions)=[\d.]+$", name)
}
LEARNING = {f"fp32-{name}": (one, False) for name, one in NETWORKS.items()}
LEARNING |= {f"bf16-{name}": (one, True) for name, one in MAKING.items()}


@pytest.mark.parametrize(("settings", "mixed"), LEARNING.values(), ids=LEARNING)
def test_every_parameter_learns(settings: Settings, mixed: bool) -> None:
    model = build(settings)
    with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
        features, _ = model(TOGETHER.source, TOGETHER.source_lengths, TOGETHER.target_input)
        loss = model.output(features).float().logsumexp(dim=2)[TOGETHER.target_mask].sum()
    assert_learns(model, loss)


@pytest.mark.parametrize("settings", MAKING.values(), ids=MAKING)
def test_every_tensor_is_made_where_the_others_are(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a GPU a tensor that is made on the processor is an error; so it is on `meta`."""
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda device: False)  # it has none
    model = build(settings).to("meta")
    # Which tokens are padding cannot be asked there.
    batch = Batch.of([[5, 6], [7, 8]], [[5], [6]]).to(torch.device("meta"))
    features, weights = model(batch.source, batch.source_lengths, batch.target_input)
    model.output(features).sum().backward()
    assert {one.grad.device for one in model.parameters() if one.grad is not None} == {
        weights.device
    }
    with torch.no_grad():
        source = model.eval().encode(batch.source, batch.source_lengths)
        state = model.start(source)
        for tokens in batch.target_input.unbind(dim=1):
            feature, state, _ = model.step(tokens, source, state)
    assert feature.device == weights.device


@pytest.mark.parametrize("settings", MAKING.values(), ids=MAKING)
def test_weights_are_written_and_read(settings: Settings, tmp_path: Path) -> None:
    model, other = build(settings).eval(), build(settings).eval()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(1.0)
    checkpoint.write_weights(tmp_path, model)
    checkpoint.load_weights(other, tmp_path / checkpoint.WEIGHTS)
    batch = (TOGETHER.source, TOGETHER.source_lengths, TOGETHER.target_input)
    assert_same(other(*batch), model(*batch))


@pytest.mark.parametrize("settings", MAKING.values(), ids=MAKING)
def test_a_whole_target_is_the_same_as_word_by_word(settings: Settings) -> None:
    model = build(settings).double().eval()
    features, weights = model(TOGETHER.source, TOGETHER.source_lengths, TOGETHER.target_input)
    source = model.encode(TOGETHER.source, TOGETHER.source_lengths)
    state = model.start(source)
    for t, tokens in enumerate(TOGETHER.target_input.unbind(dim=1)):
        feature, state, weight = model.step(tokens, source, state)
        assert_same((feature, weight), (features[:, t], weights[:, t]))


@pytest.mark.parametrize("settings", MAKING.values(), ids=MAKING)
@torch.inference_mode()
def test_a_packed_network_says_nearly_the_same(settings: Settings) -> None:
    model = build(settings).eval()
    source = model.encode(TOGETHER.source, TOGETHER.source_lengths)

    def told() -> Tensor:
        """The logits after two words."""
        state = model.start(source)
        for tokens in TOGETHER.target_input[:, :2].unbind(dim=1):
            feature, state, _ = model.step(tokens, source, state)
        logits: Tensor = model.output(feature)
        return logits

    wanted, plain = told(), copy.deepcopy(model)
    for precision, tolerance in {"fp32": 1e-5, "bf16": 0.05, "int8": 0.1}.items():
        model = copy.deepcopy(plain)
        pack_decoder(model, cast("Precision", precision))
        assert is_packed(model)
        assert (told() - wanted).norm() <= tolerance * wanted.norm(), precision


@each(NETWORKS)
def test_what_search_reads_ahead_changes_nothing(settings: Settings) -> None:
    model = build(settings).double().eval()
    source = model.encode(TOGETHER.source, TOGETHER.source_lengths)
    words = [torch.tensor([4, 5, 6, 7, 8, 4]), torch.tensor([5, 8, 6, 6, 7, 4])]  # two hypotheses

    def stepped(source: State) -> list[State]:
        found: list[State] = []
        state = repeat(model.start(source), 2)
        for tokens in words:
            feature, state, weight = model.step(tokens, source, state)
            found.append((feature, state, weight))
        return found

    plain = stepped(source)
    model.project_words()
    for found, wanted in zip(stepped(model.project_memory(source)), plain, strict=True):
        assert_same(found, wanted)


@pytest.mark.parametrize("settings", MAKING.values(), ids=MAKING)
def test_a_sentence_is_the_same_alone_and_in_a_batch(settings: Settings) -> None:
    model = build(settings).double().eval()
    features, weights = model(TOGETHER.source, TOGETHER.source_lengths, TOGETHER.target_input)
    for row, (source, target) in enumerate(zip(SOURCES, TARGETS, strict=True)):
        alone = Batch.of([source], [target])
        found = model(alone.source, alone.source_lengths, alone.target_input)
        length, steps = len(source) + 1, len(target) + 1
        assert_same(found, (features[row, None, :steps], weights[row, None, :steps, :length]))
