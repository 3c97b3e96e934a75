"""The whole network: what is shared, what is refused, and that it learns."""

import random

import pytest
import torch
from torch import Tensor

from nmt import options
from nmt.batch import Batch
from nmt.decoding.search import beam_search
from nmt.errors import UserError
from nmt.model.seq2seq import Seq2Seq
from nmt.schema import Settings
from nmt.state import State, repeat
from nmt.training.loss import smoothed_cross_entropy
from nmt.vocab import RESERVED
from tests.model.variants import assert_same

WORDS = len(RESERVED) + 10


def network(size: int = 8, words: int = WORDS, **settings: object) -> Seq2Seq:
    torch.manual_seed(16)
    small: Settings = {
        "embedding_size": size,
        "encoder": {"kind": "recurrent", "hidden_size": size, "dropout": 0.0},
        "decoder": {
            "hidden_size": 2 * size,
            "attention": {"kind": "additive", "hidden_size": size},
        },
        "dropout": 0.0,
    }
    model: Seq2Seq = options.build(Seq2Seq, small | settings, WORDS, words, where="model")
    return model


def batch_of(*lengths: int, seed: int = 1) -> Batch:
    """Random sentences; the target is the source reversed."""
    draw = random.Random(seed)
    sources = [[draw.randrange(len(RESERVED), WORDS) for _ in range(n)] for n in lengths]
    return Batch.of(sources, [source[::-1] for source in sources])


def translate(model: Seq2Seq, batch: Batch) -> list[list[int]]:
    """Greedy search."""

    def step(tokens: Tensor, source: State, state: State) -> tuple[Tensor, State]:
        features, state, _ = model.step(tokens, source, state)
        return model.output(features), state

    with torch.inference_mode():
        source = model.eval().encode(batch.source, batch.source_lengths)
        found = beam_search(
            step,
            source,
            model.start(source),
            batch.source_lengths + 3,
            beam_size=1,
            length_penalty=0.0,
            n_best=1,
        )
    return [best.tokens for (best,) in found]


def targets(batch: Batch) -> list[list[int]]:
    rows = zip(batch.labels.tolist(), batch.target_lengths.tolist(), strict=True)
    return [row[: length - 1] for row, length in rows]


def learn(model: Seq2Seq, optimizer: torch.optim.Optimizer, batch: Batch) -> float:
    """One update; the loss in nats a word before it."""
    features, _ = model.train()(batch.source, batch.source_lengths, batch.target_input)
    mask, projection = batch.target_mask, model.output.projection
    loss, _ = smoothed_cross_entropy(
        model.output.readout(features[mask]),
        projection.weight,
        projection.bias,
        batch.labels[mask],
        0.0,
    )
    loss = loss / mask.sum()
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.item()


@pytest.mark.parametrize(
    ("tie", "shared"), [("none", 3), ("target", 2), ("all", 1)], ids=["none", "target", "all"]
)
def test_tied_matrices_are_one(tie: str, shared: int) -> None:
    model = network(tie_embeddings=tie)
    matrices = (
        model.source_embedding.weight,
        model.target_embedding.weight,
        model.output.projection.weight,
    )
    assert len({id(matrix) for matrix in matrices}) == shared
    assert (matrices[1] is matrices[2]) == (tie != "none")


def test_parameters_are_counted_once() -> None:
    embeddings = 2 * WORDS * 8
    encoder = 2 * (3 * 8 * (8 + 8) + 2 * 3 * 8)  # two GRUs with two biases
    memory = 2 * 8 + 8  # both readings and the word
    attention = (memory + 1) * 8 + 16 * 8 + 8  # U and its bias, W, v
    decoder = 4 * 16 * (8 + memory + 16) + 4 * 16 + (memory + 1) * 16  # [y, c, s], bias, bridge
    output = (16 + memory + 8 + 1) * 8 + 8 * 8 + WORDS  # readout, its shortcut, bias
    tied = embeddings + encoder + attention + decoder + output
    assert network(tie_embeddings="target").parameters_count() == tied
    assert network(tie_embeddings="none").parameters_count() == tied + WORDS * 8
    assert network(tie_embeddings="all").parameters_count() == tied - WORDS * 8


@pytest.mark.parametrize(
    ("shortcut", "encoder", "first"),
    [
        ("words", True, 16 + 16),  # s, and both readings
        ("words", False, 16),
        ("context", True, 16),
        ("none", True, None),
    ],
)
def test_the_readout_shortcut_takes_its_part_of_the_context(
    shortcut: str, encoder: bool, first: int | None
) -> None:
    """Past a tanh whose weights are zero nothing else comes through."""
    settings = {"kind": "recurrent", "hidden_size": 8, "shortcut": encoder}
    output = network(readout_shortcut=shortcut, encoder=settings).output
    with torch.no_grad():
        output.hidden.weight.zero_()
        output.hidden.bias.zero_()
    features = torch.randn(3, output.hidden.in_features, requires_grad=True)
    [gradient] = torch.autograd.grad(output.readout(features).abs().sum(), features)
    read = gradient[0].nonzero().squeeze(1).tolist()
    assert read == ([] if first is None else list(range(first, features.shape[1] - 8)))


@pytest.mark.parametrize(
    ("settings", "words", "message"),
    [
        (
            {"tie_embeddings": "target", "readout_size": 9},
            WORDS,
            r"^model: tie_embeddings: target needs readout_size = embedding_size \(8\), found 9$",
        ),
        (
            {"tie_embeddings": "all"},
            WORDS + 1,
            "^model: tie_embeddings: all needs one vocabulary for both languages, found two; set",
        ),
        (
            {
                "encoder": {
                    "kind": "recurrent",
                    "cell": {"kind": "gru", "reset_after": False, "layer_norm": True},
                }
            },
            WORDS,
            "layer_norm: true needs reset_after: true, found false",
        ),
    ],
)
def test_contradictions_are_refused(settings: Settings, words: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        network(words=words, **settings)


def test_an_untied_readout_may_have_any_size() -> None:
    model = network(readout_size=5, tie_embeddings="none")
    assert model.output.projection.weight.shape == (WORDS, 5)


@pytest.mark.parametrize(
    "settings",
    [
        {"dropout": 0.5},
        {"word_dropout": 0.5},
        {"encoder": {"kind": "recurrent", "hidden_size": 8, "dropout": 0.5}},
        {"encoder": {"kind": "self_attention", "heads": 2, "head_size": 4, "dropout": 0.5}},
        {"decoder": {"hidden_size": 8, "layers": 2, "dropout": 0.5}},
    ],
    ids=["dropout", "word_dropout", "encoder", "self-attention", "decoder"],
)
def test_dropout_acts_in_training_only(settings: Settings) -> None:
    model, batch = network(**settings), batch_of(3, 5)

    def logits() -> Tensor:
        features, _ = model(batch.source, batch.source_lengths, batch.target_input)
        found: Tensor = model.output(features)
        return found

    assert not torch.equal(logits(), logits())
    model.eval()
    assert torch.equal(logits(), logits())


def test_words_are_dropped_on_both_sides() -> None:
    model = network(word_dropout=0.9999)
    one, other = batch_of(4, seed=1), batch_of(4, seed=2)
    features, expected = (
        model(batch.source, batch.source_lengths, batch.target_input)[0] for batch in (one, other)
    )
    assert not torch.equal(one.source, other.source)
    assert torch.equal(features, expected)
    assert (features[:, :, -8:] == 0).all()  # the previous word's embedding


def test_words_are_scaled_on_their_way_in_on_both_sides() -> None:
    plain, scaled, batch = network(), network(embedding_scale=3.0), batch_of(2, 6, 4)
    for embedding in (plain.source_embedding, plain.target_embedding):
        embedding.weight.data *= 3
    (features, weights), (expected, others) = (
        model.eval()(batch.source, batch.source_lengths, batch.target_input)
        for model in (scaled, plain)
    )
    assert_same((features, weights), (expected, others))


def test_hypotheses_of_a_sentence_share_its_source() -> None:
    model, batch = network().double().eval(), batch_of(2, 6, 4)
    source = model.encode(batch.source, batch.source_lengths)
    tokens = torch.randint(len(RESERVED), WORDS, (3 * 4, 3))
    shared, copied = repeat(model.start(source), 4), repeat(model.start(source), 4)
    for token in tokens.unbind(dim=1):
        one, shared, weights = model.step(token, source, shared)
        other, copied, expected = model.step(token, repeat(source, 4), copied)
        assert_same((one, weights), (other, expected))


@pytest.mark.parametrize(
    ("encoder", "decoder", "expected"),
    [
        ("gru", "lstm", "fused encoder and decoder"),
        ("lstm", "lstm", "encoder step by step (no fused path for these options)"),
        ("lstm", "gru", "encoder and decoder step by step (no fused path for these options)"),
    ],
)
def test_the_slow_parts_are_named(encoder: str, decoder: str, expected: str) -> None:
    model = network(
        encoder={"kind": "recurrent", "cell": encoder}, decoder={"cell": decoder, "hidden_size": 8}
    )
    assert model.paths() == expected


def test_it_overfits_one_batch() -> None:
    model, batch = network(16), batch_of(3, 6, 1, 5, 4, 2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    losses = [learn(model, optimizer, batch) for _ in range(80)]
    assert losses[0] > 2.0
    assert losses[-1] < 0.02
    assert translate(model, batch) == targets(batch)


def test_it_learns_to_reverse_a_sequence() -> None:
    draw = random.Random(2)
    model = network(32)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    steps = 200
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
    for step in range(steps):
        batch = batch_of(*(draw.randint(1, 6) for _ in range(64)), seed=step)
        learn(model, optimizer, batch)
        schedule.step()
    unseen = batch_of(*(3 + i % 4 for i in range(400)), seed=steps)
    pairs = zip(translate(model, unseen), targets(unseen), strict=True)
    assert sum(found == expected for found, expected in pairs) >= 0.95 * 400
