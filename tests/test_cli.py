"""Every command, as a user calls it, over a small project that is prepared and trained for real."""

import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from nmt import Translator, checkpoint
from nmt.cli import main
from nmt.decoding import file_translation
from nmt.translation import Translation
from tests.toy import Toy, sentences, translated, write_lines

NEW = sentences(40, seed=7)
Run = Callable[..., str]
BLEU = r"BLEU \d+\.\d ± \d+\.\d \(nrefs:1\|bs:1000\|.*\|version:.*\)"


@pytest.fixture
def nmt(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command that must succeed; gives what it wrote to standard output."""
    monkeypatch.setattr("nmt.evaluation.report.PICTURES", 1)  # test_report.py counts them

    def run(*words: object) -> str:
        status = main([str(word) for word in words])
        out, err = capsys.readouterr()
        assert status == 0, err
        return out

    return run


def feed(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


# prepare and train


def test_prepare_says_what_it_did_and_writes_nothing_to_standard_output(toy: Toy) -> None:
    assert "kept: train 260, validation 20, test 20" in toy.said
    assert toy.said.splitlines()[-1] == f"prepared {toy.prepared}"
    assert toy.answered == ""


def test_prepare_again_has_nothing_to_do(toy: Toy, capsys: pytest.CaptureFixture[str]) -> None:
    before = (toy.prepared / "manifest.json").stat().st_mtime_ns
    assert main(["prepare", str(toy.config)]) == 0
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "nothing to do" in err
    assert (toy.prepared / "manifest.json").stat().st_mtime_ns == before


def test_prepare_takes_settings_from_the_command_line(
    toy: Toy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["prepare", str(toy.config), "--data.folder", str(tmp_path / "other")]
    assert main([*words, "--data.split.test_size=5", "--data.tokenizer.joint", "true"]) == 0
    assert "test 5" in capsys.readouterr().err
    assert (tmp_path / "other" / "tokenizer.json").exists()


def test_train_shows_numbers_samples_and_its_end(trained: Toy) -> None:
    assert re.search(r"^training .*/run: [\d,]+ parameters, (fp32|bf16), 1 threads", trained.said)
    for step in (30, 60, 90):
        numbers = r"validation loss \d\.\d{3}, perplexity \d+\.\d\d, BLEU \d+\.\d \(nrefs:1\|.*\)"
        assert re.search(rf"^update {step}: {numbers}$", trained.said, re.MULTILINE)
    samples = re.findall(r"^  source +(.*)\n  reference +(.*)\n  output ", trained.said, re.M)
    assert len(samples) == 6  # two after each validation
    assert all(translated(source) == reference for source, reference in samples)
    assert re.search(
        r"^finished after 90 updates: all updates are done; best validation BLEU \d",
        trained.said,
        re.M,
    )


def test_train_shows_no_word_of_its_libraries(trained: Toy) -> None:
    """They warn of what does not apply here, advise, and advertise."""
    assert trained.answered == ""
    for word in ("warning", "deprecated", "tip", "lightning", "gpu available", "site-packages"):
        assert word not in trained.said.lower()
    assert "\r" not in trained.said  # bars are for terminals


def test_train_again_is_finished(
    trained: Toy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = trained.copy_of_run(tmp_path / "run")  # its curves are drawn again
    files = [run / name for name in ("model.safetensors", "manifest.json", "last.ckpt")]
    before = [file.stat().st_mtime_ns for file in files]
    assert main(["train", str(trained.config), "--training.folder", str(run)]) == 0
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert "this run is finished: all 90 updates are done; a higher limit" in err
    assert [file.stat().st_mtime_ns for file in files] == before


# translate


def test_seeds_are_runs_of_their_own_with_mean_and_deviation(
    trained: Toy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", str(trained.config), "--training.folder", f"{tmp_path / 'run'}/"]
    words += ["--training.max_steps", "4", "--training.seed", "5"]
    assert main([*words, "--seeds", "2"]) == 0
    last = capsys.readouterr().err.splitlines()[-1]
    found = [
        json.loads((tmp_path / f"run-seed-{seed}" / "metrics.json").read_text())["validation"]
        for seed in (5, 6)
    ]
    middle = (found[0]["bleu"] + found[1]["bleu"]) / 2
    deviation = abs(found[0]["bleu"] - found[1]["bleu"]) / 2**0.5
    assert f"BLEU {middle:.2f}, standard deviation {deviation:.2f} (" in last
    assert found[0]["loss"] != found[1]["loss"]
    assert main([*words, "--seeds", "1"]) == 2
    assert "--seeds: expected 2 or more, found 1" in capsys.readouterr().err


def test_what_it_learnt_shows(trained: Toy, nmt: Run, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "in", NEW)
    nmt("translate", trained.run, "-i", source, "-o", tmp_path / "out")
    found = (tmp_path / "out").read_text().splitlines()
    words = [
        ours == perfect
        for output, line in zip(found, NEW, strict=True)
        for ours, perfect in zip(output.split(), translated(line).split(), strict=False)
    ]
    assert sum(words) > len(words) / 2  # at random it would be a twelfth
    assert not list(tmp_path.glob(".*")), "a temporary file was left behind"


def test_file_to_file_keeps_lines_and_their_endings(trained: Toy, nmt: Run, tmp_path: Path) -> None:
    lines = [NEW[0], "", NEW[1] + "\r", "\r", " \t ", NEW[2], "", NEW[3]]
    (tmp_path / "in").write_bytes("\n".join(lines).encode())  # no newline at the end
    assert nmt("translate", trained.run, "-i", tmp_path / "in", "-o", tmp_path / "out") == ""
    found = (tmp_path / "out").read_bytes().decode().split("\n")
    perfect = Translator.load(trained.run).translate(NEW[:4])
    texts = [one.text for one in perfect]
    assert len(set(texts)) == 4
    assert found == [texts[0], "", texts[1] + "\r", "\r", " \t ", texts[2], "", texts[3]]


def test_standard_input_to_standard_output(
    trained: Toy, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    feed(monkeypatch, "\n".join([*NEW[:3], "", "naïve 東京 <s>"]).encode())
    assert main(["translate", str(trained.run)]) == 0
    out = capfdbinary.readouterr().out
    translator = Translator.load(trained.run, say=lambda warning: None)
    expected = translator.translate([*NEW[:3], "", "naïve 東京 <s>"])
    assert out.decode() == "\n".join(one.text for one in expected)


@pytest.mark.parametrize(("content", "lines"), [(b"", 0), (b"\n", 1), (b"\n\r\n\n", 3)])
def test_nothing_in_is_nothing_out(
    content: bytes,
    lines: int,
    trained: Toy,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    feed(monkeypatch, content)
    assert main(["translate", str(trained.run)]) == 0
    out = capfdbinary.readouterr().out
    assert out == content and out.count(b"\n") == lines


def test_search_options_reach_the_search(trained: Toy, nmt: Run, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "in", NEW)
    options = ["--beam-size", 1, "--length-penalty", 0.5, "--threads", 1]
    nmt(
        "translate",
        trained.run,
        "-i",
        source,
        "-o",
        tmp_path / "out",
        "--format",
        "jsonl",
        *options,
    )
    found = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
    greedy = Translator.load(trained.run).translate(NEW, beam_size=1, length_penalty=0.5)
    assert [one["text"] for one in found] == [one.text for one in greedy]
    assert [one["score"] for one in found] == pytest.approx([one.score for one in greedy], abs=1e-4)


def test_jsonl_tells_candidates_scores_and_alignments(
    trained: Toy, nmt: Run, tmp_path: Path
) -> None:
    (tmp_path / "in").write_bytes(f"{NEW[0]}\n\n{NEW[1]}".encode())
    more = ["--format", "jsonl", "--n-best", 3, "--alignments"]
    nmt("translate", trained.run, "-i", tmp_path / "in", "-o", tmp_path / "out", *more)
    lines = (tmp_path / "out").read_text(encoding="utf-8").split("\n")
    assert lines.pop() == ""  # an object a line, also for a last line without an end
    records = [json.loads(line) for line in lines]
    assert [record["source"] for record in records] == [NEW[0], "", NEW[1]]
    assert records[1]["text"] == "" and "alignment" not in records[1]
    for record in (records[0], records[2]):
        _check_record(record)


def _check_record(record: dict[str, Any]) -> None:
    candidates = record["alternatives"]
    assert 2 <= len(candidates) <= 3
    assert candidates[0]["text"] == record["text"]
    assert len({one["text"] for one in candidates}) == len(candidates)
    scores = [one["score"] for one in candidates]
    assert scores == sorted(scores, reverse=True) and scores[0] == record["score"] < 0
    alignment = record["alignment"]
    assert "".join(alignment["source"]) == record["source"] + "</s>"
    assert len(alignment["weights"]) == len(alignment["target"])
    for row in alignment["weights"]:
        assert len(row) == len(alignment["source"])
        assert sum(row) == pytest.approx(1, abs=1e-3)


def test_a_long_line_is_translated_with_a_warning(
    trained: Toy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_lines(tmp_path / "in", [" ".join(NEW[:4]), NEW[0]])
    assert (
        main(["translate", str(trained.run), "-i", str(source), "-o", str(tmp_path / "out")]) == 0
    )
    assert (
        "longer than any sentence of the training data (5 tokens): 1, the"
        in capsys.readouterr().err
    )
    assert (tmp_path / "out").read_text().count("\n") == 2


# evaluate


def test_evaluate_on_the_own_test_split(trained: Toy, nmt: Run, tmp_path: Path) -> None:
    run = trained.copy_of_run(tmp_path / "run")
    out = nmt("evaluate", run, "--beam-size", 1)
    assert re.fullmatch(rf"{run}: 20 sentences\n  {BLEU}\n  chrF2 .*\n  TER .*\n", out)
    scores = json.loads((run / "evaluation" / "report.json").read_text())["scores"]
    assert f"BLEU {scores['bleu']['value']:.1f} " in out
    report = (run / "evaluation" / "report.md").read_text()
    assert scores["bleu"]["signature"] in report
    assert f"- test split: {trained.prepared}" in report and "- beam size: 1" in report
    assert list((run / "evaluation").glob("*.png"))
    before = (run / "evaluation" / "hypotheses.txt").read_bytes()
    test = [trained.prepared / f"test.{language}" for language in ("xx", "yy")]
    assert nmt("evaluate", run, "--beam-size", 1, "--src", test[0], "--ref", test[1]) == out
    assert (run / "evaluation-test.xx" / "hypotheses.txt").read_bytes() == before


def test_evaluate_translates_as_translate_does(trained: Toy, nmt: Run, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "in", [f"{NEW[0]}. {NEW[1].title()}.", "", NEW[2], "ba " * 900])
    reference = write_lines(tmp_path / "reference", ["ku ku", "x", translated(NEW[2]), "ku"])
    files = ["--src", source, "--ref", reference, "--report", tmp_path / "report"]
    for option in ([], ["--paragraphs"]):
        nmt("translate", trained.run, "-i", source, "-o", tmp_path / "out", *option)
        nmt("evaluate", trained.run, *files, *option)
        found = (tmp_path / "report" / "hypotheses.txt").read_text()
        assert found == (tmp_path / "out").read_text()
    assert "(--paragraphs)" in (tmp_path / "report" / "report.md").read_text()


def test_evaluate_with_two_references(trained: Toy, nmt: Run, tmp_path: Path) -> None:
    perfect = write_lines(tmp_path / "perfect", map(translated, NEW[:4]))
    other = write_lines(tmp_path / "other", ["ku ku ku"] * 4)
    one = nmt("evaluate", "--hyp", perfect, "--ref", other)
    two = nmt("evaluate", "--hyp", perfect, "--ref", other, perfect)
    again = nmt("evaluate", "--hyp", perfect, "--ref", other, "--ref", perfect)
    assert "BLEU 100.0" not in one and "nrefs:1|" in one
    assert two == again and "BLEU 100.0" in two and "nrefs:2|" in two


def test_evaluate_compares_systems(trained: Toy, nmt: Run, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "in", NEW[:12])
    # The runs know the language; none can know the last line.
    perfect = write_lines(tmp_path / "perfect", [*map(translated, NEW[:11]), "ka li mo nu"])
    files = ["--src", source, "--ref", perfect, "--hyp", perfect, "--report", tmp_path / "reports"]
    run, copy = trained.run, trained.copy_of_run(tmp_path / "copy")
    out = nmt("evaluate", run, copy, *files)
    assert "p: paired bootstrap against the first system" in out
    scores = dict(re.findall(r"^(\S+): 12 sentences\n  BLEU (\d+\.\d)", out, re.MULTILINE))
    assert scores.keys() == {str(run), str(copy), str(perfect)}
    assert scores[str(perfect)] == "100.0" != scores[str(run)] == scores[str(copy)]
    for name in ("run", "copy", "perfect"):
        assert (tmp_path / "reports" / name / "report.md").exists()
    assert not (run / "evaluation").exists()


def test_a_difference_under_the_noise_is_told(nmt: Run, tmp_path: Path) -> None:
    perfect = write_lines(tmp_path / "perfect", map(translated, NEW[:12]))
    same = write_lines(tmp_path / "same", map(translated, NEW[:12]))
    wrong = write_lines(tmp_path / "wrong", ["ku ku ku"] * 12)
    out = nmt("evaluate", "--hyp", perfect, same, wrong, "--ref", perfect)
    assert f"{same}: its BLEU differs from the first system's by no more than the noise" in out
    assert f"{wrong}: its BLEU" not in out and f"{perfect}: its BLEU" not in out


def test_runs_translate_and_are_evaluated_together(
    trained: Toy, nmt: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = trained.run, trained.another_run(tmp_path / "other")
    source, out = write_lines(tmp_path / "in", NEW), tmp_path / "out"
    nmt("translate", *runs, "-i", source, "-o", out)
    together = [one.text for one in Translator.load(*runs).translate(NEW)]
    assert out.read_text().splitlines() == together
    for run in runs:
        assert together != [one.text for one in Translator.load(run).translate(NEW)]
    reference = write_lines(tmp_path / "reference", map(translated, NEW))
    report = tmp_path / "report"
    shown = nmt(
        *("evaluate", "--ensemble", *runs, "--src", source, "--ref", reference),
        *("--report", report),
    )
    assert shown.startswith("ensemble: 40 sentences")
    assert (report / "hypotheses.txt").read_text().splitlines() == together
    assert main(["evaluate", "--ensemble", str(trained.run)]) == 2
    assert "--ensemble: expected two runs or more, found 1" in capsys.readouterr().err


def test_what_evaluate_is_told_of_the_search_is_what_it_does(
    trained: Toy, nmt: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[str, object] = {}
    load, translate = Translator.load, Translator.translate

    def spied_load(*runs: Path, **options: Any) -> Translator:
        told.update(options)
        return load(*runs, **options)

    def spied(self: Translator, texts: list[str], **options: Any) -> list[Translation]:
        told.update(options)
        return translate(self, texts, **options)

    monkeypatch.setattr(Translator, "load", spied_load)
    monkeypatch.setattr(Translator, "translate", spied)
    source = write_lines(tmp_path / "in", NEW[:2])
    files = ["--src", source, "--ref", source, "--report", tmp_path / "report"]
    options = ["--beam-size", 2, "--length-penalty", 0.5, "--precision", "int8"]
    nmt("evaluate", trained.run, *files, *options)
    wanted = {"beam_size": 2, "length_penalty": 0.5, "precision": "int8"}
    assert {name: told[name] for name in wanted} == wanted


def test_a_run_is_scored_by_its_target_language(trained: Toy, nmt: Run, tmp_path: Path) -> None:
    run = trained.copy_of_run(tmp_path / "run")
    settings = run / "config.yaml"
    settings.write_text(settings.read_text().replace("target_language: yy", "target_language: km"))
    checkpoint.write_manifest(run, checkpoint.read_manifest(run))
    source = write_lines(tmp_path / "in", NEW[:2])
    report = tmp_path / "report"
    assert "tok:char" in nmt("evaluate", run, "--src", source, "--ref", source, "--report", report)


def test_a_blank_line_beside_another_reference_is_none(nmt: Run, tmp_path: Path) -> None:
    made = write_lines(tmp_path / "made", ["a cat sat on the mat", "the dog ran home"])
    one = write_lines(tmp_path / "one", ["a cat sat on the mat", "the dog ran to its home"])
    few = write_lines(tmp_path / "few", ["", "the dog ran home"])
    assert "nrefs:var" in nmt("evaluate", "--hyp", made, "--ref", one, few)
    blank = write_lines(tmp_path / "blank", ["", "the dog ran home"])
    spaces = write_lines(tmp_path / "spaces", [" ", "the dog ran home"])
    assert "nrefs:2" in nmt("evaluate", "--hyp", made, "--ref", blank, spaces)  # none is real


def test_a_run_without_a_model_is_told_so(
    trained: Toy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = trained.copy_of_run(tmp_path / "run")
    (run / "model.safetensors").unlink()
    checkpoint.write_manifest(run, checkpoint.read_manifest(run))
    source = write_lines(tmp_path / "in", NEW[:2])
    assert main(["translate", str(run), "-i", str(source), "-o", str(tmp_path / "out")]) == 2
    assert "its training has not yet saved a model" in capsys.readouterr().err


def test_evaluate_can_fold_case(nmt: Run, tmp_path: Path) -> None:
    small = write_lines(tmp_path / "small", ["the cat sat on the mat"] * 3)
    large = write_lines(tmp_path / "large", ["THE CAT SAT ON THE MAT"] * 3)
    assert "BLEU 100.0" not in nmt("evaluate", "--hyp", small, "--ref", large)
    folded = nmt("evaluate", "--hyp", small, "--ref", large, "--lowercase", "--tokenize", "char")
    assert "BLEU 100.0" in folded and "case:lc" in folded and "tok:char" in folded


# export


def test_an_exported_run_translates_with_its_words_alone(
    nmt: Run, trained: Toy, tmp_path: Path
) -> None:
    source = write_lines(tmp_path / "in", NEW[:8])
    bundle = tmp_path / "bundle"
    nmt("export", trained.run, "--int8", "--shortlist", 5, "-o", bundle)
    weights = load_file(bundle / "model.safetensors")
    assert any(tensor.dtype == torch.int8 for tensor in weights.values())
    assert (bundle / "shortlist.safetensors").exists()
    nmt("translate", bundle, "-i", source, "-o", tmp_path / "out")
    assert (tmp_path / "out").read_text().count("\n") == 8
    scores = {}
    for precision in ("fp32", "int8"):
        out = tmp_path / precision
        options = ["--format", "jsonl", "--precision", precision]
        nmt("translate", trained.run, "-i", source, "-o", out, *options)
        scores[precision] = [json.loads(line)["score"] for line in out.read_text().splitlines()]
    assert scores["int8"] == pytest.approx(scores["fp32"], abs=0.3)
    assert scores["int8"] != scores["fp32"]


# score and info


def test_score_agrees_with_search(
    trained: Toy,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nmt.decoding.file_scoring.BLOCK", 7)  # the last block is a part of one
    found = Translator.load(trained.run).translate(NEW)
    source = write_lines(tmp_path / "in", NEW)
    target = write_lines(tmp_path / "out", [one.text for one in found])
    assert main(["score", str(trained.run), "--src", str(source), "--tgt", str(target)]) == 0
    out, err = capsys.readouterr()
    scores = [float(line.split("\t")[0]) for line in out.splitlines()]
    assert scores == pytest.approx([one.log_probability for one in found], abs=1e-3)
    tokens = sum(int(line.split("\t")[1]) for line in out.splitlines())
    assert f"40 pairs, {tokens} tokens: log-probability {sum(scores):.2f}"[:-1] in err
    assert re.search(r"perplexity \d+\.\d{3}$", err.strip())


def test_info_tells_what_a_run_is(trained: Toy, nmt: Run) -> None:
    facts = dict(
        re.split(" {2,}", line, maxsplit=1)
        for line in nmt("info", trained.run).split("\n")
        if line[:1].strip()
    )
    metrics = json.loads((trained.run / "metrics.json").read_text())
    assert facts["run"] == str(trained.run)
    assert facts["languages"] == "xx -> yy"
    assert f"BLEU {metrics['validation']['bleu']:.2f} (nrefs:1|" in facts["validation"]
    assert facts["training"] == "finished"
    assert re.fullmatch(r"precision (fp32|bf16), threads 1, processes 1", facts["choices"])
    assert str(trained.prepared) in facts["data"]


def test_several_processes_translate_as_one_does(
    trained: Toy, nmt: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_translation, "BLOCK", 2)
    source = write_lines(tmp_path / "in", [*NEW[:4], "", *NEW[4:7], " ".join(NEW)])
    for workers in (1, 2):
        out = tmp_path / f"out{workers}"
        nmt("translate", trained.run, "-i", source, "-o", out, "--workers", workers)
    assert (tmp_path / "out1").read_bytes() == (tmp_path / "out2").read_bytes()
    assert len((tmp_path / "out1").read_bytes().splitlines()) == 9


class Terminal(io.BytesIO):
    """Where someone types a line when the translation of the one before is there."""

    def __init__(self, out: Path) -> None:
        super().__init__()
        self.out = out
        self.answered: list[int] = []

    def isatty(self) -> bool:
        return True

    def readline(self, size: int | None = -1, /) -> bytes:
        self.answered.append(self.out.read_bytes().count(b"\n"))
        return f"{NEW[0]}\n".encode() if len(self.answered) <= 3 else b""

    def __next__(self) -> bytes:
        if line := self.readline():
            return line
        raise StopIteration


@pytest.mark.parametrize("workers", [[], ["--workers", "2"]])
def test_a_typed_line_is_answered_before_the_next_is_read(
    trained: Toy, nmt: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: list[str]
) -> None:
    terminal = Terminal(tmp_path / ".out.partial")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(terminal))
    nmt("translate", trained.run, "-o", tmp_path / "out", *workers)
    assert terminal.answered == [0, 1, 2, 3]


def test_without_a_run_a_language_without_spaces_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = str(write_lines(tmp_path / "made", ["她明天早上就会回来。", "车站在哪里？"]))
    words = ["evaluate", "--hyp", made, "--ref", made]
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert "tok:13a" in out and "give --tokenize zh for Chinese, else char" in err
    assert main([*words, "--tokenize", "zh"]) == 0
    assert "--tokenize" not in capsys.readouterr().err
