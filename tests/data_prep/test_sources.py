import gzip
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import huggingface_hub
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_prep import sources
from data_prep.corpus import Corpus, HeldOut, Pair
from data_prep.pipeline import prepare
from nmt.config import Data
from nmt.errors import UserError

MakeData = Callable[..., Data]
ROWS = [("one", "eins"), ("two", "zwei"), ("three", "drei")]


def _read(data: Data) -> Corpus:
    corpus = sources.read(data, lambda line: None)
    return replace(corpus, train=list(corpus.train))


def _lines(path: Path, *lines: str) -> str:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return str(path)


def test_plain_files_with_several_references(tmp_path: Path, make_data: MakeData) -> None:
    train = [_lines(tmp_path / "t.en", "a", "b"), _lines(tmp_path / "t.de", "x", "y")]
    test = [
        _lines(tmp_path / "s.en", "p", "q", "r"),
        _lines(tmp_path / "r1.de", "1", "", ""),
        _lines(tmp_path / "r2.de", "2", "3", ""),
    ]
    corpus = _read(make_data({"kind": "files", "train": train, "test": test}))
    assert corpus.train == [("a", "x"), ("b", "y")]
    assert corpus.validation is None
    # A reference that is missing is None; a row is never dropped.
    assert corpus.test == HeldOut(["p", "q", "r"], [["1", "2"], [None, "3"], [""]])
    assert corpus.test.targets == ["1", "3", ""]


def test_table_columns_default_to_the_languages_or_the_first_two(
    tmp_path: Path, make_data: MakeData
) -> None:
    tsv = _lines(tmp_path / "a.tsv", "one\teins\tthird", "two\tzwei\tthird")
    jsonl = _lines(tmp_path / "a.jsonl", json.dumps({"de": "drei", "en": "three"}))
    corpus = _read(make_data({"kind": "files", "train": [tsv], "test": [jsonl]}))
    assert corpus.train == ROWS[:2]
    assert corpus.test == HeldOut(["three"], [["drei"]])
    corpus = _read(make_data({"kind": "files", "train": [tsv], "columns": [3, 1]}))
    assert corpus.train == [("third", "one"), ("third", "two")]


def test_shards_are_read_in_the_order_of_their_names(tmp_path: Path, make_data: MakeData) -> None:
    for number in (10, 2, 1):
        table = pa.table({"en": [f"e{number}"], "de": [f"d{number}"]})
        pq.write_table(table, tmp_path / f"part-{number:03}.parquet")
    _lines(tmp_path / "more.jsonl", json.dumps({"de": "drei", "en": "three"}))
    shards, more = str(tmp_path / "part-*.parquet"), str(tmp_path / "more.jsonl")
    data = make_data({"kind": "files", "train": [more, shards]})
    assert _read(data).train == [("three", "drei"), ("e1", "d1"), ("e2", "d2"), ("e10", "d10")]
    assert len(sources.inputs(data)) == 4
    with pytest.raises(UserError, match=r"none-\*: expected files like this, found none"):
        _read(make_data({"kind": "files", "train": [str(tmp_path / "none-*")]}))


MEMORY = """<?xml version="1.0"?>
<!DOCTYPE tmx SYSTEM "tmx14.dtd">
<tmx version="1.4"><header srclang="en"/><body>
 <tu><tuv xml:lang="en-GB"><seg>Press <bpt i="1">&lt;b></bpt>OK<ept i="1">&lt;/b></ept>,
   then <hi>Save<ph>{0}</ph></hi>.</seg></tuv>
  <tuv xml:lang="fr"><seg>rien</seg></tuv><tuv xml:lang="DE"><seg>Erst OK.</seg></tuv></tu>
 <tu><tuv xml:lang="en"><seg>no German</seg></tuv></tu>
 <tu><tuv lang="de"><seg>alt</seg></tuv><tuv lang="en_US"><seg>old &amp; new</seg></tuv></tu>
 <tu><tuv xml:lang="en"><seg> </seg></tuv><tuv xml:lang="de"><seg>leer</seg></tuv></tu>
</body></tmx>"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_translation_memory_is_a_corpus(
    tmp_path: Path, make_data: MakeData, encoding: str
) -> None:
    file = tmp_path / "memory.tmx"
    file.write_bytes(MEMORY.replace("?>", f' encoding="{encoding}"?>', 1).encode(encoding))
    units = [("Press OK, then Save.", "Erst OK."), ("old & new", "alt")]
    assert _read(make_data({"kind": "files", "train": [str(file)]})).train == units
    swapped = make_data({"kind": "files", "train": [str(file)], "columns": ["de", "en"]})
    assert _read(swapped).train == [(target, source) for source, target in units]


def test_a_native_code_between_two_words_leaves_them_two(
    tmp_path: Path, make_data: MakeData
) -> None:
    file = tmp_path / "memory.tmx"
    seg = 'one<ph>&lt;br/></ph>two<ph/>, thr<bpt i="1">b</bpt>e<ept i="1">/b</ept>e'
    told = "".join(f'<tuv xml:lang="{code}"><seg>{seg}</seg></tuv>' for code in ("en", "de"))
    file.write_text(f"<tmx><body><tu>{told}</tu></body></tmx>")
    found = _read(make_data({"kind": "files", "train": [str(file)]})).train
    assert [*found] == [("one two, three", "one two, three")]


def test_of_two_regions_the_named_one_is_read(tmp_path: Path, make_data: MakeData) -> None:
    file = tmp_path / "memory.tmx.gz"
    variants = (("pt-BR", "trem"), ("pt-PT", "comboio"), ("en-GB", " "), ("en-US", "train"))
    told = "".join(f'<tuv xml:lang="{code}"><seg>{text}</seg></tuv>' for code, text in variants)
    packed = gzip.compress(f"<tmx><body><tu>{told}</tu></body></tmx>".encode())
    file.write_bytes(packed)

    def pairs(*columns: str) -> list[Pair]:
        corpus = {"kind": "files", "train": [str(file)], "columns": [*columns]}
        return [*_read(make_data(corpus)).train]

    assert pairs("pt_PT", "pt-BR") == [("comboio", "trem")]
    assert pairs("en", "pt") == [("train", "trem")]
    with pytest.raises(UserError, match="in pt and pt-AO, found none among those in en-GB, en-US"):
        pairs("pt", "pt-AO")
    with pytest.raises(UserError, match="expected units in eng and por, found none"):
        pairs("eng", "por")


@pytest.mark.parametrize(
    ("content", "message"),
    [(MEMORY[:-30], "a whole TMX file, found"), ("<xliff/>", "found no <body> in it"), ("", "TMX")],
)
def test_what_is_no_translation_memory_is_refused(
    tmp_path: Path, make_data: MakeData, content: str, message: str
) -> None:
    file = tmp_path / "memory.tmx"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=rf"memory\.tmx: expected .*{message}"):
        _read(make_data({"kind": "files", "train": [str(file)]}))


def test_unequal_line_counts_name_both_files(tmp_path: Path, make_data: MakeData) -> None:
    train = [_lines(tmp_path / "t.en", "a", "b", "c"), _lines(tmp_path / "t.de", "x", "y")]
    with pytest.raises(UserError, match=r"t\.en has 3 lines but .*t\.de has 2") as caught:
        _read(make_data({"kind": "files", "train": train}))
    assert "\n" not in str(caught.value)


def test_empty_part(tmp_path: Path, make_data: MakeData) -> None:
    none = [_lines(tmp_path / "t.en"), _lines(tmp_path / "t.de")]
    some = [_lines(tmp_path / "s.en", "a"), _lines(tmp_path / "s.de", "x")]
    with pytest.raises(UserError, match="the test part is empty"):
        _read(make_data({"kind": "files", "train": some, "test": none}))
    with pytest.raises(UserError, match="the training part is empty"):
        prepare(make_data({"kind": "files", "train": none}), lambda line: None)


def test_missing_file_is_noticed_before_reading(tmp_path: Path, make_data: MakeData) -> None:
    with pytest.raises(UserError, match=r"none\.en: expected a file here"):
        sources.inputs(make_data({"kind": "files", "train": [str(tmp_path / "none.en"), "x"]}))


@pytest.mark.parametrize(
    ("corpus", "message"),
    [
        ({"train": ["a.txt"]}, r"data\.corpus\.train: expected two plain text files, or .tsv"),
        ({"train": ["a.tsv", "b.txt"]}, "found a.tsv, b.txt"),
        ({"train": ["a.po", "b.po"]}, "expected two plain text files, .*found a.po, b.po"),
        ({"train": []}, "found none"),
        ({"train": ["a.de.gz", "a.en"]}, r"source file \(en\) first, .* \(de\), found a\.de"),
        ({"train": ["a.en", "b.en"]}, r"first, then the target \(de\), found a\.en, b\.en"),
        ({"test": ["1.en", "2.en", "1.de", "2.de"]}, r"corpus\.test: expected the source file"),
        ({"train": ["a.tsv"], "columns": [1]}, r"expected two, source and target, found \[1\]"),
        ({"train": ["a.en", "a.de"], "columns": [2, 1]}, "plain text files have no columns"),
    ],
)
def test_wrong_numbers_of_files_and_columns(
    make_data: MakeData, corpus: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        _read(make_data({"kind": "files", "train": ["t.tsv"], **corpus}))


def test_a_pattern_takes_no_hidden_files(tmp_path: Path, make_data: MakeData) -> None:
    train = _lines(tmp_path / "1.tsv", "one\teins")
    (tmp_path / "._1.tsv").write_bytes(b"\0\xff")  # so a Mac writes on other systems' disks
    found = sources.inputs(make_data({"kind": "files", "train": [str(tmp_path / "*.tsv")]}))
    assert [*found] == [train]


def test_training_has_one_reference(tmp_path: Path, make_data: MakeData) -> None:
    train = [_lines(tmp_path / name, "a") for name in ("t.en", "t1.de", "t2.de")]
    with pytest.raises(UserError, match="expected two plain files, found 3"):
        _read(make_data({"kind": "files", "train": train}))


@pytest.fixture
def hub_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[list[dict[str, Any]]], Path]:
    """Writes a local data set of the hub's shape; its splits are one, one and all rows."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")

    def write(rows: list[dict[str, Any]]) -> Path:
        folder = tmp_path / "hub"
        folder.mkdir(exist_ok=True)
        for split, part in (("train", rows), ("validation", rows[:1]), ("test", rows[1:2])):
            table = datasets.Dataset.from_list(part)
            table.to_parquet(str(folder / f"{split}-00000-of-00001.parquet"))
        return folder

    return write


FLAT = [{"en": source, "de": target, "id": 1} for source, target in ROWS]
NESTED = [{"id": 1, "translation": {"de": target, "en": source}} for source, target in ROWS]


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("rows", [FLAT, NESTED], ids=["flat", "translation"])
def test_hub_data_set_in_both_layouts(
    make_data: MakeData,
    hub_folder: Callable[..., Path],
    rows: list[dict[str, Any]],
    streaming: bool,
) -> None:
    settings = {"kind": "hub", "name": str(hub_folder(rows)), "streaming": streaming}
    corpus = _read(make_data(settings))
    assert corpus.train == ROWS
    assert _read(make_data({**settings, "take": 2})).train == ROWS[:2]
    assert corpus.validation == HeldOut(["one"], [["eins"]])
    assert corpus.test == HeldOut(["two"], [["zwei"]])


def test_local_hub_folder_is_read_again_when_it_changes(
    make_data: MakeData, hub_folder: Callable[..., Path], tmp_path: Path
) -> None:
    data = make_data({"kind": "hub", "name": str(hub_folder(FLAT)), "validation_split": None})
    before = sources.inputs(data)
    assert len(list(_read(data).train)) == 3
    then = (tmp_path / "hub/train-00000-of-00001.parquet").stat()
    folder = hub_folder(FLAT[:2])
    file = folder / "train-00000-of-00001.parquet"
    os.utime(file, (then.st_atime, then.st_mtime))  # as with `cp -p`
    assert sources.inputs(data).keys() == before.keys()
    assert sources.inputs(data) != before
    assert len(list(_read(data).train)) == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"test_split": "tset"}, r"test_split: .* no split 'tset', only train, validation, test"),
        ({"subset": "de-en"}, "could not be loaded: BuilderConfig 'de-en' not found"),
    ],
)
def test_hub_split_or_subset_that_is_not_there(
    make_data: MakeData,
    hub_folder: Callable[..., Path],
    settings: dict[str, str],
    message: str,
) -> None:
    with pytest.raises(UserError, match=message):
        _read(make_data({"kind": "hub", "name": str(hub_folder(FLAT)), **settings}))


@pytest.mark.parametrize("rows", [FLAT, NESTED], ids=["flat", "translation"])
def test_hub_language_that_is_not_there(
    make_data: MakeData, hub_folder: Callable[..., Path], rows: list[dict[str, Any]]
) -> None:
    corpus = {"kind": "hub", "name": str(hub_folder(rows))}
    with pytest.raises(UserError, match=r"no column 'fr', only .*en"):
        _read(make_data(corpus, target_language="fr"))


def test_without_network_one_sentence_says_what_to_do(
    make_data: MakeData, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable() -> None:
        raise ConnectionError

    def must_not_try(*args: object) -> None:
        pytest.fail("the library would try again and again")

    monkeypatch.setattr(huggingface_hub, "get_session", unreachable)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(datasets, "load_dataset", must_not_try)
    with pytest.raises(UserError, match="'some/set' could not be fetched") as caught:
        _read(make_data({"kind": "hub", "name": "some/set"}))
    assert "cannot be reached" in str(caught.value)
    assert "--data.corpus.kind files --data.corpus.train" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_version_on_the_hub_can_be_named(
    make_data: MakeData, hub_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = {"kind": "hub", "name": "some/set", "revision": "v2"}
    folder, load = hub_folder(FLAT), datasets.load_dataset

    def loaded(name: str, subset: str | None, *, revision: str, **others: Any) -> Any:
        assert (name, revision) == ("some/set", "v2")
        return load(str(folder), subset, **others)

    monkeypatch.setattr(datasets, "load_dataset", loaded)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    assert _read(make_data(corpus)).train == ROWS
    with pytest.raises(UserError, match=r"data\.corpus\.revision: a local folder has no versions"):
        _read(make_data({**corpus, "name": str(folder)}))


def test_a_column_that_is_no_text_is_named(
    make_data: MakeData, hub_folder: Callable[..., Path]
) -> None:
    rows = [{"en": [source], "de": target} for source, target in ROWS]
    data = make_data({"kind": "hub", "name": str(hub_folder(rows))})
    with pytest.raises(UserError, match=r"columns en, de: expected text, found \["):
        prepare(data, lambda line: None)


def test_a_stream_that_breaks_is_told_in_one_sentence(
    make_data: MakeData, hub_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Lost(Exception):
        """As in the HTTP library: no OSError."""

    def breaking(self: object, size: int) -> Iterator[dict[str, list[str]]]:
        yield {"en": ["one"], "de": ["eins"]}
        raise Lost("the line is dead")

    monkeypatch.setattr(datasets.IterableDataset, "iter", breaking)
    settings = {"kind": "hub", "name": str(hub_folder(FLAT)), "streaming": True}
    held = {"validation_split": None, "test_split": None}
    with pytest.raises(UserError, match=r"could not be loaded: the line is dead; check"):
        prepare(make_data({**settings, **held}), lambda line: None)


def test_a_row_without_a_translation_is_empty(
    make_data: MakeData, hub_folder: Callable[..., Path]
) -> None:
    rows = [*NESTED[:2], {**NESTED[2], "translation": None}]
    corpus = {"kind": "hub", "name": str(hub_folder(rows))}
    assert _read(make_data(corpus)).train == [*ROWS[:2], ("", "")]


def test_a_column_of_text_may_be_called_translation(
    make_data: MakeData, hub_folder: Callable[..., Path]
) -> None:
    rows = [{"sentence": source, "translation": target} for source, target in ROWS]
    corpus = {"kind": "hub", "name": str(hub_folder(rows))}
    names = ["sentence", "translation"]
    assert _read(make_data({**corpus, "columns": names})).train == ROWS
    with pytest.raises(UserError, match=r"columns: expected two, source and target, found \['se"):
        _read(make_data({**corpus, "columns": names[:1]}))


def test_only_the_columns_of_text_are_read(
    make_data: MakeData, hub_folder: Callable[..., Path]
) -> None:
    folder = hub_folder(FLAT)
    for file in folder.iterdir():
        table = datasets.Dataset.from_parquet(str(file), cache_dir=str(folder.parent / "cache"))
        sounds = [{"bytes": b"no sound", "path": None}] * len(table)
        table.add_column("sound", sounds).cast_column("sound", datasets.Audio()).to_parquet(file)
    assert _read(make_data({"kind": "hub", "name": str(folder)})).train == ROWS


def test_one_language_alone_has_one_code(tmp_path: Path, make_data: MakeData) -> None:
    corpus = {"kind": "text", "train": [_lines(tmp_path / "a.en", "one", "two")]}
    with pytest.raises(UserError, match=r"text is one language alone.*found en and de"):
        _read(make_data(corpus))
    assert _read(make_data(corpus, target_language="en")).train == [("one", "one"), ("two", "two")]
