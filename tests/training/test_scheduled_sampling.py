"""Scheduled sampling: how large a share of its own words a decoder reads, and which."""

from pathlib import Path
from typing import Literal

import pytest
import torch

from nmt import options
from nmt.batch import Batch
from nmt.config import Training
from nmt.model.seq2seq import Seq2Seq
from nmt.training.module import TranslationModule
from nmt.training.objectives import Likelihood
from nmt.training.scheduled_sampling import mixed_input, sampling_rate
from nmt.vocab import BOS, EOS, PAD, RESERVED
from tests.toy import Toy
from tests.training.scripted import Script, settings

SENTENCES = 200
BATCH = Batch.of([[4, 5, 6]] * SENTENCES, [[7, 6, 4, 8], *[[5, 8]] * (SENTENCES - 1)])


def model() -> Seq2Seq:
    torch.manual_seed(1)
    built: Seq2Seq = options.build(Seq2Seq, {}, 9, 9)
    return built.eval()


@pytest.mark.parametrize(
    ("schedule", "middle"),
    [("linear", 0.25), ("exponential", 1 - 0.5**0.5), ("inverse_sigmoid", 0.25)],
)
def test_the_share_grows_from_none_to_the_one_asked_for(
    schedule: Literal["linear", "exponential", "inverse_sigmoid"], middle: float
) -> None:
    objective = Likelihood(sampling=0.5, sampling_schedule=schedule)
    shares = [sampling_rate(objective, progress) for progress in (-1.0, 0.0, 0.5, 1.0, 2.0)]
    assert shares == pytest.approx([0.0, 0.0, middle, 0.5, 0.5])
    growth = [sampling_rate(objective, step / 20) for step in range(21)]
    assert growth == sorted(growth)


def test_an_inverse_sigmoid_changes_most_in_the_middle() -> None:
    objective = Likelihood(sampling=0.5, sampling_schedule="inverse_sigmoid")
    assert sampling_rate(objective, 0.2) < 0.05
    assert sampling_rate(objective, 0.8) > 0.45


def test_about_that_share_of_the_words_are_the_models_own() -> None:
    network = model()
    with torch.no_grad():
        network.output.projection.bias[EOS] = 100.0  # search would end there, and read no further
    features, _ = network(BATCH.source, BATCH.source_lengths, BATCH.target_input)
    logits = network.output(features)[:, :, len(RESERVED) :]
    own = logits.argmax(dim=2) + len(RESERVED)
    differs = own[:, :-1] != BATCH.target_input[:, 1:]  # where a replacement shows
    mixed = mixed_input(network, BATCH, 0.3)
    replaced = mixed != BATCH.target_input
    assert torch.equal(mixed[:, 1:][replaced[:, 1:]], own[:, :-1][replaced[:, 1:]])
    words = BATCH.target_mask[:, 1:]
    assert (words & differs).sum() > SENTENCES / 2
    assert 0.2 < replaced[:, 1:][words & differs].float().mean() < 0.4
    assert (mixed[:, 0] == BOS).all()
    assert (mixed[:, 1:][~words] == BATCH.target_input[:, 1:][~words]).all()
    assert mixed[1, 3:].tolist() == [EOS, PAD]


def test_the_models_own_words_are_what_it_says_without_dropout() -> None:
    torch.manual_seed(2)
    network: Seq2Seq = options.build(Seq2Seq, {"dropout": 0.9, "word_dropout": 0.9}, 9, 9)
    mixed = []
    for training in (False, True):
        network.train(training)
        torch.manual_seed(3)
        mixed.append(mixed_input(network, BATCH, 0.5))
        assert network.training == training
    assert torch.equal(*mixed)


def test_a_share_of_none_is_teacher_forcing_and_no_pass_leaves_a_gradient() -> None:
    network = model()
    mixed = mixed_input(network, BATCH, 0.0)
    assert torch.equal(mixed, BATCH.target_input)
    module = TranslationModule(network, Training(folder=""), steps=1)
    loss, _, _ = module.loss(BATCH, 0.1)
    same, _, _ = module.loss(BATCH, 0.1, mixed)
    assert torch.equal(loss, same)
    assert all(parameter.grad is None for parameter in network.parameters())


@pytest.mark.filterwarnings("ignore:In CPU autocast")
def test_in_bf16_a_second_pass_leaves_every_gradient_where_it_was() -> None:
    torch.manual_seed(1)
    small = {"hidden_size": 8, "attention": {"kind": "additive", "hidden_size": 8}}
    settings = {"encoder": {"hidden_size": 8}, "decoder": small, "embedding_size": 8}
    network: Seq2Seq = options.build(Seq2Seq, settings, 9, 9)
    module = TranslationModule(network, Training(folder=""), steps=1)
    batch = Batch.of([[4, 5, 6]] * 4, [[7, 6, 4, 8]] * 4)
    with torch.autocast("cpu", torch.bfloat16):
        loss, _, _ = module.loss(batch, 0.1, mixed_input(network, batch, 0.5))
    loss.backward()  # type: ignore[no-untyped-call]
    assert [name for name, one in network.named_parameters() if one.grad is None] == []


def test_a_run_that_samples_trains_on_other_input_from_the_second_update_on(
    toy: Toy, tmp_path: Path
) -> None:
    updated = {}
    for share in (0.0, 0.9):
        script = Script()
        script.run(
            settings(
                *(toy, tmp_path / str(share)),
                training__objective={"kind": "likelihood", "sampling": share},
                training__max_steps=4,
                training__validate_every=4,
            )
        )
        updated[share] = script.updated
    first, last = (
        [torch.cat([w.flatten() for w in updated[share][step].values()]) for share in (0.0, 0.9)]
        for step in (1, 4)
    )
    assert torch.equal(*first)
    assert not torch.equal(*last)
