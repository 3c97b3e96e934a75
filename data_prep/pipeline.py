"""The stages in order: read, split, train tokenizers, encode, write the manifest."""

import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

import datasets
import numpy as np

from data_prep import manifest, sources
from data_prep.clean import Predicate, filters_of
from data_prep.corpus import Corpus, HeldOut
from data_prep.encode import clear_scratch, encode_splits
from data_prep.marks import Gathered, Marks, gather
from data_prep.pairs import Pairs
from data_prep.split import Splits, make_splits
from data_prep.tokenizer import train_tokenizers
from nmt.config import Data
from nmt.errors import Say, UserError
from nmt.files import FURNITURE, alone, errors_named, rename
from nmt.vocab import load_vocabularies


def prepare(data: Data, say: Say, fresh: bool = False) -> Path:
    """Prepares the folder that training reads, unless it is already up to date.

    It is built next to its final location and moved there once complete. A previous folder stays
    in place until then.

    Args:
        data: the settings.
        say: receives progress messages, one line at a time.
        fresh: prepare even if nothing has changed.

    Returns:
        The folder.

    Raises:
        UserError: an input or a setting is wrong, or the folder holds something else.
    """
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()  # ours hide themselves
    folder = Path(data.folder)
    with alone(folder, lambda: say(f"{folder}: another process is preparing it; waiting")):
        return _prepared(folder, data, say, fresh)


def _prepared(folder: Path, data: Data, say: Say, fresh: bool) -> Path:
    _recover(folder)
    old = manifest.read(folder)
    inputs = sources.inputs(data)
    _expect_outside(folder, inputs)
    if old is not None and not fresh:
        changes = manifest.changes(folder, old, data, inputs)
        if not changes:
            say(f"{folder} is already prepared with these settings and inputs, nothing to do")
            return folder
        say(f"preparing {folder} again: {'; '.join(changes)}")
    if old is not None:
        _expect_known(folder, old)
    with errors_named(folder), _replacing(folder) as partial:
        results = _build(partial, data, say)
        clear_scratch(partial)
        manifest.write(partial, manifest.make(partial, data, inputs, results))
    say(f"prepared {folder}")
    return folder


def _expect_outside(folder: Path, inputs: Iterable[str]) -> None:
    """Refuses inputs inside the folder, which would be deleted when it is replaced."""
    for path in map(Path, inputs):
        if path.resolve().is_relative_to(folder.resolve()):
            raise UserError(
                f"{path}: expected an input outside data.folder, which is replaced as a whole, "
                f"found it in {folder}; move it or choose another data.folder"
            )


def _expect_known(folder: Path, old: manifest.Manifest) -> None:
    """Refuses to replace a folder to which a user has added files."""
    known = {manifest.NAME, *old["files"]}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if path.relative_to(folder).as_posix() not in known and path.name not in FURNITURE:
            raise UserError(
                f"{path}: expected nothing in data.folder but what `nmt prepare` made, for it is "
                "replaced as a whole; move the file"
            )


def _beside(folder: Path) -> tuple[Path, Path]:
    """Where a folder is built, and where the one that it replaces is kept meanwhile."""
    place = folder.resolve()
    return place.with_name(f".{place.name}.partial"), place.with_name(f".{place.name}.previous")


def _recover(folder: Path) -> None:
    """Cleans up after a killed run; if it died between the two renames, restores the old folder."""
    partial, previous = _beside(folder)
    shutil.rmtree(partial, ignore_errors=True)
    if previous.exists() and not folder.exists():
        rename(previous, folder.resolve())
    shutil.rmtree(previous, ignore_errors=True)


@contextmanager
def _replacing(folder: Path) -> Iterator[Path]:
    """Yields a new folder that replaces `folder` if nothing goes wrong."""
    partial, previous = _beside(folder)
    partial.mkdir(parents=True)
    try:
        yield partial
        if folder.exists():
            rename(folder.resolve(), previous)
        rename(partial, folder.resolve())
    finally:
        _recover(folder)


def _build(folder: Path, data: Data, say: Say) -> dict[str, Any]:
    """Writes everything but the manifest and returns the results to record in it."""
    seconds: dict[str, float] = {}
    with _timed(seconds, "read"):
        corpus = sources.read(data, say)
        filters = filters_of(corpus, data)
        real, synthetic = _gather(folder, corpus, data, filters, say)
    read = {"train": real.read, **_given(corpus)}
    read |= {"synthetic": synthetic.read} if data.synthetic else {}
    say(f"read: {_listed(read)}")
    with _timed(seconds, "split"):
        splits, dropped = _split(real, corpus, data)
        kept, dropped = _choose((real, synthetic), splits, dropped, list(filters), data)
    say(f"dropped from training: {_listed(dropped)}")
    kept_real, kept_synthetic = kept
    sizes = {"train": len(kept_real), **_held_out(splits)}
    sizes |= {"synthetic": len(kept_synthetic)} if data.synthetic else {}
    say(f"kept: {_listed(sizes)}")
    train = kept_real + kept_synthetic
    with _timed(seconds, "train tokenizers"):
        vocabularies = train_tokenizers(folder, train, data.tokenizer)
    with _timed(seconds, "encode"):
        held_out = {"validation": splits.validation, "test": splits.test}
        measures = encode_splits(folder, train, held_out)
    for side, measure in measures["train"].items():
        rate = measure["tokens"] / measure["words"]
        say(f"{side}: {rate:.2f} tokens a word, longest sentence {measure['longest']} tokens")
    say(f"vocabulary: {_listed(vocabularies)}")
    times = ", ".join(f"{stage} {time:.1f} s" for stage, time in seconds.items())
    say(f"{real.read:,} pairs: {times}")
    _say_sample(folder, splits.test, data, say)
    for name, part in held_out.items():
        _write_text(folder, name, part, data, say)
    for name, content in corpus.notices.items():
        (folder / name).write_bytes(content)
    return {
        "counts": {"read": read, "dropped": dropped, "splits": sizes},
        "text": measures,
        "vocabularies": vocabularies,
        "seconds": {stage: round(time, 1) for stage, time in seconds.items()},
    }


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    """Records how long a stage takes."""
    start = perf_counter()
    yield
    seconds[stage] = perf_counter() - start


def _gather(
    folder: Path, corpus: Corpus, data: Data, filters: Mapping[str, Predicate], say: Say
) -> tuple[Gathered, Gathered]:
    """The real and the synthetic training pairs."""
    seed = data.split.seed
    real = gather(folder / "train.pairs", islice(corpus.train, data.piece), filters, seed)
    made = sources.read_synthetic(data)
    synthetic = gather(folder / "synthetic.pairs", made, filters, seed)
    if not real.read:
        raise UserError(sources.empty_part("training"))
    if data.piece and real.read < data.piece:
        raise UserError(
            f"data.piece: expected at most the {real.read:,} pairs that the corpus has, found "
            f"{data.piece:,}; leave it out"
        )
    if data.piece:
        say(f"data.piece: the first {real.read:,} pairs; `nmt train` reads on, piece by piece")
    return real, synthetic


def _split(train: Gathered, corpus: Corpus, data: Data) -> tuple[Splits, dict[str, int]]:
    """The splits, and how many training pairs were dropped for each reason; see `clean`."""
    if not len(train.pairs):
        raise UserError(
            f"data.corpus: expected sentence pairs, found {train.read} that are blank on a "
            "side and no others"
        )
    splits, shared = make_splits(train, corpus, data.split)
    return splits, {"empty": train.read - len(train.pairs), "shared_with_held_out": shared}


def _choose(
    parts: tuple[Gathered, Gathered],
    splits: Splits,
    dropped: Mapping[str, int],
    filters: Sequence[str],
    data: Data,
) -> tuple[tuple[Pairs, Pairs], dict[str, int]]:
    """The real and the synthetic pairs that are kept, and the number dropped for each reason.

    Of two equal pairs, a real one is kept in preference to a synthetic one.
    """
    real, synthetic = parts
    shared = synthetic.marks.shared_with([splits.validation, splits.test], data.split.seed)
    counts = dict(dropped)
    counts["empty"] += synthetic.read - len(synthetic.pairs)
    counts["shared_with_held_out"] += int(shared.sum())
    marks = Marks.joined([real.marks, synthetic.marks])
    kept = np.concatenate([splits.train, ~shared])
    for number, name in enumerate(filters, start=1):
        counts[name] = int((kept & (marks.filtered == number)).sum())
    kept &= marks.filtered == 0
    if data.clean.drop_duplicates:
        before, kept = int(kept.sum()), marks.once(kept)
        counts["duplicate"] = before - int(kept.sum())
    border = len(splits.train)
    if not kept[:border].any():
        most = max(counts, key=lambda name: counts[name])
        remedy = "loosen the filter that dropped most or give more pairs"
        if most == "shared_with_held_out":
            remedy = "name other files for training than for validation and test"
        raise UserError(f"no training pair is left; dropped: {_listed(counts)}; {remedy}")
    return (real.pairs.only(kept[:border]), synthetic.pairs.only(kept[border:])), counts


def _given(corpus: Corpus) -> dict[str, int]:
    parts = {"validation": corpus.validation, "test": corpus.test}
    return {name: len(part.sources) for name, part in parts.items() if part is not None}


def _held_out(splits: Splits) -> dict[str, int]:
    test = splits.test
    references = sum(text is not None for row in test.references for text in row)
    return {
        "validation": len(splits.validation.sources),
        "test": len(test.sources),
        "test references": references,
    }


def _say_sample(folder: Path, test: HeldOut, data: Data, say: Say) -> None:
    """Shows the subword units of one test pair."""
    names = (f"source ({data.source_language})", f"target ({data.target_language})")
    texts = (test.sources[0], test.targets[0])
    for name, vocabulary, text in zip(names, load_vocabularies(folder), texts, strict=True):
        pieces = vocabulary.pieces(vocabulary.encode([text])[0])
        say(f"sample {name}: {'|'.join(pieces)}")


def _write_text(folder: Path, name: str, part: HeldOut, data: Data, say: Say) -> None:
    """Writes a held-out split as plain text (first references) for other systems to hold out."""
    sides = {data.source_language: part.sources, data.target_language: part.targets}
    if len(sides) < 2:
        return
    if several := sum("\n" in text for texts in sides.values() for text in texts):
        say(  # such a sentence would fill two lines, and text is not rewritten
            f"{name}: not written as plain text too, a line each, for {several:,} of its sentences "
            "contain line breaks"
        )
        return
    for language, texts in sides.items():
        content = "".join(f"{text}\n" for text in texts)
        (folder / f"{name}.{language}").write_bytes(content.encode())


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in counts.items())
