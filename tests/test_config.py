"""An experiment's settings: read, overridden, checked, and every one that we ship used."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from nmt import config, options
from nmt.batch import Batch
from nmt.config import EXAMPLE, Config
from nmt.errors import UserError
from nmt.model.seq2seq import Seq2Seq
from nmt.schema import Settings, differing
from nmt.training.module import TranslationModule

ROOT = Path(__file__).parent.parent
SHIPPED = sorted((ROOT / "configs").glob("*.yaml"))

TEXT = """
data:
  folder: data/toy
  source_language: en
  target_language: es
  corpus: {kind: files, train: [a.en, a.es], columns: [1, 2]}
model:
  encoder: {kind: recurrent, cell: {kind: gru, reset_after: false}, layers: 2}
  decoder: {cell: lstm}
training:
  folder: checkpoints/toy
  learning_rate: 1e-3
"""

LSTM = {"forget_bias": 1.0, "layer_norm": False, "recurrent_dropout": 0.0}

Override = tuple[str, Sequence[str]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "toy.yaml"
    path.write_text(TEXT, encoding="utf-8")
    return path


def changed(old: str, new: str) -> str:
    assert old in TEXT
    return TEXT.replace(old, new)


def test_what_the_file_says_and_the_defaults_for_the_rest(file: Path) -> None:
    found = config.load(file)
    assert found.data.corpus["train"] == ["a.en", "a.es"]
    assert found.data.corpus["validation"] is None
    assert found.data.tokenizer == config.Tokenizer()
    assert found.training.learning_rate == 0.001
    assert found.training.label_smoothing == 0.1
    assert found.decoding == config.Decoding(health=found.decoding.health)
    assert found.decoding.health["loop"] == 3
    assert found.model["encoder"]["cell"]["reset_after"] is False
    attention = {"kind": "additive", "hidden_size": 256, "coverage": False}
    assert found.model["decoder"]["attention"] == attention


def test_settings_written_back_to_yaml_are_the_same(file: Path) -> None:
    found = config.load(file)
    again = config.from_dict(yaml.safe_load(yaml.safe_dump(asdict(found))), "again")
    assert again == found


def test_a_tilde_is_the_users_folder(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.setenv("USERPROFILE", "/home/ada")
    read = config.load(
        file, [("training.folder", ["~/runs"]), ("data.synthetic", ["~/made.jsonl"])]
    )
    assert read.training.folder == "/home/ada/runs"
    assert read.data.synthetic == ["/home/ada/made.jsonl"]


def test_chunks_have_a_length(file: Path) -> None:
    with pytest.raises(UserError, match=r": training\.longer: chunk needs training\.max_length"):
        config.load(file, [("training.longer", ["chunk"])])


@pytest.mark.parametrize(
    ("was", "now", "found"),
    [
        ({"a": {"b": True}}, {"a": {"b": False}}, [("a.b", True, False)]),
        ({"a": 0}, {"a": None}, [("a", 0, None)]),
        ({"a": 1}, {}, [("a", 1, None)]),
        ({}, {"a": "x"}, [("a", None, "x")]),
        ({"a": [1]}, {"a": [1, 2]}, [("a", [1], [1, 2])]),
        ({}, {"a": False, "b": 0, "c": "", "d": []}, []),
        ({"a": []}, {"a": None}, []),
        ({"a": 1, "b": {"c": 2}}, {"b": {"c": 2}, "a": 1}, []),
    ],
)
def test_which_settings_differ(was: Settings, now: Settings, found: list[Any]) -> None:
    assert list(differing(was, now)) == found


def test_a_path_may_stand_alone_for_a_list(file: Path) -> None:
    found = config.load(file, [("data.corpus.train", ["pairs.tsv"])])
    assert found.data.corpus["train"] == ["pairs.tsv"]
    assert config.load(file, [("data.synthetic", ["b.jsonl"])]).data.synthetic == ["b.jsonl"]


def value(found: Config, key: str) -> Any:
    section: Any = asdict(found)
    for name in key.split("."):
        section = section[name]
    return section


@pytest.mark.parametrize(
    ("overrides", "key", "expected"),
    [
        ([("training.seed", ["7"])], "training.seed", 7),
        ([("training.seed", ["7"]), ("training.seed", ["8"])], "training.seed", 8),
        ([("training.learning_rate", ["2e-4"])], "training.learning_rate", 2e-4),
        ([("data.corpus.columns", ["null"])], "data.corpus.columns", None),
        ([("training.folder", ["my run"])], "training.folder", "my run"),
        ([("training.folder", ["{x"])], "training.folder", "{x"),
        ([("data.tokenizer.joint", ["true"])], "data.tokenizer.joint", True),
        ([("data.corpus.train", ["b.en", "b.es"])], "data.corpus.train", ["b.en", "b.es"]),
        ([("data.corpus.train", ["[b.en, b.es]"])], "data.corpus.train", ["b.en", "b.es"]),
        ([("data.corpus.columns", ["en", "es"])], "data.corpus.columns", ["en", "es"]),
        ([("model.encoder.layers", ["3"])], "model.encoder.layers", 3),
        ([("model.decoder.hidden_size", ["64"])], "model.decoder.hidden_size", 64),
        ([("model.decoder.cell", ["gru"])], "model.decoder.cell.kind", "gru"),
        ([("decoding.beam_size", ["1"])], "decoding.beam_size", 1),
    ],
    ids=str,
)
def test_any_key_can_be_overridden(
    file: Path, overrides: list[Override], key: str, expected: object
) -> None:
    assert value(config.load(file), key) != expected
    assert value(config.load(file, overrides), key) == expected


def test_an_override_leaves_its_neighbours_alone(file: Path) -> None:
    plain, found = (
        asdict(config.load(file, overrides))
        for overrides in ([], [("model.encoder.cell.layer_norm", ["true"])])
    )
    assert plain["model"]["encoder"]["cell"].pop("layer_norm") is False
    assert found["model"]["encoder"]["cell"].pop("layer_norm") is True
    assert found == plain


def test_an_option_of_a_kind_in_its_short_form_can_be_overridden(file: Path) -> None:
    found = config.load(file, [("model.decoder.cell.forget_bias", ["0.5"])])
    cell = found.model["decoder"]["cell"]
    assert cell == {"kind": "lstm", **LSTM, "forget_bias": 0.5}


@pytest.mark.parametrize("backwards", [False, True])
def test_another_kind_takes_its_own_defaults_and_the_overrides(file: Path, backwards: bool) -> None:
    overrides: list[Override] = [
        ("data.corpus.kind", ["tatoeba"]),
        ("data.corpus.language", ["uk"]),
        ("model.encoder.cell.kind", ["lstm"]),
        ("model.encoder.cell.layer_norm", ["true"]),
    ]
    found = config.load(file, overrides[::-1] if backwards else overrides)
    assert found.data.corpus == {"kind": "tatoeba", "language": "uk"}
    cell = found.model["encoder"]["cell"]
    assert cell == {"kind": "lstm", **LSTM, "layer_norm": True}
    assert found.model["encoder"]["layers"] == 2


def test_the_same_kind_again_keeps_its_options(file: Path) -> None:
    found = config.load(file, [("model.encoder.cell.kind", ["gru"])])
    assert found.model["encoder"]["cell"]["reset_after"] is False


def test_the_default_kind_named_again_keeps_the_options_of_a_part_without_one(file: Path) -> None:
    file.write_text(file.read_text().replace("kind: recurrent", "shortcut: false"))
    found = config.load(file, [("model.encoder.kind", ["recurrent"])])
    assert found.model["encoder"]["layers"] == 2
    other = config.load(file, [("model.encoder.kind", ["self_attention"])])
    assert other.model["encoder"]["kind"] == "self_attention" and other.model["encoder"]["shortcut"]


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_a_kind_that_has_no_options_of_its_own_leaves_the_others(kind: str, file: Path) -> None:
    file.write_text(file.read_text().replace("  corpus:", "  tokenizer: {joint: true}\n  corpus:"))
    found = config.load(file, [("data.tokenizer.kind", [kind])]).data.tokenizer
    assert (found.kind, found.joint) == (kind, True)


@pytest.mark.parametrize("words", [["recurrent", "self_attention"], ["[recurrent]"]])
def test_several_kinds_are_refused(words: list[str], file: Path) -> None:
    overrides = [("model.encoder.kind", words), ("model.encoder.layers", ["3"])]
    with pytest.raises(UserError, match=r"model\.encoder\.kind: unknown value"):
        config.load(file, overrides)


def test_the_kind_of_a_part_comes_before_those_within_it(file: Path) -> None:
    overrides = [
        ("model.encoder.order.kind", ["recurrent"]),
        ("model.encoder.kind", ["self_attention"]),
    ]
    for given in (overrides, overrides[::-1]):
        assert config.load(file, given).model["encoder"]["order"]["kind"] == "recurrent"


def test_a_part_within_a_kind_in_its_short_form_stays(file: Path) -> None:
    overrides = [("model.encoder", ["recurrent"]), ("model.encoder.cell.kind", ["lstm"])]
    for given in (overrides, overrides[::-1]):
        assert config.load(file, given).model["encoder"]["cell"]["kind"] == "lstm"


def test_an_override_reaches_one_of_two_places_that_share_an_anchor(file: Path) -> None:
    text = file.read_text().replace("cell: {", "cell: &c {").replace("cell: lstm", "cell: *c")
    file.write_text(text)
    found = config.load(file, [("model.encoder.cell.layer_norm", ["true"])]).model
    norms = [found[part]["cell"]["layer_norm"] for part in ("encoder", "decoder")]
    assert norms == [True, False]


def test_a_hash_in_a_word_is_part_of_it(file: Path) -> None:
    assert config.load(file, [("training.folder", ["runs/a #2"])]).training.folder == "runs/a #2"


def test_a_word_that_yaml_reads_otherwise_can_be_quoted(file: Path) -> None:
    for word, found in (("no", "False"), ("2024", "2024"), ("2024-11-26", "datetime.date")):
        with pytest.raises(UserError, match=f'found {found}.*; to name a word, write "{word}" in'):
            config.load(file, [("training.folder", [word])])
        said = config.load(file, [("training.folder", [f'"{word}"'])])
        assert said.training.folder == word


def test_a_key_that_stands_twice_is_refused(file: Path) -> None:
    file.write_text(f"{file.read_text()}training: {{folder: other}}\n")
    with pytest.raises(UserError, match=r"not valid YAML: the key 'training' stands twice.*line"):
        config.load(file)


def test_what_looks_like_a_date_and_is_none_is_a_word(file: Path) -> None:
    found = config.load(file, [("training.folder", ["2020-13-45"])])
    assert found.training.folder == "2020-13-45"
    file.write_text("training: {folder: 2020-13-45}\n")
    with pytest.raises(UserError, match="not valid YAML"):
        config.load(file)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            changed("learning_rate", "learning_rat"),
            "training.learning_rat: unknown key; did you mean 'learning_rate'? allowed: ",
        ),
        (changed("model:", "modle:"), "modle: unknown key; did you mean 'model'? allowed: data, "),
        (changed("layers", "layer"), "model.encoder.layer: unknown key; did you mean 'layers'?"),
        (
            changed("cell: lstm", "cell: lsmt"),
            "model.decoder.cell.kind: unknown value 'lsmt'; did you mean 'lstm'? allowed: gru, ",
        ),
        (
            changed("kind: files", "kind: tatoba"),
            "data.corpus.kind: unknown value 'tatoba'; did you mean 'tatoeba'? allowed: files, ",
        ),
        (changed("layers: 2", "layers: many"), "model.encoder.layers: input should be a valid"),
        (
            changed("layers: 2", "layers: 0"),
            "model.encoder.layers: input should be greater than 0, found 0",
        ),
        (
            changed("1e-3", "-1e-3"),
            "training.learning_rate: input should be greater than 0, found '-1e-3'",
        ),
        (
            changed("source_language: en", "source_language: no"),
            "data.source_language: input should be a valid string, found False",
        ),
        (
            changed("source_language: en", "source_language: en/formal"),
            "data.source_language: string should match pattern ",
        ),
        (
            changed("  folder: data/toy\n", ""),
            "data.folder: this key is required (where `nmt prepare` writes and `nmt train` reads.)",
        ),
        (changed("checkpoints/toy", "[a, b]"), "training.folder: input should be a valid string"),
        (
            changed("learning_rate: 1e-3", "seed: 20261130123456"),
            "training.seed: input should be less than 4294967296, found 20261130123456",
        ),
        (
            "training: {folder: x}",
            "data: this key is required (from raw corpora",
        ),
    ],
    ids=lambda text: text[-40:],
)
def test_a_mistake_names_the_file_the_key_and_what_is_allowed(
    file: Path, text: str, message: str
) -> None:
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as error:
        config.load(file)
    assert str(error.value).startswith(f"{file}: {message}")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (("training.sed", ["1"]), "training.sed: unknown key; did you mean 'seed'?"),
        (("trainin.seed", ["1"]), "trainin: unknown key; did you mean 'training'?"),
        (("training.seed", ["1", "2"]), "training.seed: input should be a valid integer"),
        (("training.seed.x", ["1"]), "training.seed: input should be a valid integer"),
        (("model.encoder.kind", ["a", "b"]), "model.encoder.kind: unknown value ['a', 'b']"),
    ],
    ids=str,
)
def test_a_mistake_in_an_override_is_named_too(
    file: Path, override: Override, message: str
) -> None:
    with pytest.raises(UserError) as error:
        config.load(file, [override])
    assert str(error.value).startswith(f"{file} and the command line: {message}")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "expected a configuration file here, found none"),
        (b"", "expected keys and values in YAML, as configs/ has them, found nothing"),
        (b"- a\n- b\n", "expected keys and values in YAML, as configs/ has them, found a list"),
        (
            b"One line.\nAnother.\n",
            "expected keys and values in YAML, as configs/ has them, found plain",
        ),
        (b"data: [1, 2\n", "not valid YAML: while parsing a flow sequence"),
        (b"data: caf\xe9\n", "expected a YAML file in UTF-8, found other bytes"),
    ],
    ids=["missing", "empty", "list", "text", "torn", "latin-1"],
)
def test_a_file_that_is_no_configuration_is_named(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    path = tmp_path / "toy.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError) as error:
        config.load(path)
    assert str(error.value).startswith(f"{path}: {message}")
    assert "\n" not in str(error.value)


def test_a_folder_is_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="expected a configuration file here, found none"):
        config.load(tmp_path)


def test_the_least_configuration_is_enough() -> None:
    assert config.from_dict(EXAMPLE, "the example").training.folder == "checkpoints/NAME"


def test_there_are_configurations_to_test() -> None:
    assert SHIPPED


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_configuration_loads_and_trains(path: Path) -> None:
    found = config.load(path)
    assert found.training.folder == f"checkpoints/{path.stem}"
    torch.manual_seed(found.training.seed)
    words = 300
    model: Seq2Seq = options.build(Seq2Seq, found.model, words, words, where="model")
    module = TranslationModule(model, found.training, steps=10)
    batch = Batch.of([[5, 6, 7], [8, 9]], [[words - 1], [10, 11]])
    loss, _, tokens = module.loss(batch, found.training.label_smoothing)
    assert tokens == 5
    loss.backward()  # type: ignore[no-untyped-call]
    before = [parameter.detach().clone() for parameter in model.parameters()]
    setup = module.configure_optimizers()
    setup["optimizer"].step()
    assert loss.isfinite()
    for old, new in zip(before, model.parameters(), strict=True):
        assert new.isfinite().all()
        assert not torch.equal(old, new)
