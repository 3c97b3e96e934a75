"""Training pairs of which a machine made one side, from the command line to the student's run."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from nmt.cli import main
from nmt.decoding import file_translation
from nmt.decoding.synthetic import Pairs
from nmt.lines import Line
from nmt.translation import Translation, unchanged
from nmt.vocab import load_vocabularies
from tests.patience import Cut
from tests.toy import Answer, Toy, contains, sentences, translated, write_lines


def rows(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_self_training_puts_the_machines_side_last(trained: Toy, tmp_path: Path) -> None:
    lines = write_lines(tmp_path / "mono.xx", ["bo ba", "", "de fi fo"])
    words = ["synthesize", str(trained.run), "-i", str(lines), "-o", str(tmp_path / "made.jsonl")]
    assert main(words) == 0
    assert main(["translate", str(trained.run), "-i", str(lines), "-o", str(tmp_path / "t")]) == 0
    said = (tmp_path / "t").read_text().splitlines()
    expected = [{"xx": "bo ba", "yy": said[0]}, {"xx": "de fi fo", "yy": said[2]}]
    assert rows(tmp_path / "made.jsonl") == expected


def test_back_translation_puts_the_machines_side_first_and_tags_it(
    trained: Toy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = write_lines(tmp_path / "mono.xx", ["bo ba", " "])
    made = tmp_path / "made.jsonl"
    words = ["synthesize", str(trained.run), "--back", "-i", str(lines), "-o", str(made)]
    assert main(words) == 0
    contains(capsys.readouterr().err, f"{made}: 1 pairs; left out: blank 1")
    [row] = rows(made)
    # The run is for the other direction: its source is the new system's target.
    assert list(row) == ["yy", "xx"]
    assert row["xx"] == "bo ba" and row["yy"].startswith("<BT> ")
    assert main([*words, "--tag", ""]) == 0
    assert rows(made)[0]["yy"] == row["yy"].removeprefix("<BT> ")


@pytest.mark.parametrize(
    ("translation", "reason"),
    [
        (unchanged("a"), "a copy"),
        (replace(unchanged("b"), cut=True), "cut at the length limit"),
        (unchanged(" "), "blank"),
    ],
)
def test_flawed_pairs_are_left_out_and_counted(translation: Translation, reason: str) -> None:
    pairs = Pairs(["xx", "yy"])
    assert pairs(Line("a", "\n"), translation) == ""
    assert (
        pairs(Line("a\u2028\r", "\n"), unchanged("b\n")) == '{"xx": "a\u2028\\r", "yy": "b\\n"}\n'
    )
    assert pairs.told() == f"1 pairs; left out: {reason} 1"


def test_synthesis_goes_on_where_it_was_cut(
    trained: Toy,
    tmp_path: Path,
    cut: Cut,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(file_translation, "BLOCK", 40)
    lines = write_lines(tmp_path / "mono.xx", [*sentences(100, seed=3), "", ""])
    made = tmp_path / "made.jsonl"
    words = ["synthesize", str(trained.run), "-i", str(lines), "-o", str(made), "--workers", "1"]
    assert main(words) == 0
    whole, told = made.read_bytes(), capsys.readouterr().err.splitlines()[-1]
    assert "blank 2" in told
    made.unlink()
    for blocks in (1, 1):
        cut(blocks)
        assert main([*words, "--resume"]) == 130
        assert not made.exists()
    capsys.readouterr()
    cut(99)
    assert main([*words, "--resume"]) == 0
    assert made.read_bytes() == whole and capsys.readouterr().err.splitlines()[-1] == told
    assert cut.left == 98  # one block was left
    assert main([*words, "--resume"]) == 0
    assert "made.jsonl: is there already" in capsys.readouterr().err


def test_teaching_goes_on_where_it_was_cut(
    trained: Toy, tmp_path: Path, cut: Cut, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_translation, "BLOCK", 40)
    words = ["distill", str(_student(trained, tmp_path)), str(trained.run), "--threads", "1"]
    cut(4)
    assert main(words) == 130
    assert not list(tmp_path.glob("prepared-distilled.*.jsonl"))
    cut(99)
    assert main(words) == 0
    done = 99 - cut.left
    [made] = tmp_path.glob("prepared-distilled.*.jsonl")
    assert 0 < done < 4  # of seven blocks
    assert len(rows(made)) > 200


def test_the_output_must_be_named_as_what_it_is(trained: Toy, answer: Answer) -> None:
    contains(
        answer("synthesize", trained.run, "-o", "made.txt"),
        "ends in .jsonl or .jsonl.gz, found made.txt",
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tag", "ST"], "--tag: expected a word in angle brackets, such as <BT>"),
        (["--tag", "<BT-de>"], "found '<BT-de>'"),
        (["-i", "."], "--input: expected plain text, a sentence a line, found a folder"),
        (["-i", "mono.jsonl.gz"], "found a .jsonl file: mono.jsonl.gz"),
        (["-i", "mono.po"], "found a .po file"),
    ],
)
def test_what_would_make_wrong_pairs_is_refused(
    options: list[str], message: str, trained: Toy, answer: Answer, tmp_path: Path
) -> None:
    made = tmp_path / "made.jsonl"
    contains(answer("synthesize", trained.run, "-o", made, *options), message)


def test_torchrun_is_not_for_what_one_process_does(
    trained: Toy, tmp_path: Path, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, number in (("WORLD_SIZE", "2"), ("RANK", "0"), ("TORCHELASTIC_RUN_ID", "none")):
        monkeypatch.setenv(name, number)
    words = ["distill", _student(trained, tmp_path), trained.run, "--training.processes", "2"]
    contains(answer(*words), "leave torchrun out")
    made = tmp_path / "made.jsonl"
    contains(answer("synthesize", trained.run, "-o", made), "leave torchrun out")


def _student(trained: Toy, folder: Path) -> Path:
    settings: dict[str, Any] = yaml.safe_load(trained.config.read_text())
    settings["data"]["folder"] = str(folder / "prepared")
    settings["training"] |= {"folder": str(folder / "student"), "max_steps": 2, "validate_every": 2}
    path = folder / "student.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def test_a_student_learns_from_its_teachers_on_leak_free_data(
    trained: Toy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = _student(trained, tmp_path)
    other = trained.copy_of_run(tmp_path / "other")
    words = ["distill", str(config), str(trained.run), str(other), "--beam-size", "2"]
    assert main(words) == 0
    capsys.readouterr()
    [made] = tmp_path.glob("prepared-distilled.*.jsonl")
    pairs = rows(made)
    known = set(sentences(300, seed=1))
    assert 200 < len(pairs) <= 260 and {row["xx"] for row in pairs} < known
    manifest = json.loads((tmp_path / "prepared-distilled" / "manifest.json").read_text())
    counts = manifest["counts"]["splits"]
    assert counts["train"] == 260 and 0 < counts["synthetic"] <= len(pairs)
    # The toy's teacher has learnt its language: most of what it says is what it was taught.
    right = sum(row["yy"] == translated(row["xx"]) for row in pairs)
    assert counts["synthetic"] <= len(pairs) - right
    for name in ("test.xx", "test.yy"):
        own = (tmp_path / "prepared-distilled" / name).read_bytes()
        assert own == (tmp_path / "prepared" / name).read_bytes()
    assert load_vocabularies(tmp_path / "student")
    assert main(words) == 0
    contains(capsys.readouterr().err, "are there already", "nothing to do", "is finished")


def test_a_teacher_does_not_translate_what_a_machine_has_made(
    trained: Toy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = tmp_path / "made.jsonl"
    [new] = sentences(1, seed=2)
    row = {"xx": f"<BT> {new}", "yy": translated(new)}
    made.write_text(json.dumps(row) + "\n")
    words = ["distill", str(_student(trained, tmp_path)), str(trained.run)]
    assert main([*words, "--data.synthetic", str(made)]) == 0
    contains(capsys.readouterr().err, "1 tagged sources are machine-made")
    [taught] = tmp_path.glob("prepared-distilled.*.jsonl")
    assert not any("<BT>" in row["xx"] for row in rows(taught))


def test_a_teacher_of_another_direction_is_refused(
    trained: Toy, tmp_path: Path, answer: Answer
) -> None:
    config = _student(trained, tmp_path)
    said = answer("distill", config, trained.run, "--data.source_language", "zz")
    contains(said, "expected a teacher for zz -> yy", "found one for xx -> yy")


def test_a_student_does_not_take_its_teachers_place(
    trained: Toy, tmp_path: Path, answer: Answer
) -> None:
    config = _student(trained, tmp_path)
    folder = trained.run.parent  # it holds the teacher
    said = answer("distill", config, trained.run, "--fresh", f"--training.folder={folder}")
    contains(said, "training.folder: expected another folder than the teacher's, found")
    assert trained.run.exists()


def test_a_student_learns_from_all_of_a_corpus(
    trained: Toy, tmp_path: Path, answer: Answer
) -> None:
    said = answer("distill", _student(trained, tmp_path), trained.run, "--data.piece", "100")
    contains(said, "data.piece: a student learns from what is prepared", "found pieces of 100")
