"""Tokenizer files in use; that any text survives them is tested where they are trained."""

import json
from pathlib import Path

import pytest

from nmt.errors import UserError
from nmt.vocab import (
    BOS,
    EOS,
    JOINT,
    PAD,
    RESERVED,
    SEPARATE,
    UNK,
    Vocabulary,
    load_vocabularies,
    tokenizer_files,
)
from tests.decoding.tiny import byte_level


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / JOINT
    byte_level().save(str(path))
    return path


def test_the_reserved_ids_have_their_names(path: Path) -> None:
    named = {PAD: "<pad>", BOS: "<s>", EOS: "</s>", UNK: "<unk>"}
    assert {i: Vocabulary(path).tokenizer.id_to_token(i) for i in range(4)} == named


def test_ids_are_those_of_the_text_alone(path: Path) -> None:
    vocabulary = Vocabulary(path)
    (ids,) = vocabulary.encode(["the <s> cat</s>"])
    assert all(len(RESERVED) <= i < len(vocabulary) for i in ids)
    assert vocabulary.decode([ids]) == ["the <s> cat</s>"]


def test_reserved_ids_are_left_out_of_text(path: Path) -> None:
    vocabulary = Vocabulary(path)
    (ids,) = vocabulary.encode(["the cat"])
    assert vocabulary.decode([[BOS, *ids, UNK, EOS, PAD, PAD], []]) == ["the cat", ""]


def test_lone_surrogates_become_question_marks(path: Path) -> None:
    vocabulary = Vocabulary(path)
    assert vocabulary.decode(vocabulary.encode(["a\udc80b"])) == ["a?b"]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="expected a tokenizer here, found no file") as error:
        Vocabulary(tmp_path / "tokenizer.json")
    assert str(error.value).startswith(f"{tmp_path / 'tokenizer.json'}: ")


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b'{"version": "1.0"}'])
def test_a_file_that_is_no_tokenizer_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(UserError, match=r"tokenizer\.json: not a tokenizer file"):
        Vocabulary(tmp_path / "tokenizer.json")


def test_a_tokenizer_with_other_reserved_ids_is_refused(path: Path) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    words = content["model"]["vocab"]
    words["<s>"], words["</s>"] = words["</s>"], words["<s>"]
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(UserError, match=r"expected the ids 0 to 3 to be .*'<s>', '</s>'.*found"):
        Vocabulary(path)


def test_a_joint_vocabulary_is_one(path: Path) -> None:
    source, target = load_vocabularies(path.parent)
    assert source is target
    assert tokenizer_files(path.parent) == [path]


def test_separate_vocabularies_are_told_apart(tmp_path: Path) -> None:
    files = [tmp_path / name for name in SEPARATE]
    for file, size in zip(files, (280, 290), strict=True):
        byte_level(size).save(str(file))
    source, target = load_vocabularies(tmp_path)
    assert (len(source), len(target)) == (280, 290)
    assert tokenizer_files(tmp_path) == files


def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"tokenizer\.source\.json: expected a tokenizer here"):
        load_vocabularies(tmp_path)
