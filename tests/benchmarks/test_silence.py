"""What a memory brings is measured by taking its reads away, and nothing else."""

from pathlib import Path

import pytest
import torch

from benchmarks import silence
from benchmarks.silence import silenced
from nmt import options
from nmt.cli import main
from nmt.model.seq2seq import Seq2Seq
from tests.toy import Toy

MEMORIES = {
    "slots": {"attention": {"kind": "turing_machine", "slots": 6, "slot_size": 4}},
    "hops": {"attention": {"kind": "memory_network", "hops": 2, "hidden_size": 4}},
    "past": {"self_attention": {"kind": "multihead", "heads": 2, "head_size": 4}},
}


@pytest.mark.parametrize("memory", MEMORIES)
def test_silence_is_what_weights_of_zero_would_say(memory: str) -> None:
    torch.manual_seed(1)
    settings = {"embedding_size": 8, "tie_embeddings": "none"}
    decoder = {"hidden_size": 8, **MEMORIES[memory]}
    model = options.build(Seq2Seq, {**settings, "decoder": decoder}, 12, 12, where="model").eval()
    ids, lengths = torch.randint(4, 12, (2, 5)), torch.tensor([5, 3])
    heard, _ = model(ids, lengths, ids)
    with silenced(model) as memories:
        unheard, _ = model(ids, lengths, ids)
    assert memories == 1
    assert not torch.allclose(heard, unheard)
    again, _ = model(ids, lengths, ids)
    assert torch.equal(heard, again)
    with torch.no_grad():
        if memory == "slots":  # what reads context gets nothing from the slots' four numbers
            model.decoder.context.weight[:, :4] = 0
        elif memory == "hops":  # the values of each read, C_1 and C_2; A_1 alone reads nothing
            model.decoder.attention.memories.weight[4:] = 0
        else:
            model.decoder.past.attention.out.weight.zero_()
    without, _ = model(ids, lengths, ids)
    size = None if memory == "hops" else model.decoder.sizes[0]  # the others keep their context
    torch.testing.assert_close(without[..., :size], unheard[..., :size])


def test_attention_to_the_source_is_not_silenced_with_the_slots() -> None:
    torch.manual_seed(1)
    machine = {"kind": "turing_machine", "source": "memory_network", "slots": 6, "slot_size": 4}
    model = options.build(Seq2Seq, {"decoder": {"attention": machine}}, 12, 12, where="model")
    ids, lengths = torch.randint(4, 12, (2, 5)), torch.tensor([5, 3])
    attention = model.decoder.attention
    read = model.encoder(model.source_embedding(ids), lengths)
    prepared = attention.prepare(read.memory, read.mask)
    query = torch.randn(2, attention.change.in_features)
    context, _, _ = attention(query, prepared, attention.start(prepared))
    with silenced(model) as memories:
        without, _, _ = attention(query, prepared, attention.start(prepared))
    assert memories == 1
    assert (without[:, :4] == 0).all() and (context[:, :4] != 0).any()
    assert torch.equal(without[:, 4:], context[:, 4:])


def test_a_run_with_a_memory_is_scored_with_it_and_without(
    toy: Toy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    machine = ["--model.decoder.attention.kind", "turing_machine"]
    run = tmp_path / "run"
    options = ["--training.max_steps", "30", "--training.folder", str(run)]
    assert main(["train", str(toy.config), *machine, *options]) == 0
    assert silence.main([str(run)]) == 0
    said = capsys.readouterr().out
    assert "with its memory's reads at zero" in said and "nrefs:" in said


def test_a_run_without_a_memory_is_refused(
    trained: Toy, capsys: pytest.CaptureFixture[str]
) -> None:
    assert silence.main([str(trained.run)]) == 2
    assert "found no memory to silence" in capsys.readouterr().err
