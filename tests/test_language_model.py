"""A decoder without a source: from one file of text to perplexity and sentences of its own."""

import io
import json
import math
from collections.abc import Sequence
from contextlib import redirect_stderr
from pathlib import Path

import pytest
import torch
import yaml

from nmt import options
from nmt.cli import main
from nmt.decoding.scoring import Scored
from nmt.decoding.translator import Translator
from nmt.errors import UserError
from nmt.model.encoders import NoEncoder
from nmt.model.seq2seq import Seq2Seq
from tests.toy import WORDS, Answer, Toy, contains, sentences, settings, write_lines


@pytest.fixture(scope="module")
def english(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """A trained model of the toy language; tests change nothing in it."""
    folder = tmp_path_factory.mktemp("english")
    write_lines(folder / "mono.xx", sentences(300, seed=1))
    given = settings(folder)
    given["data"] |= {
        "target_language": "xx",
        "corpus": {"kind": "text", "train": [str(folder / "mono.xx")]},
    }
    given["model"] |= {"encoder": "none", "decoder": {"hidden_size": 16, "attention": "none"}}
    toy = Toy(folder)
    toy.config.write_text(yaml.safe_dump(given))
    for verb in ("prepare", "train"):
        with redirect_stderr(io.StringIO()) as said:
            status = main([verb, str(toy.config)])
        assert status == 0, said.getvalue()
        toy = Toy(folder, said=said.getvalue())
    return toy


def test_it_learns_and_says_its_perplexity(english: Toy) -> None:
    contains(english.said, "update 90: validation loss", "best validation perplexity ")
    assert "BLEU" not in english.said
    history = json.loads((english.run / "metrics.json").read_text())
    losses = [row["loss"] for row in history["history"]]
    assert losses[-1] < losses[0]
    assert history["validation"]["loss"] == min(losses)


def test_fine_tuned_by_settings_that_name_no_model_it_is_one_still(
    english: Toy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = yaml.safe_load(english.config.read_text())
    del given["model"]
    given["training"] |= {"folder": str(tmp_path / "tuned"), "max_steps": 2, "validate_every": 2}
    file = tmp_path / "tuned.yaml"
    file.write_text(yaml.safe_dump(given))
    assert main(["train", str(file), "--init-from", str(english.run)]) == 0
    contains(capsys.readouterr().err, "best validation perplexity ")


def test_copies_are_kept_and_splits_do_not_overlap(english: Toy) -> None:
    counts = json.loads((english.prepared / "manifest.json").read_text())["counts"]
    assert counts["splits"]["train"] == 260
    assert counts["dropped"].get("copy", 0) == 0


def perplexity(scored: Sequence[Scored]) -> float:
    """Over all tokens, not the mean of the sentences'."""
    total = sum(one.log_probability for one in scored)
    return math.exp(-total / sum(one.tokens for one in scored))


def test_it_scores_its_own_language_higher_than_noise(
    english: Toy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = sentences(20, seed=2)
    noise = [" ".join(word[::-1] for word in line.split()) for line in known]
    translator = Translator.load(english.run)
    good, bad = (perplexity(translator.score(lines, lines)) for lines in (known, noise))
    assert good < bad / 2
    file = write_lines(tmp_path / "known.xx", known)
    assert main(["score", str(english.run), "--tgt", str(file)]) == 0
    contains(capsys.readouterr().err, "20 pairs", f"perplexity {good:.3f}")


def test_it_writes_sentences(english: Toy, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["generate", str(english.run), "--count", "8", "--temperature", "0.5"]
    assert main(words) == 0
    first = capsys.readouterr().out
    assert main(words) == 0
    assert capsys.readouterr().out == first
    assert main([*words, "--seed", "2"]) == 0
    assert capsys.readouterr().out != first
    lines = first.splitlines()
    assert len(lines) == 8
    found = [word for line in lines for word in line.split()]
    assert sum(word in WORDS for word in found) > len(found) / 2


@pytest.mark.parametrize("verb", ["translate", "evaluate"])
def test_what_translates_is_told_that_there_is_no_source(
    verb: str, english: Toy, answer: Answer, tmp_path: Path
) -> None:
    text = write_lines(tmp_path / "in.xx", ["ba be"])
    more = ["-i", text] if verb == "translate" else []
    told = answer(verb, english.run, *more)
    contains(told, "expected a translator, found a language model", "nmt generate")


def test_a_translator_does_not_generate_and_wants_its_sources(
    trained: Toy, answer: Answer, tmp_path: Path
) -> None:
    contains(answer("generate", trained.run), "expected a language model", "nmt translate")
    text = write_lines(tmp_path / "in.xx", ["ba be"])
    contains(answer("score", trained.run, "--tgt", text), "--src: expected the source lines")


def test_sources_of_a_language_model_and_a_recipe_for_one_are_refused(
    english: Toy, answer: Answer, tmp_path: Path
) -> None:
    text = write_lines(tmp_path / "in.xx", ["ba be"])
    told = answer("score", english.run, "--src", text, "--tgt", text)
    contains(told, "--src: expected none for a language model")
    contains(answer("recommend", english.prepared), "expected pairs of two languages, found")


def test_a_shortlist_of_a_language_model_is_refused(
    english: Toy, answer: Answer, tmp_path: Path
) -> None:
    told = answer("export", english.run, "--shortlist", 5, "-o", tmp_path / "bundle")
    contains(told, "--shortlist: expected a model with attention to its source, found a language")


def test_what_asks_a_source_needs_one() -> None:
    with pytest.raises(UserError, match=r"encoder: none needs decoder\.attention: none"):
        options.build(Seq2Seq, {"encoder": "none"}, 9, 9)
    tied = {"encoder": "none", "decoder": {"attention": "none"}, "tie_embeddings": "all"}
    with pytest.raises(UserError, match=r"tie_embeddings: all needs a source, found encoder: none"):
        options.build(Seq2Seq, tied, 9, 9)
    machine = {"kind": "turing_machine", "source": "none"}
    options.build(Seq2Seq, {"encoder": "none", "decoder": {"attention": machine}}, 9, 9)


def test_no_encoder_says_one_of_each_sentence() -> None:
    encoded = NoEncoder(5).double()(torch.zeros(3, 4), torch.tensor([4, 1, 2]))
    assert encoded.memory.tolist() == [[[1.0]]] * 3
    assert encoded.mask.all()
    assert encoded.summary.dtype == torch.double
