from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.tokenizer import BYTES, train_tokenizers
from nmt.config import Tokenizer
from nmt.vocab import RESERVED, Vocabulary, load_vocabularies, tokenizer_files
from tests.data_prep.stored import stored

Kind = Literal["bpe", "unigram"]
KINDS: list[Kind] = ["bpe", "unigram"]
# The text is full of the reserved spellings, as a corpus about markup would be.
PAIRS = [
    (f"the <s> tag </s> number {n} <pad> <unk>", f"das <s> Zeichen </s> Nummer {n} <pad> <unk>")
    for n in range(60)
]
NASTY = [
    "",
    " ",
    "  two  spaces ",
    "tab\tand\nnew line\r\n",
    "<s>",
    "<pad></s><unk> <s>x</s>",
    "🙂👩‍👩‍👧 flags 🇺🇦",
    "e\u0301 combining \u0328",
    "\u0627\u0644\u0639\u0631\u0628\u064a\u0629 שלום",
    "no\u00a0break\u202fspace\u200b\ufeff",
    "\x00\x01\x7f\x85\u2028",
    "Ġ▁Ċ",
    "日本語とहिन्दी",
    "\U0010ffff\ufffd",
]


@pytest.fixture(scope="module", params=KINDS)
def vocabulary(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Vocabulary:
    folder = tmp_path_factory.mktemp("tokenizer")
    train_tokenizers(folder, stored(PAIRS), Tokenizer(kind=request.param, vocabulary_size=320))
    return load_vocabularies(folder)[0]


def test_nasty_texts_come_back_exactly(vocabulary: Vocabulary) -> None:
    assert vocabulary.decode(vocabulary.encode(NASTY)) == NASTY


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_any_unicode_text_comes_back_exactly(vocabulary: Vocabulary, text: str) -> None:
    assert vocabulary.decode(vocabulary.encode([text])) == [text]


def test_text_never_reaches_a_reserved_id(vocabulary: Vocabulary) -> None:
    texts = NASTY + [source for source, _ in PAIRS]
    assert min(i for ids in vocabulary.encode(texts) for i in ids) >= len(RESERVED)


def test_every_byte_has_an_id(vocabulary: Vocabulary) -> None:
    units = vocabulary.tokenizer.get_vocab()
    assert len(BYTES) == 256
    assert all(byte in units for byte in BYTES)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("joint", [False, True])
def test_files_and_sizes(tmp_path: Path, kind: Kind, joint: bool) -> None:
    settings = Tokenizer(kind=kind, vocabulary_size=270, joint=joint)
    sizes = train_tokenizers(tmp_path, stored(PAIRS), settings)
    assert {path.name for path in tokenizer_files(tmp_path)} == set(sizes)
    source, target = load_vocabularies(tmp_path)
    assert (source is target) is joint
    assert all(len(v) == size for v, size in zip((source, target), sizes.values(), strict=False))
    assert all(260 < size <= 270 for size in sizes.values())


@pytest.mark.parametrize("kind", KINDS)
def test_smallest_vocabulary_is_reserved_ids_and_bytes(tmp_path: Path, kind: Kind) -> None:
    train_tokenizers(tmp_path, stored(PAIRS), Tokenizer(kind=kind, vocabulary_size=260))
    source = load_vocabularies(tmp_path)[0]
    assert len(source) == 260
    assert source.decode(source.encode(NASTY)) == NASTY


@pytest.mark.parametrize("kind", KINDS)
def test_training_again_gives_the_same_files(tmp_path: Path, kind: Kind) -> None:
    contents = set()
    for number in range(3):
        folder = tmp_path / str(number)
        folder.mkdir()
        train_tokenizers(folder, stored(PAIRS), Tokenizer(kind=kind, vocabulary_size=300))
        contents.add(tuple(path.read_bytes() for path in tokenizer_files(folder)))
    assert len(contents) == 1
