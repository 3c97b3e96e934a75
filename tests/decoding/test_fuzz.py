"""Files of any bytes through everything but the search: no line is lost, in any format."""

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nmt.batch import Batch
from nmt.cli import main
from nmt.config import Decoding
from nmt.decoding import file_translation
from nmt.decoding.engine import Engine
from nmt.decoding.search import Hypothesis
from nmt.decoding.translator import Translator
from nmt.vocab import RESERVED
from tests.decoding import tiny
from tests.nasty import TEXTS

WAYS = ("text", "jsonl", "packed", "paragraphs", "health", "shards")


def echo(
    self: Engine, batch: Batch, decoding: Decoding, count: int | None = None
) -> list[list[Hypothesis]]:
    """Every token said again: what the tokenizer makes of any bytes comes out once more."""
    rows = [[number for number in row if number >= len(RESERVED)] for row in batch.source.tolist()]
    return [[Hypothesis(row, -1.0, -0.5, True)] for row in rows]


def translate(run: Path, source: Path, out: Path, *options: str) -> bytes:
    words = ["translate", run, "-i", source, "-o", out, "--workers", "1", *options]
    assert main(list(map(str, words))) == 0
    made = next(out.parent.glob(f"{out.stem}*"))
    found = gzip.decompress(made.read_bytes()) if out.suffix == ".gz" else made.read_bytes()
    for path in out.parent.glob("*out*"):
        path.unlink()
    return found


def lines_survive(content: bytes, way: str, run: Path, folder: Path) -> None:
    source, out = folder / "in", folder / "out.txt"
    source.write_bytes(content)
    match way:
        case "jsonl":
            found = translate(run, source, out, "--format", "jsonl")
            for line in filter(None, map(str.strip, found.decode().split("\n"))):
                assert json.loads(line).keys() >= {"source", "text"}
        case "packed":
            source = source.with_suffix(".gz")
            source.write_bytes(gzip.compress(content))
            found = translate(run, source, folder / "out.gz")
        case "shards":
            found = b"".join(
                translate(run, source, out, "--shard", part) for part in ("1/2", "2/2")
            )
        case "health":
            found = translate(run, source, out, "--health", str(folder / "ill-out"))
        case _:
            found = translate(run, source, out, *(["--paragraphs"] if way == "paragraphs" else []))
    # Each object has a line end, even if the last line of the input has none.
    unended = way == "jsonl" and content != b"" and not content.endswith(b"\n")
    assert found.count(b"\n") == content.count(b"\n") + unended


@pytest.mark.parametrize(
    "examples", [60, pytest.param(10_000, marks=pytest.mark.slow)], ids=["few", "many"]
)
def test_no_byte_loses_a_line_in_any_format(
    examples: int, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    translator = tiny.translator()
    monkeypatch.setattr(Translator, "load", lambda *_, **__: translator)
    monkeypatch.setattr(Engine, "search", echo)
    monkeypatch.setattr(file_translation, "BLOCK", 2)
    run, folder = tmp_path_factory.mktemp("run"), tmp_path_factory.mktemp("fuzz")
    tiny.save_run(run, {})

    @settings(max_examples=examples, suppress_health_check=list(HealthCheck))
    @given(TEXTS, st.sampled_from(WAYS))
    def survive(content: bytes, way: str) -> None:
        lines_survive(content, way, run, folder)

    survive()
