import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import limit, rates, steps, synthetic
from benchmarks.arithmetic import (
    Product,
    Sizes,
    decoding_products,
    mflop_per_target_token,
    operations,
    training_products,
)
from nmt import config, options
from nmt.config import Precision
from nmt.model.seq2seq import Seq2Seq
from tests import toy

SIZES = Sizes(batch=2, source_length=3, target_length=4)
MODEL: dict[str, Any] = {
    "embedding_size": 4,
    "encoder": {"kind": "recurrent", "hidden_size": 3, "dropout": 0.0},
    "decoder": {"hidden_size": 5, "attention": {"kind": "additive", "hidden_size": 7}},
    "readout_size": 6,
    "tie_embeddings": "none",
    "dropout": 0.0,
}
VOCABULARY = 40
M = 2 * 3 + 4  # the memory: both readings and the word
WEIGHTS = {  # by hand: inputs times outputs; GRU 3 gates, LSTM 4; features 5 + M + 4
    "source": 2 * (4 * 9 + 3 * 9) + M * 7,
    "sentence": M * 5,
    "target": 4 * 20 + 5 * 20 + M * 20 + 5 * 7 + (9 + M) * 6 + 4 * 6 + 6 * VOCABULARY,
}


@pytest.fixture
def model() -> Seq2Seq:
    torch.manual_seed(1)
    built: Seq2Seq = options.build(Seq2Seq, MODEL, VOCABULARY, VOCABULARY)
    return built


@pytest.fixture
def settings() -> config.Config:
    return config.from_dict(
        toy.settings(Path("toy")) | {"model": MODEL},
        "toy",
    )


def test_training_takes_three_products_for_each_weight_and_position(model: Seq2Seq) -> None:
    weights = 6 * WEIGHTS["source"] + 2 * WEIGHTS["sentence"] + 8 * WEIGHTS["target"]
    assert operations(training_products(model, SIZES)) == 3 * 2 * weights
    assert mflop_per_target_token(model, SIZES) == pytest.approx(6 * weights / 8 / 1e6)


def test_decoding_takes_one_product_for_each_hypothesis_but_one_for_each_source(
    model: Seq2Seq,
) -> None:
    rows = 2 * 1 + 3 * 2 * 5  # the first step has one hypothesis for each sentence
    words, contexts = 4 * 20, M * 20
    source, target = WEIGHTS["source"] + contexts, WEIGHTS["target"] - words - contexts
    weights = 6 * source + 2 * WEIGHTS["sentence"] + rows * target
    assert operations(decoding_products(model, SIZES, beam=5)) == 2 * weights


def test_the_count_is_what_the_decoder_does(model: Seq2Seq) -> None:
    batch = synthetic.batch(SIZES, VOCABULARY)
    encoded = model.encoder(model.source_embedding(batch.source), batch.source_lengths)
    embedded = model.target_embedding(batch.target_input)
    with FlopCounterMode(display=False) as counter:
        features, _ = model.decoder.forward_stepped(embedded, model.decoder.prepare(encoded))
        model.output(features)
    contexts = 2 * 2 * (1 + 4) * 3 * M  # the sums over the memory, which are left out,
    first = 2 * 2 * (5 * 7 + M * 20)  # the query before the first word, what the last would feed
    counted = [p for p in training_products(model, SIZES) if not p.name.startswith("encoder.")]
    assert 3 * (counter.get_total_flops() - contexts - first) == operations(counted)


def test_the_matched_model_costs_51_mflop_for_each_target_token_trained_on() -> None:
    settings = config.load(limit.MATCHED)
    model = synthetic.endless_model(settings)
    found = mflop_per_target_token(model, Sizes(batch=64, source_length=16, target_length=16))
    assert found == pytest.approx(51, rel=0.03)


def test_recurrent_products_go_step_by_step_and_their_weights_gradient_in_one(
    model: Seq2Seq,
) -> None:
    products = {product.name: product for product in training_products(model, SIZES)}
    name = "decoder.cell.recurrent"
    assert products[name] == Product(name, rows=2, inner=5, columns=20, times=4)
    gradient = products[f"{name}, weight's gradient"]
    assert (gradient.rows, gradient.inner, gradient.columns, gradient.times) == (20, 8, 5, 1)
    assert products["decoder.cell.input"].rows == 8 and products["decoder.cell.input"].times == 1


@pytest.mark.parametrize("kind", rates.ROUTES)
def test_every_route_gives_a_product_of_the_shape_that_was_asked_for(kind: str) -> None:
    routes, missing = rates.offered()
    assert {*routes.get(kind, {})} | {line.split()[1] for line in missing} >= {*rates.ROUTES[kind]}
    for route in routes.get(kind, {}).values():
        assert route(Product("any", 16, 32, 64))().shape == (16, 64)


def test_a_route_that_is_not_offered_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(product: Product) -> Any:
        raise NotImplementedError("no such product\nand a long story")

    monkeypatch.setitem(rates.ROUTES, "int8", {"odd": refuse})
    routes, missing = rates.offered()
    assert "int8" not in routes
    assert missing[-1] == "int8 odd (no such product)"


def test_nothing_is_packed_for_a_single_product() -> None:
    def never(product: Product) -> Any:
        raise AssertionError

    routes = {**rates.ROUTES["fp32"], "packed": never}
    rate = rates.best(Product("any", 8, 8, 8, weight=False), routes, budget=0.0)
    assert rate.route in {"plain", "transposed"}
    assert rate.gflops(Product("any", 8, 8, 8, times=9)) == pytest.approx(1024 / rate.seconds / 1e9)


@pytest.mark.parametrize("precision", steps.TRAINING)
def test_the_timed_training_step_learns_its_batch(
    model: Seq2Seq, settings: config.Config, precision: Precision
) -> None:
    before = copy.deepcopy(model.state_dict())
    batch = synthetic.batch(SIZES, VOCABULARY)
    step = steps.training_step(model, settings.training, batch, precision)
    losses = [float(step()) for _ in range(20)]
    assert losses[-1] < 0.7 * losses[0]
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("precision", steps.SEARCH)
def test_the_timed_search_never_ends_a_sentence_early(
    settings: config.Config, precision: Precision
) -> None:
    found = steps.search(settings, SIZES, beam=5, precision=precision)()
    assert [len(one.text.split()) for one in found] == [4, 4]
    assert all(one.cut for one in found)


def test_the_command_prints_a_share_for_each_step_and_precision(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "toy.yaml", tmp_path / "limit.json"
    file.write_text(yaml.safe_dump(toy.settings(tmp_path)))
    sizes = ["--batch", "2", "--source-length", "3", "--target-length", "4", "--seconds", "0.01"]
    words = ["--config", str(file), *sizes, "--rounds", "2", "--threads", "1", "--out", str(out)]
    assert limit.main(words) == 0
    toy.contains(capsys.readouterr().out, "training step, bf16", "search, beam 5, fp32", "share %")
    found = json.loads(out.read_text())
    for name, precisions in (("training step", steps.TRAINING), ("search, beam 5", steps.SEARCH)):
        for precision in precisions:
            one = found["steps"][name][precision]
            shares = [
                100 * limit / step
                for limit, step in zip(one["limit_s"], one["step_s"], strict=True)
            ]
            assert one["share_percent"] == pytest.approx(shares) and len(shares) == 2
            assert one["target_tokens_per_s"] == pytest.approx([8 / s for s in one["step_s"]])


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--config", "nowhere.yaml"], "limit: nowhere.yaml: expected a configuration file here"),
        (["--source-length", "1"], "limit: source_length: expected 2 or more, found 1"),
    ],
)
def test_a_mistake_is_one_sentence(
    words: list[str], reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "toy.yaml"
    file.write_text(yaml.safe_dump(toy.settings(tmp_path)))
    assert limit.main(["--threads", "1", "--config", str(file), *words]) == 2
    assert capsys.readouterr().err.startswith(reason)


def test_a_model_that_cannot_be_counted_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, settings = tmp_path / "toy.yaml", toy.settings(tmp_path)
    settings["model"]["encoder"] = {"kind": "self_attention"}
    file.write_text(yaml.safe_dump(settings))
    assert limit.main(["--threads", "1", "--config", str(file)]) == 2
    assert capsys.readouterr().err.startswith(f"limit: {file}: expected a recurrent encoder")
