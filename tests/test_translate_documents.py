"""Documents and paragraphs through `nmt translate`, with a run that knows the toy language."""

import builtins
import gzip
import json
import pickle
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polib
import pytest
import yaml
from lxml import etree

from nmt import checkpoint, config
from nmt.checkpoint import CONFIG
from nmt.cli import main
from nmt.decoding import file_translation
from nmt.decoding.jobs import Job
from nmt.documents.formats import FORMATS
from nmt.translation import Alignment, Translation, unchanged
from tests.documents.standin import shout
from tests.toy import Answer, Toy, contains, sentences, write_lines

ONE, TWO, THREE = sentences(3, seed=11)
WORD = ONE.split()[0]

PO = f"""
msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\\n"

#, c-format
msgid "{ONE} %s\\n"
msgstr ""

#, c-format
msgid "{TWO} %d"
msgid_plural "{THREE} %d"
msgstr[0] ""
msgstr[1] ""
"""
XLIFF = f"""<xliff xmlns="urn:oasis:names:tc:xliff:document:1.2" version="1.2">
<file original="a" source-language="xx" datatype="plaintext"><body>
<trans-unit id="1"><source><g id="1">{ONE}</g></source></trans-unit></body></file></xliff>
"""
XLIFF_2 = f"""<xliff xmlns="urn:oasis:names:tc:xliff:document:2.0" version="2.0" srcLang="xx">
<file id="f"><unit id="1"><segment><source><pc id="1">{ONE}</pc></source></segment></unit></file>
</xliff>
"""
TMX = f"""<tmx version="1.4"><header srclang="xx"/><body>
<tu><tuv xml:lang="xx"><seg><hi>{ONE}</hi></seg></tuv></tu></body></tmx>
"""
FILES = {"a.po": PO, "b.pot": PO, "c.xlf": XLIFF, "d.xliff": XLIFF_2, "e.tmx": TMX}


def translate(trained: Toy, source: Path, *options: object) -> int:
    words = ["translate", trained.run, "-i", source, "--workers", 1, *options]
    return main([str(word) for word in words])


def made_of(name: str, content: bytes) -> list[str]:
    """The translations that a document holds."""
    if name.endswith((".po", ".pot")):
        file = polib.pofile(content.decode())
        assert file.metadata["Language"] == "yy"
        plural = [text for entry in file for text in entry.msgstr_plural.values()]
        return [*(entry.msgstr for entry in file if entry.msgstr), *plural]
    root = etree.fromstring(content)
    inside = "{*}target/*" if "xliff" in root.tag else "tu/tuv[2]/seg/*"
    return [one.text for one in root.findall(f".//{inside}")]


@pytest.fixture(scope="module")
def said(trained: Toy, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What the run makes of each sentence, as plain lines."""
    folder = tmp_path_factory.mktemp("plain")
    source = write_lines(folder / "in", [ONE, TWO, THREE])
    assert translate(trained, source, "-o", folder / "out") == 0
    return (folder / "out").read_text().splitlines()


def wanted_of(name: str, said: list[str]) -> list[str]:
    if name.endswith((".po", ".pot")):
        return [f"{said[0]} %s\n", f"{said[1]} %d", f"{said[2]} %d"]
    return said[:1]


def test_every_format_is_tried() -> None:
    assert {Path(name).suffix for name in FILES} == FORMATS.keys()


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("packed", ["", ".gz"])
def test_a_document_is_translated(
    name: str, packed: str, trained: Toy, said: list[str], tmp_path: Path
) -> None:
    source, out = tmp_path / f"{name}{packed}", tmp_path / f"out-{name}{packed}"
    content = FILES[name].encode()
    source.write_bytes(gzip.compress(content) if packed else content)
    assert translate(trained, source, "-o", out) == 0
    made = gzip.decompress(out.read_bytes()) if packed else out.read_bytes()
    assert made_of(name, made) == wanted_of(name, said)
    if shutil.which("msgfmt") and name.endswith(".po"):
        (tmp_path / "made.po").write_bytes(made)
        subprocess.run(["msgfmt", "-c", "-o", tmp_path / "a.mo", tmp_path / "made.po"], check=True)


def test_a_document_is_translated_in_place(trained: Toy, tmp_path: Path) -> None:
    source = tmp_path / "a.po"
    source.write_text(PO, encoding="utf-8")
    assert translate(trained, source, "-o", source) == 0
    made = made_of("a.po", source.read_bytes())
    assert made and all(made)


def test_a_document_goes_to_standard_output(
    trained: Toy, said: list[str], tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    (tmp_path / "e.tmx").write_text(TMX)
    assert translate(trained, tmp_path / "e.tmx") == 0
    assert made_of("e.tmx", capfdbinary.readouterr().out) == said[:1]


def test_several_processes_translate_a_document(
    trained: Toy, said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def sent(thing: Any) -> Any:
        return pickle.loads(pickle.dumps(thing))

    def spread(load: Any, blocks: Any, workers: int, threads: int) -> Any:
        """Here, with all that crosses between processes."""
        asked.append(workers)
        work = sent(load)()
        return (sent(work(sent(block))) for block in blocks)

    monkeypatch.setattr(file_translation, "BLOCK", 1)
    monkeypatch.setattr(file_translation, "map_in_processes", spread)
    (tmp_path / "a.po").write_text(PO)
    words = ["translate", trained.run, "-i", tmp_path / "a.po", "-o", tmp_path / "b.po"]
    assert main([*map(str, words), "--workers", "2", "--threads", "2"]) == 0
    assert asked == [2]
    assert made_of("b.po", (tmp_path / "b.po").read_bytes()) == wanted_of("a.po", said)


def test_a_document_in_place_is_translated_when_resumed(trained: Toy, tmp_path: Path) -> None:
    for name in ("a.po", "b.po"):
        (tmp_path / name).write_text(PO)
    assert translate(trained, tmp_path / "a.po", "-o", tmp_path / "a.po") == 0
    assert translate(trained, tmp_path / "b.po", "-o", tmp_path / "b.po", "--resume") == 0
    assert (tmp_path / "b.po").read_bytes() == (tmp_path / "a.po").read_bytes() != PO.encode()


def test_a_folder_may_mix_documents_and_text(
    trained: Toy, said: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    (source / "deep").mkdir(parents=True)
    for name, content in FILES.items():
        (source / "deep" / name).write_text(content)
    write_lines(source / "plain.txt", [ONE, TWO])
    assert translate(trained, source, "-o", out) == 0
    assert (out / "plain.txt").read_text() == f"{said[0]}\n{said[1]}\n"
    for name in FILES:
        assert made_of(name, (out / "deep" / name).read_bytes()) == wanted_of(name, said)
    (out / "deep" / "c.xlf").unlink()
    capsys.readouterr()
    assert translate(trained, source, "-o", out, "--resume") == 0
    assert "a.po: is there already" in capsys.readouterr().err
    assert made_of("c.xlf", (out / "deep" / "c.xlf").read_bytes()) == wanted_of("c.xlf", said)


def test_a_damaged_file_does_not_keep_the_others_of_a_folder_waiting(
    trained: Toy, said: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    (source / "a.xlf").write_text("<xliff>")
    (source / "b.txt.gz").write_bytes(b"no such thing")
    write_lines(source / "c.txt", [ONE, TWO])
    assert translate(trained, source, "-o", out) == 2
    told = capsys.readouterr().err
    contains(
        told, "a.xlf, line 1: ", "b.txt.gz: expected a whole gzip file", "2 of its files could not"
    )
    assert (out / "c.txt").read_text() == f"{said[0]}\n{said[1]}\n"
    assert [path.name for path in out.iterdir()] == ["c.txt"]
    (source / "a.xlf").unlink()
    (source / "b.txt.gz").write_bytes(gzip.compress((source / "c.txt").read_bytes()))
    assert translate(trained, source, "-o", out, "--resume") == 0
    assert gzip.decompress((out / "b.txt.gz").read_bytes()) == (out / "c.txt").read_bytes()


def test_a_document_that_is_cut_short_leaves_nothing(
    trained: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*arguments: object) -> None:
        raise KeyboardInterrupt

    (tmp_path / "a.po").write_text(PO)
    monkeypatch.setattr("nmt.decoding.documents.joined", cut)
    assert translate(trained, tmp_path / "a.po", "-o", tmp_path / "b.po") == 130
    assert [path.name for path in tmp_path.iterdir()] == ["a.po"]


def test_the_user_is_told_of_segments_with_other_tags(
    trained: Toy,
    said: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("nmt.documents.parts.difference", lambda source, pieces: "a reason")
    (tmp_path / "a.po").write_text(PO)
    assert translate(trained, tmp_path / "a.po", "-o", tmp_path / "b.po") == 0
    told = capsys.readouterr().err
    contains(told, "a.po: 3 of 3 segments have other tags", "no translation, or a choice", "marked")
    entry = polib.pofile((tmp_path / "b.po").read_text())[0]
    assert (entry.fuzzy, entry.tcomment) == (True, "nmt: a reason")
    assert entry.msgstr == f"{said[0]}\n"


# paragraphs


def test_paragraphs_of_plain_text(trained: Toy, said: list[str], tmp_path: Path) -> None:
    # The toy language has no full stop and no capitals; sentences end all the same.
    line = f"  {ONE}!  {TWO.capitalize()}?\t{THREE.capitalize()}"
    source = write_lines(tmp_path / "in", [line, "", " ", ONE])
    assert translate(trained, source, "-o", tmp_path / "out", "--paragraphs") == 0
    first, *rest = (tmp_path / "out").read_text().split("\n")
    assert rest == ["", " ", said[0], ""]
    assert first.startswith("  ") and first.count("\t") == 1 and first.strip().count("  ") == 1


def as_translation(text: str) -> Translation:
    loud = shout(text)
    assert isinstance(loud.aligned, Alignment)
    return replace(unchanged(loud.text), alignment=loud.aligned)


@pytest.fixture
def sentences_read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the translator is asked for, which it says in capitals."""
    read: list[str] = []

    def say(self: object, texts: Sequence[str], **options: Any) -> list[Any]:
        read.extend(texts)
        return [as_translation(text) if text.strip() else unchanged(text) for text in texts]

    monkeypatch.setattr("nmt.decoding.translator.Translator.translate", say)
    return read


PARAGRAPH = "One two.  Three four? Five"


@pytest.mark.parametrize(
    ("name", "content", "options", "made"),
    [
        ("a.txt", f"{PARAGRAPH}\n\n", [], "ONE TWO.  THREE FOUR? FIVE\n\n"),
        ("a.tsv", f"1\t{PARAGRAPH}\n", ["--field", 2], "ONE TWO.  THREE FOUR? FIVE\n"),
        ("a.po", f'msgid "{PARAGRAPH}"\nmsgstr ""\n', [], '"ONE TWO.  THREE FOUR? FIVE"'),
    ],
)
def test_each_sentence_is_translated_on_its_own(
    name: str,
    content: str,
    options: list[object],
    made: str,
    sentences_read: list[str],
    trained: Toy,
    tmp_path: Path,
) -> None:
    (tmp_path / name).write_text(content)
    out = tmp_path / f"out-{name}"
    assert translate(trained, tmp_path / name, "-o", out, "--paragraphs", *options) == 0
    assert [text for text in sentences_read if text] == ["One two.", "Three four?", "Five"]
    assert made in out.read_text()
    sentences_read.clear()
    assert translate(trained, tmp_path / name, "-o", out, *options) == 0
    assert PARAGRAPH in sentences_read


def test_a_long_line_is_translated_in_parts_and_stays_a_line(
    sentences_read: list[str], trained: Toy, tmp_path: Path
) -> None:
    line = "one two " * 700
    (tmp_path / "in").write_text(f"{line}\nshort\n")
    assert translate(trained, tmp_path / "in", "-o", tmp_path / "out") == 0
    assert max(map(len, sentences_read)) <= 2000
    assert (tmp_path / "out").read_text() == f"{line.upper()}\nSHORT\n"


def test_resuming_without_paragraphs_is_refused(
    trained: Toy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_lines(tmp_path / "in", [ONE])
    (tmp_path / ".out.partial").write_bytes(b"x\n")
    journal = {"made_with": {}, "lines": 1, "bytes": 2, "digest": ""}
    for paragraphs in (False, True):
        made_with = {**Job([trained.run]).described(), "field": None, "format": "text"}
        journal["made_with"] = {**made_with, "paragraphs": not paragraphs}
        (tmp_path / ".out.journal").write_text(json.dumps(journal))
        options = ["--paragraphs"] if paragraphs else []
        assert translate(trained, source, "-o", tmp_path / "out", "--resume", *options) == 2
        assert "--resume with paragraphs" in capsys.readouterr().err


# mistakes


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["-i", "a.po", "--field", "1"], ["--field", "a.po", "lines of text"]),
        (["-i", "a.po", "--shard", "1/2"], ["--shard", "a.po", "as a whole"]),
        (["-i", "a.po", "--format", "jsonl"], ["--format jsonl", "a.po", "keeps its format"]),
        (["-i", "folder", "--field", "1"], ["--field", "c.xlf", "leave --field out"]),
        (
            ["-i", "plain", "--format", "jsonl", "--n-best", "2", "--paragraphs"],
            ["--paragraphs", "--n-best"],
        ),
        (["-i", "gone.po"], ["gone.po", "no such file"]),
        (["-i", "damaged.po"], ["damaged.po, line 2", "an entry of a PO file", "msgfmt -c"]),
        (["-i", "latin.po", "--strict"], ["latin.po, line 1", "UTF-8", "0xe9"]),
        (["-i", "damaged.xlf"], ["damaged.xlf, line 1", "well-formed XML"]),
        (["-i", "bomb.tmx"], ["bomb.tmx", "entity"]),
        (["-i", "text.po.gz"], ["text.po.gz", "gzip"]),
    ],
    ids=" ".join,
)
def test_mistakes(
    words: list[str], parts: list[str], trained: Toy, answer: Answer, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    places: Mapping[str, bytes] = {
        "a.po": PO.encode(),
        "plain": ONE.encode(),
        "folder/c.xlf": XLIFF.encode(),
        "damaged.po": b'msgid "a"\nnonsense\n',
        "latin.po": 'msgid "é"\nmsgstr ""\n'.encode("latin-1"),
        "damaged.xlf": b"<xliff><file></xliff>",
        "bomb.tmx": b'<!DOCTYPE tmx [<!ENTITY a "b">]><tmx/>',
        "text.po.gz": PO.encode(),
    }
    for name, content in places.items():
        (tmp_path / name).write_bytes(content)
    known = {*places, "folder", "gone.po"}
    given = [tmp_path / word if word in known else word for word in words]
    contains(answer("translate", trained.run, *given, "-o", tmp_path / "out"), *parts)
    assert not list(tmp_path.glob("*out*")), "an output that is not whole was left behind"


def test_wrong_bytes_are_replaced_and_counted(
    trained: Toy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.po").write_bytes(PO.encode() + b"# \xff\n")
    assert translate(trained, tmp_path / "a.po", "-o", tmp_path / "b.po") == 0
    assert "a.po: 1 lines are not UTF-8" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "library"), [("a.po", "polib"), ("c.xlf", "lxml"), ("e.tmx", "lxml")]
)
def test_a_library_that_is_missing_is_named(
    name: str,
    library: str,
    trained: Toy,
    answer: Answer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = builtins.__import__

    def without(wanted: str, *rest: Any, **options: Any) -> Any:
        if wanted.split(".")[0] == library:
            raise ImportError(wanted)
        return real(wanted, *rest, **options)

    (tmp_path / name).write_text(FILES[name])
    monkeypatch.setattr(builtins, "__import__", without)
    said = answer("translate", trained.run, "-i", tmp_path / name, "-o", tmp_path / "out")
    contains(said, name, f"need {library}", "pip install 'nmt[documents]'")


def test_what_looks_wrong_is_told_of_segments_and_of_sentences(
    trained: Toy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A threshold that no translation can stay under."""
    run = tmp_path / "run"
    shutil.copytree(trained.run, run)
    settings = yaml.safe_load((run / CONFIG).read_text())
    settings["decoding"]["health"] = {"ratio": 1.0, "unreached": 1000.0}
    checkpoint.write_config(run, config.from_dict(settings, "the test"))
    checkpoint.write_manifest(run, checkpoint.read_manifest(run))
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.po").write_text(PO.replace(ONE, rf"\033{ONE}"))
    write_lines(tmp_path / "in/b.txt", [f"{ONE} {TWO}", "", THREE])
    words = ["-i", tmp_path / "in", "-o", tmp_path / "out", "--health", tmp_path / "ill"]
    assert main(["translate", str(run), *map(str, words), "--paragraphs"]) == 0
    said = capsys.readouterr().err
    assert "a.po: 3 of 3 translations look wrong: ratio 3, unreached 3" in said
    assert "b.txt: 2 of 3 translations look wrong: ratio 2, unreached 2" in said
    places: dict[str, list[dict[str, Any]]] = {
        "a.po": [
            {"segment": number, "source": text}
            for number, text in enumerate((rf"\033{ONE} %s" "\n", f"{TWO} %d", f"{THREE} %d"), 1)
        ],
        "b.txt": [{"line": 1}, {"line": 3}],
    }
    for name, wanted in places.items():
        found = map(json.loads, (tmp_path / f"ill/{name}.jsonl").read_text().splitlines())
        reasons = ["ratio", "unreached"]
        assert list(found) == [{**place, "reasons": reasons} for place in wanted]
    assert main(["translate", str(run), "-i", str(tmp_path / "in/b.txt")]) == 0
    assert "2 of 3 translations look wrong: ratio 2 (--health" in capsys.readouterr().err
