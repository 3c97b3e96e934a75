"""Bundles: smaller folders that translate like the run they were made of."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from nmt import checkpoint, options
from nmt.batch import Batch
from nmt.decoding import lexicon, scoring
from nmt.decoding.export import check_export, export
from nmt.decoding.translator import Translator
from nmt.errors import UserError
from nmt.model.seq2seq import Seq2Seq
from tests.decoding import tiny


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    tiny.save_run(tmp_path / "run", {"max_source_length": 99})
    return tmp_path / "run"


def exported(run: Path, *, int8: bool = False, shortlist: int = 0) -> Path:
    ids = tiny.vocabulary().encode(tiny.SENTENCES)
    folder = run.parent / f"bundle-{int8}-{shortlist}"
    loaded = checkpoint.load_run(run)
    export(loaded, folder, int8=int8, shortlist=shortlist, batches=[Batch.of(ids, ids)])
    return folder


VOCABULARY = len(tiny.vocabulary())
BUNDLES = [(False, 0), (True, 0), (False, 2), (True, 2)]


def test_a_shortlist_of_everything_changes_nothing(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lexicon, "FREQUENT", VOCABULARY)
    found = Translator.load(exported(run, shortlist=1)).translate(tiny.SENTENCES, n_best=3)
    wanted = Translator.load(run).translate(tiny.SENTENCES, n_best=3)
    for one, other in zip(found, wanted, strict=True):
        assert [a.text for a in one.alternatives] == [a.text for a in other.alternatives]
        assert one.score == pytest.approx(other.score, abs=1e-4)


@pytest.mark.parametrize(("int8", "size"), BUNDLES)
def test_a_line_does_not_depend_on_its_neighbours(run: Path, int8: bool, size: int) -> None:
    translator = Translator.load(exported(run, int8=int8, shortlist=size))
    together = translator.translate(tiny.SENTENCES, n_best=2)
    for text, found in zip(tiny.SENTENCES, together, strict=True):
        (alone,) = translator.translate([text], n_best=2)
        assert [a.text for a in alone.alternatives] == [a.text for a in found.alternatives]
        assert alone.score == pytest.approx(found.score, abs=1e-4)


@pytest.mark.parametrize("int8", [False, True])
def test_a_beams_score_is_its_forced_score(run: Path, int8: bool) -> None:
    translator = Translator.load(exported(run, int8=int8))
    sources = [[*ids] for ids in tiny.vocabulary().encode(tiny.SENTENCES)]
    found = translator.engine.search(Batch.of(sources, [[]] * len(sources)), translator.decoding)
    ended = [(ids, best[0]) for ids, best in zip(sources, found, strict=True) if best[0].finished]
    assert len(ended) > 3
    for ids, one in ended:
        (forced,) = scoring.score(translator.model, Batch.of([ids], [one.tokens]))
        assert forced.log_probability == pytest.approx(one.log_probability, abs=1e-4)


def test_a_shortlist_is_obeyed(run: Path) -> None:
    """Learnt from copies, it lets a sentence say its own pieces and the frequent ones only."""
    translator = Translator.load(exported(run, shortlist=1))
    words = translator.engine.shortlist
    assert words is not None
    words.frequent = words.frequent[:0]
    for text, found in zip(tiny.SENTENCES, translator.translate(tiny.SENTENCES), strict=True):
        batch = Batch.of(tiny.vocabulary().encode([text]), [[]])
        allowed = set(words.candidates(batch.source).ids.tolist())
        assert len(allowed) < VOCABULARY / 4
        (said,) = translator.engine.search(batch, translator.decoding)
        assert set(said[0].tokens) <= allowed
        assert tiny.vocabulary().decode([said[0].tokens]) == [found.text]


def test_weights_of_8_bits_are_smaller(run: Path) -> None:
    sizes = [
        (exported(run, int8=int8) / checkpoint.WEIGHTS).stat().st_size for int8 in (False, True)
    ]
    assert sizes[1] < 0.7 * sizes[0]  # the embeddings and the encoder keep all their bits


def test_a_bundle_of_8_bits_is_read_in_8_bits_only(run: Path) -> None:
    bundle = exported(run, int8=True)
    with pytest.raises(UserError, match="expected precision int8, for its weights have 8 bits"):
        Translator.load(bundle, precision="fp32")


def test_a_bundle_is_not_exported_again(run: Path) -> None:
    bundle = exported(run, shortlist=1)
    with pytest.raises(UserError, match="export the run that it was made of"):
        check_export(run.parent / "new", checkpoint.load_run(bundle), 0)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_the_precision_can_be_chosen_when_a_run_is_loaded(run: Path, precision: str) -> None:
    found = Translator.load(run, precision=precision).score(["a dog"], ["a cat"])  # type: ignore[arg-type]
    (wanted,) = tiny.translator().score(["a dog"], ["a cat"])
    tolerance = {"fp32": 1e-4, "bf16": 0.5, "int8": 0.5}[precision]
    assert found[0].log_probability == pytest.approx(wanted.log_probability, abs=tolerance)
    assert (found[0].log_probability == wanted.log_probability) <= (precision == "fp32")


def test_an_existing_folder_is_never_overwritten(run: Path) -> None:
    with pytest.raises(UserError, match="expected a new folder"):
        check_export(run, checkpoint.load_run(run), 0)


def test_a_failed_export_leaves_nothing(run: Path) -> None:
    def broken() -> Iterator[Batch]:
        yield Batch.of([[4]], [[5]])
        raise OSError("torn")

    loaded = checkpoint.load_run(run)
    with pytest.raises(OSError, match="torn"):
        export(loaded, run.parent / "b", int8=True, shortlist=2, batches=broken())
    assert [path.name for path in run.parent.iterdir()] == ["run"]


def test_a_shortlist_needs_attention_to_the_source(run: Path, tmp_path: Path) -> None:
    loaded = checkpoint.load_run(run)
    model = options.build(Seq2Seq, {"decoder": {"attention": "none"}}, 9, 9)
    blind = replace(loaded, model=model)
    check_export(tmp_path / "bundle", blind, shortlist=0)
    with pytest.raises(UserError, match="expected a model with attention to its source, found one"):
        check_export(tmp_path / "bundle", blind, shortlist=1)
