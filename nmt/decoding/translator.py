"""Text in, text out: batches by length, order kept."""

import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from nmt import options
from nmt.batch import Batch
from nmt.checkpoint import SHORTLIST, Run, load_run
from nmt.config import Decoding, Precision
from nmt.decoding import scoring
from nmt.decoding.engine import Engine
from nmt.decoding.scoring import Scored
from nmt.decoding.search import Hypothesis
from nmt.decoding.shortlist import Shortlist
from nmt.decoding.translation import Alignment, Alternative, Translation, unchanged
from nmt.errors import UserError
from nmt.lines import one_line
from nmt.model.packed import is_packed, pack_decoder
from nmt.model.seq2seq import Ensemble, Seq2Seq
from nmt.vocab import EOS, RESERVED, Vocabulary

__all__ = ["Translation", "Translator"]


class Translator:
    """A trained model in use, or several as one.

    Args:
        model: in evaluation mode.
        source: the source language's vocabulary.
        target: the target language's vocabulary.
        decoding: how translations are searched for.
        shortlist: what each sentence may say; needs a packed model.
        max_source_length: the longest source seen in training, in tokens; longer ones are
            translated with a warning.
        say: takes a warning; by default it becomes a Python warning.
    """

    def __init__(
        self,
        model: Seq2Seq | Ensemble,
        source: Vocabulary,
        target: Vocabulary,
        decoding: Decoding | None = None,
        *,
        shortlist: Shortlist | None = None,
        max_source_length: int | None = None,
        say: Callable[[str], None] = warnings.warn,
    ) -> None:
        self.model = model
        self.engine = Engine(model, shortlist)
        self.source = source
        self.target = target
        self.decoding = decoding or Decoding()
        self.max_source_length = max_source_length
        self.say = say

    @classmethod
    def load(
        cls,
        path: str | Path,
        *others: str | Path,
        device: str = "cpu",
        precision: Precision | None = None,
        say: Callable[[str], None] = warnings.warn,
    ) -> "Translator":
        """The translator of a run's folder, or of a bundle that `nmt export` made of one.

        Args:
            path: the folder.
            others: folders of runs that translate together with it, as an ensemble; how is
                searched for translations is the first one's setting.
            device: cpu or cuda.
            precision: of the decoder's products, if not the run's own setting.
            say: takes a warning; by default it becomes a Python warning.

        Raises:
            UserError: the folder is no run of ours, or a file of it is missing or damaged, or it
                holds weights of 8 bits and another precision is asked for, or the runs of an
                ensemble have different vocabularies.
        """
        runs = [load_run(Path(folder), device) for folder in (path, *others)]
        for run in runs:
            _pack(run, precision or run.config.decoding.precision)
        if others:
            _check_ensemble(runs)
        first, shortlist = runs[0], None
        if SHORTLIST in first.manifest["files"]:
            shortlist = Shortlist.read(first.folder / SHORTLIST, len(first.target), device)
        return cls(
            Ensemble([run.model for run in runs]) if others else first.model,
            first.source,
            first.target,
            first.config.decoding,
            shortlist=shortlist,
            max_source_length=first.manifest.get("max_source_length"),
            say=say,
        )

    def expect_source(self) -> None:
        """Refuses to translate with a language model.

        Raises:
            UserError: there is no source to translate.
        """
        if not self.model.reads_source:
            raise UserError(
                "expected a translator, found a language model (encoder: none): `nmt generate` "
                "writes text with it, `nmt score --tgt FILE` tells its perplexity"
            )

    def translate(
        self,
        texts: Sequence[str],
        *,
        n_best: int = 1,
        beam_size: int | None = None,
        length_penalty: float | None = None,
        alignments: bool = False,
        progress: Callable[[int], object] | None = None,
    ) -> list[Translation]:
        """One translation for each text, in order; a blank text stays as it is.

        Args:
            texts: lines without their endings.
            n_best: candidates for each text. Those that read the same are given once, so there may
                be fewer.
            beam_size: hypotheses kept at each step, if not the run's own setting.
            length_penalty: exponent of the length, if not the run's own setting.
            alignments: also give each translation's alignment.
            progress: told how many more texts are done.

        Raises:
            UserError: a setting out of range.
        """
        self.expect_source()
        if isinstance(texts, str):
            raise UserError(f"expected a list of texts, found one text: {texts[:40]!r}")
        decoding = self._settings(beam_size, length_penalty, n_best)
        ids = self.source.encode(texts)
        self._warn_of_long(texts, ids)
        results = [unchanged(text) for text in texts]
        rows = [row for row, text in enumerate(texts) if text.strip()]
        if progress:
            progress(len(texts) - len(rows))
        budget = decoding.batch_tokens // decoding.beam_size
        for batch in batches([len(ids[row]) + 1 for row in rows], budget):
            here = [rows[i] for i in batch]
            translations = self._translate([ids[row] for row in here], decoding, n_best, alignments)
            for row, translation in zip(here, translations, strict=True):
                results[row] = translation
            if progress:
                progress(len(here))
        return results

    def score(
        self,
        sources: Sequence[str],
        targets: Sequence[str],
        *,
        progress: Callable[[int], object] | None = None,
    ) -> list[Scored]:
        """The log-probability of each target as a translation of its source.

        Raises:
            UserError: unequal numbers of sources and targets.
        """
        if len(sources) != len(targets):
            raise UserError(
                f"expected as many targets as sources, found {len(targets)} for {len(sources)}"
            )
        pairs = list(zip(self.source.encode(sources), self.target.encode(targets), strict=True))
        results = [Scored(0.0, 0)] * len(pairs)
        lengths = [max(len(source), len(target)) + 1 for source, target in pairs]
        for rows in batches(lengths, self.decoding.batch_tokens):
            batch = self._batch(*zip(*(pairs[row] for row in rows), strict=True))
            for row, scored in zip(rows, scoring.score(self.model, batch), strict=True):
                results[row] = scored
            if progress:
                progress(len(rows))
        return results

    def _settings(
        self, beam_size: int | None, length_penalty: float | None, n_best: int
    ) -> Decoding:
        given = {"beam_size": beam_size, "length_penalty": length_penalty}
        changed = {key: value for key, value in given.items() if value is not None}
        decoding: Decoding = options.build(
            Decoding, asdict(self.decoding) | changed, where="decoding"
        )
        if not 1 <= n_best <= decoding.beam_size:
            raise UserError(
                f"n_best: expected 1 to {decoding.beam_size} (the beam size), found {n_best}; "
                "choose a larger beam size"
            )
        return decoding

    def _warn_of_long(self, texts: Sequence[str], ids: Sequence[Sequence[int]]) -> None:
        longest = self.max_source_length or sys.maxsize
        if long := [text for text, of in zip(texts, ids, strict=True) if len(of) > longest]:
            self.say(
                f"texts longer than any sentence of the training data ({longest} tokens): "
                f"{len(long):,}, the first '{long[0][:40]}...'; check or split them (--paragraphs)"
            )

    def _translate(
        self, sources: list[list[int]], decoding: Decoding, n_best: int, alignments: bool
    ) -> list[Translation]:
        batch = self._batch(sources, [[] for _ in sources])
        found = self.engine.search(batch, decoding, count=1 if n_best == 1 else None)
        best = [hypotheses[0] for hypotheses in found]
        aligned = self._align(sources, best) if alignments else [None] * len(best)
        return [
            Translation(**vars(read[0]), alternatives=read[:n_best], alignment=alignment)
            for read, alignment in zip(map(self._read, found), aligned, strict=True)
        ]

    def _read(self, hypotheses: Sequence[Hypothesis]) -> list[Alternative]:
        """Candidates whose texts differ: tokens that differ may spell the same."""
        texts = map(one_line, self.target.decode([one.tokens for one in hypotheses]))
        candidates: dict[str, Alternative] = {}
        for text, one in zip(texts, hypotheses, strict=True):
            candidates.setdefault(
                text, Alternative(text, one.score, one.log_probability, not one.finished)
            )
        return list(candidates.values())

    def _align(self, sources: list[list[int]], best: Sequence[Hypothesis]) -> list[Alignment]:
        """Search carries no alignments: one forced pass over its result gives the same."""
        batch = self._batch(sources, [one.tokens for one in best])
        with scoring.recorded_heads(self.model) as heads:
            weights = scoring.align(self.model, batch).tolist()
        looked = {
            # Attention after the cell has looked once before the first word.
            name: torch.stack(steps[-batch.target_input.shape[1] :], dim=1).tolist()
            for name, steps in heads.items()
        }
        end = RESERVED[EOS]
        aligned = []
        for row, (ids, one) in enumerate(zip(sources, best, strict=True)):
            source = [*self.source.pieces(ids), end]
            target = self.target.pieces(one.tokens) + [end] * one.finished
            table = _rounded(weights[row][: len(target)], len(source))
            slots = {name: _rounded(of[row][: len(target)]) for name, of in looked.items()}
            aligned.append(Alignment(source, target, table, slots or None))
        return aligned

    def _batch(self, sources: Sequence[list[int]], targets: Sequence[list[int]]) -> Batch:
        return Batch.of(sources, targets).to(next(self.model.parameters()).device)


def _rounded(table: list[list[float]], columns: int | None = None) -> list[list[float]]:
    return [[round(weight, 4) for weight in row[:columns]] for row in table]


def _check_ensemble(runs: Sequence[Run]) -> None:
    first = runs[0]
    for run in runs:
        if SHORTLIST in run.manifest["files"]:
            raise UserError(
                f"{run.folder}: expected no shortlist in an ensemble, found one; name the run "
                "that it was exported from"
            )
        if run.source != first.source or run.target != first.target:
            raise UserError(
                f"{run.folder}: expected the vocabularies of {first.folder}, found others; "
                "an ensemble is of runs that were trained on the same prepared data"
            )


def _pack(run: Run, precision: Precision) -> None:
    if is_packed(run.model) and precision != "int8":
        raise UserError(
            f"{run.folder}: expected precision int8, for its weights have 8 bits, found "
            f"{precision}; translate with the run that it was exported from"
        )
    pack_decoder(run.model, precision)


def batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Indices in batches of like lengths, longest first, so that too little memory shows at once.

    Args:
        lengths: of each sentence.
        budget: the most positions of a batch, padding included; a single sentence may exceed it.
    """
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if batch and (len(batch) + 1) * lengths[batch[0]] > budget:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
