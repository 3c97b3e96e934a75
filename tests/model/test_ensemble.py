"""Several models as one: the mean of their probabilities, step by step and in one pass."""

import pytest
import torch
from torch import Tensor

from nmt.batch import Batch
from nmt.model.seq2seq import Ensemble, Seq2Seq
from nmt.state import State, select

BATCH = Batch.of([[5, 6, 7], [8, 9], [4]], [[6, 5], [7, 8, 9, 4], []])


def models(count: int) -> list[Seq2Seq]:
    """Of different sizes and cells: an ensemble mixes nothing but probabilities."""
    made = []
    for number in range(count):
        torch.manual_seed(number)
        decoder = {"cell": ["lstm", "gru"][number % 2], "hidden_size": 6 + number}
        made.append(Seq2Seq(12, 11, embedding_size=8 + 2 * number, decoder=decoder).eval())
    return made


def forced(model: Seq2Seq | Ensemble) -> tuple[Tensor, Tensor]:
    """Log-probabilities (B, T, V) and attention (B, T, S)."""
    features, weights = model(BATCH.source, BATCH.source_lengths, BATCH.target_input)
    logits: Tensor = model.output(features)
    return logits.log_softmax(-1), weights


@pytest.mark.parametrize("count", [1, 2, 3])
def test_probabilities_and_attention_are_means(count: int) -> None:
    members = models(count)
    found, weights = forced(Ensemble(members))
    each = [forced(member) for member in members]
    mean = torch.stack([gains.exp() for gains, _ in each]).mean(0)
    torch.testing.assert_close(found.exp(), mean)
    torch.testing.assert_close(weights, torch.stack([own for _, own in each]).mean(0))


def test_steps_are_the_forced_pass_and_follow_a_selection() -> None:
    together = Ensemble(models(2))
    expected, weights = forced(together)
    rows = torch.tensor([2, 0, 1])
    source = select(together.encode(BATCH.source, BATCH.source_lengths), rows)
    state: State = together.start(source)
    for t in range(BATCH.target_input.shape[1]):
        features, state, looked = together.step(BATCH.target_input[rows, t], source, state)
        found = together.output(features).log_softmax(-1)
        torch.testing.assert_close(found, expected[rows, t], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(looked, weights[rows, t], rtol=1e-5, atol=1e-5)
