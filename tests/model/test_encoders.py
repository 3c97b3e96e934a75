"""The recurrent encoder against torch's bidirectional GRU, and what its summary is."""

import pytest
import torch
from torch import nn
from torch.nn.utils import rnn

from nmt.model.encoders import RecurrentEncoder
from tests.model.variants import assert_same, perturb

INPUT, HIDDEN, LENGTHS = 5, 4, [5, 2, 1]


def torchs(ours: RecurrentEncoder, layers: int, bidirectional: bool) -> nn.GRU:
    """torch's GRU with the same weights."""
    theirs = nn.GRU(INPUT, HIDDEN, layers, bidirectional=bidirectional, batch_first=True).double()
    names = {"input": "ih", "recurrent": "hh"}
    with torch.no_grad():
        for path, parameter in ours.named_parameters():
            _, layer, direction, module, kind = path.split(".")
            suffix = f"l{layer}" + ("_reverse" if direction == "1" else "")
            theirs.get_parameter(f"{kind}_{names[module]}_{suffix}").copy_(parameter)
    return theirs


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_memory_is_that_of_torchs_gru(layers: int, bidirectional: bool) -> None:
    torch.manual_seed(11)
    encoder = RecurrentEncoder(
        INPUT, hidden_size=HIDDEN, layers=layers, bidirectional=bidirectional, shortcut=False
    )
    perturb(encoder.eval())
    words = torch.randn(3, 5, INPUT, dtype=torch.double)
    encoded = encoder(words, torch.tensor(LENGTHS))
    packed = rnn.pack_padded_sequence(words, torch.tensor(LENGTHS), batch_first=True)
    outputs, _ = torchs(encoder, layers, bidirectional)(packed)
    expected, _ = rnn.pad_packed_sequence(outputs, batch_first=True)
    assert_same(encoded.memory, expected)
    means = [row[:length].mean(dim=0) for row, length in zip(expected, LENGTHS, strict=True)]
    assert_same(encoded.summary, torch.stack(means))


def test_the_shortcut_puts_each_word_beside_its_reading() -> None:
    torch.manual_seed(13)
    bare, encoder = (RecurrentEncoder(INPUT, hidden_size=HIDDEN, shortcut=s) for s in (False, True))
    encoder.load_state_dict(bare.state_dict())
    words, lengths = torch.randn(3, 5, INPUT), torch.tensor(LENGTHS)
    found, readings = encoder.eval()(words, lengths), bare.eval()(words, lengths)
    real = readings.mask.unsqueeze(2)
    assert_same(found.memory, torch.cat([readings.memory, words * real], dim=2))
    means = (words * real).sum(dim=1) / lengths.unsqueeze(1)
    assert_same(found.summary, torch.cat([readings.summary, means], dim=1), tolerance=1e-6)


def test_dropout_is_off_while_translating_and_on_while_training() -> None:
    torch.manual_seed(12)
    encoder = RecurrentEncoder(INPUT, hidden_size=HIDDEN, shortcut=False, dropout=0.5)
    words, lengths = torch.randn(2, 5, INPUT), torch.tensor([5, 5])
    training = encoder(words, lengths).memory
    assert 0 < (training == 0).float().mean() < 1
    assert not (encoder.eval()(words, lengths).memory == 0).any()
