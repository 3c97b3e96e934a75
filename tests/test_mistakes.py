"""A user's mistake is answered by one sentence that says what, where and what to do; status 2."""

import shutil
from pathlib import Path

import pytest
import torch

from tests.toy import Answer, Toy, contains, write_lines

# the command line itself


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["transalte", "x"], ["unknown command 'transalte'", "translate"]),
        (["--fast"], ["--fast", "nmt --help"]),
        (["translate"], ["RUN", "nmt translate --help"]),
        (["translate", "RUN", "--fast"], ["--fast", "nmt translate --help"]),
        (["translate", "RUN", "--beam", "3"], ["--beam", "nmt translate --help"]),
        (["info", "RUN", "more"], ["more", "nmt info --help"]),
        (["translate", "RUN", "-x"], ["-x", "nmt translate --help"]),
        (["translate", "RUN", "--format", "xml"], ["--format", "'xml'", "jsonl"]),
        (["translate", "RUN", "--n-best", "few"], ["--n-best", "'few'"]),
        (["translate", "RUN", "--n-best", "2"], ["--n-best", "--format jsonl"]),
        (["translate", "RUN", "--resume"], ["--resume", "-o"]),
        (["translate", "RUN", "--alignments"], ["--alignments", "--format jsonl"]),
        (["translate", "RUN", "--threads", "0"], ["--threads", "0"]),
        (["translate", "RUN", "--device", "abacus"], ["--device", "'abacus'", "cuda"]),
        (
            ["evaluate", "--hyp", "FILE", "--ref", "FILE", "--length-penalty", "0"],
            ["--length-penalty: expected a RUN that translates", "--hyp alone"],
        ),
        (["evaluate"], ["folder of a run", "--hyp FILE"]),
        (["evaluate", "RUN", "--src", "x"], ["--ref FILE"]),
        (["evaluate", "RUN", "--ref", "x"], ["--src FILE"]),
        (["score", "RUN", "--src", "x"], ["--tgt"]),
        (["train"], ["config", "nmt train --help"]),
        (["train", "x.yaml", "y.yaml"], ["y.yaml"]),
        (["train", "x.yaml", "--training.seed", "3", "--fresh", "y"], ["unexpected argument 'y'"]),
        (["train", "x.yaml", "y", "--training.seed", "3"], ["unexpected argument 'y'"]),
        (["train", "x.yaml", "--training.final_rate", "-.5"], ["x.yaml: "]),  # takes the value
    ],
    ids=" ".join,
)
def test_words_of_a_command(
    words: list[str], parts: list[str], trained: Toy, answer: Answer
) -> None:
    contains(answer(*(trained.run if word == "RUN" else word for word in words)), *parts)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_no_such_device(trained: Toy, answer: Answer) -> None:
    contains(answer("translate", trained.run, "--device", "cuda"), "--device", "cuda", "cpu")


# settings


@pytest.mark.parametrize(
    ("key", "value", "parts"),
    [
        ("data.tokenizer.vocabulary_sise", "300", ["did you mean 'vocabulary_size'?"]),
        ("model.decoder.hiden_size", "8", ["did you mean 'hidden_size'?"]),
        ("model.encoder.reset_after", "true", ["unknown key", "allowed: ", "dropout"]),
        ("trainign", "3", ["did you mean 'training'?"]),
        ("data.corpus.kind", "hubb", ["unknown value 'hubb'", "did you mean 'hub'?", "tatoeba"]),
        ("model.encoder.kind", "transformr", ["unknown value 'transformr'", "recurrent"]),
        ("data.tokenizer.kind", "words", ["'bpe' or 'unigram'", "'words'"]),
        ("data.tokenizer.vocabulary_size", "100", ["260", "100"]),
        ("data.source_language", "7", ["string", "7"]),
        ("training.max_steps", "many", ["integer", "'many'"]),
        ("training.learning_rate", "0", ["greater than 0", "0"]),
        ("training.average_decay", "1.0", ["less than 1", "1.0"]),
        ("training.schedule", "null", ["'cosine'", "None"]),
        ("training", "3", ["expected keys and values", "3"]),
    ],
)
@pytest.mark.parametrize("verb", ["prepare", "train"])
def test_settings_on_the_command_line(
    verb: str, key: str, value: str, parts: list[str], toy: Toy, answer: Answer
) -> None:
    line = answer(verb, toy.config, f"--{key}", value)
    contains(line, f"nmt {verb}: {toy.config} and the command line: {key}: ", *parts)


def test_typo_in_the_file(toy: Toy, answer: Answer, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(toy.config.read_text().replace("max_steps", "max_step"))
    for verb in ("prepare", "train"):
        line = answer(verb, wrong)
        contains(line, wrong, "training.max_step: unknown key", "did you mean 'max_steps'?")
        assert "command line" not in line


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (b"data: [1, 2", ["not valid YAML"]),
        (b"- data", ["expected keys and values", "list"]),
        (b"", ["expected keys and values"]),
        (b"data: \xff", ["UTF-8"]),
        (b"training: {folder: x}", ["data", "required"]),
    ],
)
def test_not_a_settings_file(
    content: bytes, parts: list[str], answer: Answer, tmp_path: Path
) -> None:
    (tmp_path / "c.yaml").write_bytes(content)
    contains(answer("train", tmp_path / "c.yaml"), tmp_path / "c.yaml", *parts)


def test_missing_settings_file(answer: Answer, tmp_path: Path) -> None:
    contains(answer("prepare", tmp_path / "no.yaml"), tmp_path / "no.yaml", "found none")
    contains(answer("train", tmp_path / "no.yaml", "--help"), tmp_path / "no.yaml", "found none")


def test_a_key_without_its_value(toy: Toy, answer: Answer) -> None:
    contains(answer("train", toy.config, "--training.seed"), "--training.seed", "expected a value")


# corpora


def prepare_with(answer: Answer, toy: Toy, folder: Path, *corpus: object) -> str:
    line = answer(
        *("prepare", toy.config, "--data.folder", folder / "prepared"),
        *("--data.corpus.train", *corpus),
    )
    assert not (folder / "prepared").exists()
    return line


def test_missing_corpus_file(toy: Toy, answer: Answer, tmp_path: Path) -> None:
    line = prepare_with(answer, toy, tmp_path, toy.folder / "all.xx", tmp_path / "gone.yy")
    contains(line, tmp_path / "gone.yy", "data.corpus")


def test_unequal_corpus_files(toy: Toy, answer: Answer, tmp_path: Path) -> None:
    short = write_lines(tmp_path / "short.yy", ["ku"] * 299)
    line = prepare_with(answer, toy, tmp_path, toy.folder / "all.xx", short)
    contains(line, toy.folder / "all.xx", "300 lines", short, "299")


def test_empty_corpus(toy: Toy, answer: Answer, tmp_path: Path) -> None:
    files = [write_lines(tmp_path / name, []) for name in ("a.xx", "a.yy")]
    contains(prepare_with(answer, toy, tmp_path, *files), "data.corpus", "training", "empty")


def test_broken_utf8_in_a_corpus(toy: Toy, answer: Answer, tmp_path: Path) -> None:
    broken = tmp_path / "broken.yy"
    broken.write_bytes(b"ku\n" * 6 + b"k\xfcu\n" + b"ku\n" * 293)
    line = prepare_with(answer, toy, tmp_path, toy.folder / "all.xx", broken)
    contains(line, f"{broken}, line 7", "UTF-8", "0xfc")


# folders that hold something else


def test_train_without_prepared_data(toy: Toy, answer: Answer, tmp_path: Path) -> None:
    line = answer("train", toy.config, "--data.folder", tmp_path / "no")
    contains(line, tmp_path / "no", "nmt prepare")


def test_prepare_over_something_else(toy: Toy, answer: Answer, tmp_path: Path) -> None:
    (tmp_path / "diary.txt").write_text("dear")
    contains(answer("prepare", toy.config, "--data.folder", tmp_path), tmp_path, "data.folder")
    assert (tmp_path / "diary.txt").exists()


def test_fresh_deletes_nothing_but_a_run(toy: Toy, answer: Answer, tmp_path: Path) -> None:
    (tmp_path / "diary.txt").write_text("dear")
    line = answer("train", toy.config, "--training.folder", tmp_path, "--fresh")
    contains(line, tmp_path, "training.folder")
    assert (tmp_path / "diary.txt").exists()


@pytest.mark.parametrize("fresh", [[], ["--fresh"]])
def test_train_into_the_data(fresh: list[str], toy: Toy, answer: Answer, tmp_path: Path) -> None:
    data = shutil.copytree(toy.prepared, tmp_path / "data")
    folders = ["--data.folder", data, "--training.folder", data]
    contains(answer("train", toy.config, *folders, *fresh), data, "training.folder")
    assert (data / "dataset").exists()


def test_start_over_a_run_that_holds_its_data(toy: Toy, answer: Answer, tmp_path: Path) -> None:
    data = shutil.copytree(toy.prepared, tmp_path / "run" / "data")
    folders = ["--data.folder", data, "--training.folder", tmp_path / "run"]
    contains(answer("train", toy.config, *folders, "--fresh"), tmp_path / "run", "or holds it")
    assert (data / "dataset").exists()


@pytest.mark.parametrize("fresh", [[], ["--fresh"]])
def test_fine_tune_a_run_into_itself(
    fresh: list[str], trained: Toy, answer: Answer, tmp_path: Path
) -> None:
    run = trained.copy_of_run(tmp_path / "run")
    words = ["--training.folder", run, "--init-from", run, *fresh]
    contains(answer("train", trained.config, *words), run, "--init-from", "training.folder")
    assert (run / "model.safetensors").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["translate", "RUN"],
        ["evaluate", "RUN"],
        ["info", "RUN"],
        ["score", "RUN", "--src", "FILE", "--tgt", "FILE"],
        ["train", "CONFIG", "--init-from", "RUN"],
    ],
    ids=lambda words: words[0],
)
@pytest.mark.parametrize("kind", ["missing", "file", "empty", "data", "unsaved"])
def test_not_a_run(words: list[str], kind: str, toy: Toy, answer: Answer, tmp_path: Path) -> None:
    file = write_lines(tmp_path / "file", ["ba be bi"])
    (tmp_path / "empty").mkdir()
    (tmp_path / "unsaved").mkdir()
    (tmp_path / "unsaved" / "config.yaml").write_text("data: {}")
    run = toy.prepared if kind == "data" else tmp_path / kind
    names = {"RUN": run, "FILE": file, "CONFIG": toy.config}
    line = answer(*(names.get(word, word) for word in words))
    contains(line, run, "expected the folder of a trained run", "nmt train")
    assert ("not yet saved a model" in line) == (kind == "unsaved")


def test_settings_before_the_yaml(toy: Toy, answer: Answer) -> None:
    said = answer("train", "--training.max_steps", "5", toy.config)
    contains(said, "expected the YAML file before the settings, found --training.max_steps")
    said = answer("train", "--fresh", "--training.max_steps", "5", toy.config)
    contains(said, "expected the YAML file before the settings, found --training.max_steps")
    said = answer("distill", toy.config, "run", "--training.seed", "5", "a run")
    contains(said, "training.seed: input should be a valid integer, found [5, 'a run']")


def test_a_tokenizer_of_scores_that_is_not_installed(
    answer: Answer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*arguments: object, **more: object) -> None:
        raise RuntimeError("please install sacrebleu[ja]")

    monkeypatch.setattr("nmt.evaluation.evaluate.BLEU.__init__", missing)
    one = tmp_path / "one"
    one.write_text("a\n")
    said = answer("evaluate", "--hyp", one, "--ref", one, "--tokenize", "ja-mecab")
    contains(said, "--tokenize ja-mecab: please install sacrebleu[ja]")
