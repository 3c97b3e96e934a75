import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import datasets
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep import encode
from data_prep.corpus import HeldOut, Pair
from data_prep.encode import Measures, WordEncoder, encode_splits
from data_prep.tokenizer import train_tokenizers
from nmt.config import Tokenizer
from nmt.vocab import Vocabulary, load_vocabularies
from tests.data_prep.stored import stored

PAIRS = [(f"a sentence of number {n}, {n % 7}", f"ein Satz der Nummer {n}") for n in range(2000)]


HELD = HeldOut(["one", ""], [["eins", None], ["", "zwei"]])


def _encode(folder: Path, pairs: list[Pair]) -> dict[str, Measures]:
    return encode_splits(folder, stored(pairs), {"validation": HELD, "test": HELD})


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizers")
    train_tokenizers(folder, stored(PAIRS), Tokenizer(vocabulary_size=280))
    return folder


SPACES = [chr(code) for code in range(0x110000) if chr(code).isspace()]
# Units of white space, without which it would not matter where it is cut.
RUNS = [(f"a{one} {one}b  {one}", f"{one} {other} {one}") for one in SPACES for other in SPACES]


@pytest.fixture(scope="module", params=["bpe", "unigram"])
def vocabulary(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Vocabulary:
    folder = tmp_path_factory.mktemp("tokenizer")
    settings = Tokenizer(kind=request.param, vocabulary_size=1000, joint=True)
    train_tokenizers(folder, stored(PAIRS + RUNS), settings)
    return load_vocabularies(folder)[0]


ANY = st.characters(exclude_categories=["Cs"])
MIXED = st.lists(st.sampled_from([*SPACES, *" " * 20]) | st.sampled_from("an1'!é日\0ÿ") | ANY)


@settings(max_examples=100, deadline=None)
@given(st.lists(MIXED.map("".join)))
def test_word_by_word_is_the_same_as_whole(vocabulary: Vocabulary, texts: list[str]) -> None:
    found = WordEncoder(vocabulary).encode(pa.array(texts, pa.string()))
    assert found.to_pylist() == vocabulary.encode(texts)


@pytest.mark.parametrize("space", SPACES)
def test_a_run_of_white_space_is_not_cut(vocabulary: Vocabulary, space: str) -> None:
    texts = [f"a{space} b", f"a{space} {space}b", f" {space} a", f"a{space} ", f"  {space}a"]
    found = WordEncoder(vocabulary).encode(pa.array(texts, pa.string()))
    assert found.to_pylist() == vocabulary.encode(texts)


def test_words_are_forgotten_before_they_fill_the_memory(
    vocabulary: Vocabulary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encode, "MOST_KNOWN", 3)
    asked: list[list[str]] = []

    class Spy(Vocabulary):
        def __init__(self) -> None:
            self.tokenizer = vocabulary.tokenizer

        def encode(self, texts: Sequence[str]) -> list[list[int]]:
            asked.append(list(texts))
            return super().encode(texts)

    encoder = WordEncoder(Spy())
    for texts in (["a b a", "a b"], ["c b"], ["c b"]):
        found = encoder.encode(pa.array(texts, pa.string()))
        assert found.to_pylist() == vocabulary.encode(texts)
    assert asked == [["a", " b", " a"], ["c"], ["c", " b"]]  # four were more than three


def test_a_long_word_is_not_remembered(
    vocabulary: Vocabulary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encode, "LONGEST_KNOWN", 2)
    encoder = WordEncoder(vocabulary)
    for texts in (["ab abc b"], ["abc b abc"]):
        found = encoder.encode(pa.array(texts, pa.string()))
        assert found.to_pylist() == vocabulary.encode(texts)
    assert encoder._known.keys() == {"ab", " b"}


def _copy(tokenizers: Path, folder: Path) -> Path:
    folder.mkdir()
    for path in tokenizers.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def test_ids_and_measures_are_those_of_the_texts(tokenizers: Path, tmp_path: Path) -> None:
    folder = _copy(tokenizers, tmp_path / "out")
    measures = _encode(folder, PAIRS)
    train = datasets.load_from_disk(str(folder / "dataset"))["train"]
    vocabularies = load_vocabularies(folder)
    for side, name, vocabulary in zip((0, 1), ("source", "target"), vocabularies, strict=True):
        texts = [pair[side] for pair in PAIRS]
        ids = vocabulary.encode(texts)
        assert train[name][:] == texts
        assert train[f"{name}_ids"][:] == ids
        assert measures["train"][name] == {
            "words": sum(len(text.split()) for text in texts),
            "tokens": sum(map(len, ids)),
            "longest": max(map(len, ids)),
        }
    assert measures["validation"]["target"]["words"] == 1  # of the first references


def test_data_do_not_depend_on_the_block_size(
    tokenizers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = []
    for block in (encode.BLOCK, 1000, 99):
        monkeypatch.setattr(encode, "BLOCK", block)
        folder = _copy(tokenizers, tmp_path / str(block))
        measures = _encode(folder, PAIRS)
        splits = datasets.load_from_disk(str(folder / "dataset"))
        rows = {name: split[:] for name, split in splits.items()}
        assert rows["train"]["references"] == [[]] * len(PAIRS)
        contents.append((measures, rows))
    assert contents[0] == contents[1] == contents[2]


def test_ids_are_never_all_python_numbers_at_once(
    tokenizers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _copy(tokenizers, tmp_path / "out")
    pairs = [(5 * f"a sentence of number {n % 7} ", 5 * "ein Satz ") for n in range(2000)]
    monkeypatch.setattr(encode, "BLOCK", 50)
    _encode(folder, pairs[:50])  # imports what it needs
    tracemalloc.start()
    try:
        _encode(folder, pairs)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100 * len(pairs)  # a list of one sentence's ids takes more
