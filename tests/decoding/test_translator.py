"""Text in, text out."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from nmt import checkpoint
from nmt.batch import Batch
from nmt.config import Decoding
from nmt.decoding.batching import batches
from nmt.decoding.engine import _limits
from nmt.decoding.search import Hypothesis
from nmt.decoding.translator import Translator
from nmt.errors import UserError
from nmt.model.seq2seq import Ensemble, Seq2Seq
from nmt.state import State
from nmt.vocab import BOS, EOS, JOINT
from tests.decoding import tiny


@pytest.mark.parametrize("beam_size", [1, 4])
@pytest.mark.parametrize("budget", [1, 100, 8000])
def test_a_line_has_the_same_translation_whatever_is_in_its_batch(
    beam_size: int, budget: int
) -> None:
    together = tiny.translator(Decoding(beam_size=beam_size, batch_tokens=budget)).translate(
        tiny.SENTENCES, n_best=beam_size
    )
    for text, found in zip(tiny.SENTENCES, together, strict=True):
        (alone,) = tiny.translator().translate([text], n_best=beam_size, beam_size=beam_size)
        assert [one.text for one in found.alternatives] == [o.text for o in alone.alternatives]
        for one, other in zip(found.alternatives, alone.alternatives, strict=True):
            assert one.score == pytest.approx(other.score, abs=1e-4)
            assert one.log_probability == pytest.approx(other.log_probability, abs=1e-4)


def test_translations_come_in_the_order_of_the_texts() -> None:
    forwards = tiny.translator().translate(tiny.SENTENCES)
    backwards = tiny.translator().translate(tiny.SENTENCES[::-1])
    assert len({one.text for one in forwards}) > 3
    assert [one.text for one in forwards] == [one.text for one in backwards[::-1]]


def test_blank_lines_stay_as_they_are() -> None:
    texts = ["", "a dog", " \t ", "no", "\u00a0"]
    found = tiny.translator().translate(texts, alignments=True)
    plain = tiny.translator().translate(["a dog", "no"])
    assert [one.text for one in found] == ["", plain[0].text, " \t ", plain[1].text, "\u00a0"]
    assert [one.alternatives[0].text for one in found] == [one.text for one in found]
    assert tiny.translator().translate([]) == []
    assert tiny.translator().translate([""])[0].text == ""


def test_n_best_starts_with_the_translation_and_repeats_nothing() -> None:
    for one in tiny.translator().translate(tiny.SENTENCES, n_best=4, beam_size=6):
        assert (one.text, one.score) == (one.alternatives[0].text, one.alternatives[0].score)
        texts = [alternative.text for alternative in one.alternatives]
        assert 1 < len(texts) == len(set(texts)) <= 4


def test_the_penalty_and_the_beam_can_be_chosen_for_one_call() -> None:
    translator = tiny.translator(Decoding(beam_size=2, length_penalty=0.0))
    own = translator.translate(tiny.SENTENCES)
    assert all(one.score == one.log_probability for one in own)
    greedy = translator.translate(tiny.SENTENCES, beam_size=1)
    assert greedy == tiny.translator(Decoding(beam_size=1, length_penalty=0.0)).translate(
        tiny.SENTENCES
    )
    assert [one.text for one in greedy] != [one.text for one in own]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_best": 6}, "n_best: expected 1 to 5 .* found 6"),
        ({"n_best": 0}, "n_best: expected 1 to 5 .* found 0"),
        ({"beam_size": 0}, "decoding.beam_size: .* found 0"),
        ({"length_penalty": -1.0}, "decoding.length_penalty: .* found -1.0"),
    ],
)
def test_settings_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        tiny.translator().translate(["a"], **options)


def test_a_translation_at_the_length_limit_says_so() -> None:
    texts = ["a dog", "no", "mat"]
    short = tiny.translator(Decoding(max_length_ratio=0.01, max_length_extra=2))
    for one in short.translate(texts, n_best=5, alignments=True):
        assert any(candidate.cut for candidate in one.alternatives)
        assert one.alignment is not None
        assert len(one.alignment.target) <= 2
    assert not any(one.cut for one in tiny.translator().translate(texts))


def test_the_length_limit_grows_with_the_source() -> None:
    batch = Batch.of([[4] * 4, [4] * 9], [[], []])  # and an end each
    decoding = Decoding(max_length_ratio=1.5, max_length_extra=3)
    assert _limits(batch, decoding).tolist() == [10, 18]


def test_alignments_come_with_the_pieces_of_both_texts() -> None:
    translator = tiny.translator(Decoding(batch_tokens=200))
    found = translator.translate(tiny.SENTENCES, alignments=True)
    for text, one in zip(tiny.SENTENCES, found, strict=True):
        assert one.alignment is not None
        *source, end = one.alignment.source
        spans = tiny.vocabulary().tokenizer.encode(text).offsets
        assert source == [text[start:stop] for start, stop in spans]
        assert end == "</s>"
        assert (one.alignment.target[-1:] == ["</s>"]) != one.cut
        assert len(one.alignment.weights) == len(one.alignment.target)
        for row in one.alignment.weights:
            assert len(row) == len(one.alignment.source)
            assert sum(row) == pytest.approx(1, abs=1e-2)


def test_an_alignment_is_what_search_saw() -> None:
    translator = tiny.translator(Decoding(beam_size=1))
    (found,) = translator.translate(["a dog"], alignments=True)
    batch = translator._batch(tiny.vocabulary().encode(["a dog"]), [[]])
    source = tiny.model().encode(batch.source, batch.source_lengths)
    _, _, weights = tiny.model().step(batch.target[:, 0], source, tiny.model().start(source))
    assert found.alignment is not None
    assert found.alignment.weights[0] == pytest.approx(weights[0].tolist(), abs=1e-4)


def with_machine(seed: int) -> Seq2Seq:
    """A fresh translator whose decoder has slots, two heads that write and one that reads."""
    slots = {"kind": "turing_machine", "slots": 6, "slot_size": 4, "write_heads": 2}
    torch.manual_seed(seed)
    decoder = {"hidden_size": 24, "attention": slots}
    settings = replace(tiny.CONFIG, model={**tiny.CONFIG.model, "decoder": decoder})
    return checkpoint.build_model(settings, tiny.vocabulary(), tiny.vocabulary()).eval()


def test_an_alignment_tells_where_the_heads_of_a_turing_machine_looked() -> None:
    model = with_machine(1)
    vocabulary = tiny.vocabulary()
    texts = ["a dog", "the cat sat on the mat"]
    found = Translator(model, vocabulary, vocabulary).translate(texts, alignments=True)
    for one in found:
        assert one.alignment is not None and one.alignment.heads is not None
        assert list(one.alignment.heads) == ["write 1", "write 2", "read 1"]
        for rows in one.alignment.heads.values():
            assert len(rows) == len(one.alignment.target)
            assert all(sum(row) == pytest.approx(1, abs=1e-2) for row in rows)
        assert "heads" in one.as_dict()["alignment"]
    ids = torch.tensor([[*vocabulary.encode(texts[:1])[0], EOS]])
    source = model.encode(ids, torch.tensor([ids.shape[1]]))
    state = model.start(source)
    _, state, _ = model.step(torch.tensor([BOS]), source, state)
    assert found[0].alignment is not None and found[0].alignment.heads is not None
    for name, heads in zip(("read", "write"), machine_state(state)[1:3], strict=True):
        (first, *_) = found[0].alignment.heads[f"{name} 1"]
        assert first == pytest.approx(heads[0, 0].tolist(), abs=1e-4)


def machine_state(state: State) -> tuple[Tensor, ...]:
    """The innermost state whose first member is the slots (1, 6, 4)."""
    if isinstance(state[0], Tensor) and state[0].shape[1:] == (6, 4):
        return cast(tuple[Tensor, ...], state)
    (found,) = [
        inner
        for part in state
        if isinstance(part, tuple) and part
        if (inner := machine_state(part))
    ] or [()]
    return found


def test_machines_of_an_ensemble_are_told_apart() -> None:
    together = Translator(
        Ensemble([with_machine(1), tiny.model(), with_machine(2)]),
        tiny.vocabulary(),
        tiny.vocabulary(),
    )
    (found,) = together.translate(["a dog"], alignments=True)
    assert found.alignment is not None and found.alignment.heads is not None
    names = [f"{run}: {head}" for run in (1, 2) for head in ("write 1", "write 2", "read 1")]
    assert list(found.alignment.heads) == names


def test_pieces_of_characters_that_several_tokens_share() -> None:
    text = "a 🦜é"
    ids = tiny.byte_level(size=260).encode(text).ids
    found = tiny.vocabulary().pieces(ids)
    assert found == ["a", " ", "🦜", "🦜", "🦜", "🦜", "é", "é"]
    assert tiny.vocabulary().pieces([]) == []


def test_a_translation_is_ready_for_json() -> None:
    (plain,) = tiny.translator().translate(["a dog"], n_best=2)
    data = json.loads(json.dumps(plain.as_dict()))
    assert list(data) == ["text", "score", "log_probability", "cut", "alternatives"]
    assert list(data["alternatives"][1]) == ["text", "score", "log_probability", "cut"]
    (aligned,) = tiny.translator().translate(["a dog"], alignments=True)
    assert set(aligned.as_dict()["alignment"]) == {"source", "target", "weights"}


def test_line_breaks_in_a_translation_become_spaces(monkeypatch: pytest.MonkeyPatch) -> None:
    (ids,) = tiny.vocabulary().encode(["one\ntwo\r\nthree"])
    translator = tiny.translator()

    def produce(batch: Batch, _: Decoding, count: int | None) -> list[list[Hypothesis]]:
        return [[Hypothesis(ids, -1.0, -1.0, True)] for _ in batch.source]

    monkeypatch.setattr(translator.engine, "search", produce)
    assert translator.translate(["x"])[0].text == "one two three"


def test_a_longer_line_than_the_model_saw_is_translated_with_a_warning() -> None:
    said: list[str] = []
    vocabulary = tiny.vocabulary()
    translator = Translator(
        tiny.model(), vocabulary, vocabulary, max_source_length=9, say=said.append
    )
    found = translator.translate(["no", tiny.SENTENCES[-1]])
    assert found == tiny.translator().translate(["no", tiny.SENTENCES[-1]])
    (message,) = said
    assert "she said that" in message
    assert "(9 tokens): 1, the first" in message
    with pytest.warns(UserWarning, match="longer than any"):
        Translator(tiny.model(), vocabulary, vocabulary, max_source_length=1).translate(["a dog"])


def test_a_runs_folder_is_all_that_a_translator_needs(tmp_path: Path) -> None:
    tiny.save_run(tmp_path, {"max_source_length": 9})
    said: list[str] = []
    loaded = Translator.load(str(tmp_path), say=said.append)
    found = loaded.translate(tiny.SENTENCES, alignments=True)
    wanted = tiny.translator(Decoding(beam_size=3)).translate(tiny.SENTENCES, alignments=True)
    for one, other in zip(found, wanted, strict=True):
        assert one.text == other.text
        assert one.score == pytest.approx(other.score, abs=1e-4)
        assert one.alignment is not None
        assert other.alignment is not None
        assert one.alignment.target == other.alignment.target
    long = sum(len(ids) > 9 for ids in tiny.vocabulary().encode(tiny.SENTENCES))
    assert len(said) == 1 and f"(9 tokens): {long}, the first" in said[0]
    with pytest.raises(UserError, match="nothing: expected"):
        Translator.load(tmp_path / "nothing")


def test_progress_counts_every_line_once() -> None:
    done: list[int] = []
    tiny.translator(Decoding(batch_tokens=60)).translate(
        ["", *tiny.SENTENCES], progress=done.append
    )
    assert sum(done) == len(tiny.SENTENCES) + 1
    assert len(done) > 3


def test_scores_of_given_translations_come_in_order() -> None:
    translator = tiny.translator(Decoding(batch_tokens=60))
    sources, targets = list(tiny.SENTENCES), [*tiny.SENTENCES[1:], ""]
    scored = translator.score(sources, targets)
    for source, target, one in zip(sources, targets, scored, strict=True):
        (alone,) = translator.score([source], [target])
        assert one.tokens == len(tiny.vocabulary().encode([target])[0]) + 1
        assert one.log_probability == pytest.approx(alone.log_probability, abs=1e-4)
    with pytest.raises(UserError, match="as many targets as sources, found 1 for 2"):
        translator.score(["a", "b"], ["c"])


def test_batches_are_of_like_lengths_within_the_budget() -> None:
    lengths = [3, 9, 1, 4, 9, 2, 30]
    found = list(batches(lengths, 18))
    assert found == [[6], [1, 4], [3, 0, 5, 2]]
    assert list(batches([], 18)) == []


def test_the_end_of_a_sentence_is_never_part_of_its_text() -> None:
    batch = Batch.of(tiny.vocabulary().encode(["a dog"]), [[]])
    found = tiny.translator().engine.search(batch, Decoding())
    assert all(EOS not in one.tokens for one in found[0])


# ensembles


def test_a_model_with_itself_translates_as_it_does_alone(tmp_path: Path) -> None:
    tiny.save_run(tmp_path, {})
    alone, together = Translator.load(tmp_path), Translator.load(tmp_path, tmp_path, tmp_path)
    for one, other in zip(
        alone.translate(tiny.SENTENCES, alignments=True),
        together.translate(tiny.SENTENCES, alignments=True),
        strict=True,
    ):
        assert one.text == other.text and one.alignment == other.alignment
        assert one.log_probability == pytest.approx(other.log_probability, abs=1e-4)
    (mine,), (ours,) = (t.score(["a dog"], ["a cat"]) for t in (alone, together))
    assert mine.log_probability == pytest.approx(ours.log_probability, abs=1e-4)


def test_models_of_other_vocabularies_are_refused(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        tiny.save_run(tmp_path / name, {})
    path = tmp_path / "other" / JOINT
    tokenizer = json.loads(path.read_text())
    tokenizer["model"]["merges"] = tokenizer["model"]["merges"][:-1]
    path.write_text(json.dumps(tokenizer))
    checkpoint.write_manifest(tmp_path / "other", {"languages": ["xx", "yy"]})
    with pytest.raises(UserError, match=r"other: expected the vocabularies of .*one, found others"):
        Translator.load(tmp_path / "one", tmp_path / "other")
    checkpoint.write_manifest(tmp_path / "other", {"languages": ["yy", "xx"]})
    with pytest.raises(UserError, match=r"other: expected a run for .* found one for yy -> xx"):
        Translator.load(tmp_path / "one", tmp_path / "other")


def test_one_text_is_no_list_of_texts() -> None:
    with pytest.raises(UserError, match="expected a list of texts, found one text: 'hello'"):
        tiny.translator().translate("hello")
