"""Text in, text out: batched by length, order kept."""

import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from nmt import options
from nmt.batch import Batch
from nmt.checkpoint import SHORTLIST, Run, load_run
from nmt.config import Decoding, Precision
from nmt.decoding import scoring
from nmt.decoding.batching import batches, in_parts_that_fit
from nmt.decoding.engine import Engine
from nmt.decoding.scoring import Scored
from nmt.decoding.search import Hypothesis
from nmt.decoding.shortlist import Shortlist
from nmt.errors import Say, UserError
from nmt.lines import one_line
from nmt.model.packed import is_packed, pack_decoder
from nmt.model.seq2seq import Ensemble, Seq2Seq
from nmt.translation import Alignment, Alternative, Translation, unchanged
from nmt.vocab import EOS, RESERVED, Vocabulary

__all__ = ["Translation", "Translator"]


class Translator:
    """Translates and scores with a trained model, or with several as an ensemble.

    Args:
        model: in evaluation mode.
        source: the source vocabulary.
        target: the target vocabulary.
        decoding: the search settings.
        shortlist: the target tokens that each sentence may use; needs a packed model.
        max_source_length: the longest source seen in training, in tokens; longer ones are
            translated with a warning.
        say: receives each warning; by default it becomes a Python warning.
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
        say: Say = warnings.warn,
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
        say: Say = warnings.warn,
    ) -> "Translator":
        """Loads a translator from the folder of a run, or of a bundle made by `nmt export`.

        Args:
            path: the folder.
            others: further runs of an ensemble, which uses the search settings of the first.
            device: cpu or cuda.
            precision: of the decoder's matrix products; None takes the run's own setting.
            say: receives each warning; by default it becomes a Python warning.

        Raises:
            UserError: the folder is not a run, one of its files is missing or damaged, it holds
                8-bit weights and another precision is requested, or the runs of an ensemble have
                different vocabularies.
        """
        runs = [load_run(Path(folder), device) for folder in (path, *others)]
        for run in runs:
            _pack(run, precision or run.config.decoding.precision)
        if others:
            _check_ensemble(runs)
        first, shortlist = runs[0], None
        if SHORTLIST in first.manifest["files"]:
            sizes = len(first.source), len(first.target)
            shortlist = Shortlist.read(first.folder / SHORTLIST, *sizes, device)
        return cls(
            Ensemble([run.model for run in runs]) if others else first.model,
            first.source,
            first.target,
            first.config.decoding,
            shortlist=shortlist,
            max_source_length=first.manifest.get("max_source_length"),
            say=say,
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
        """Translates each text; order is kept, and a blank text stays as it is.

        Args:
            texts: lines without their endings.
            n_best: number of candidates for each text; there may be fewer, since candidates with
                the same text are merged.
            beam_size: hypotheses kept at each step; None takes the run's own setting.
            length_penalty: exponent of the length; None takes the run's own setting.
            alignments: also return the alignment of each translation.
            progress: called with the number of texts that have just been done.

        Raises:
            UserError: a setting is out of range, `texts` is a single string, the model is a
                language model, or a text does not fit into the GPU's memory.
        """
        if not self.model.reads_source:
            raise UserError(
                "expected a translator, found a language model (encoder: none): `nmt generate` "
                "writes text with it, `nmt score --tgt FILE` tells its perplexity"
            )
        if isinstance(texts, str):
            raise UserError(f"expected a list of texts, found one text: {texts[:40]!r}")
        decoding = self._settings(beam_size, length_penalty, n_best)
        ids = self.source.encode(texts)
        self._warn_of_long(texts, ids)
        results = [unchanged(text) for text in texts]
        rows = [row for row, text in enumerate(texts) if text.strip()]
        if progress:
            progress(len(texts) - len(rows))
        lengths = [len(ids[row]) + 1 for row in rows]

        def translated(batch: list[int]) -> list[Translation]:
            sources = [ids[rows[i]] for i in batch]
            return self._translate(sources, decoding, n_best, alignments)

        for batch in batches(lengths, decoding.batch_tokens // decoding.beam_size):
            found = in_parts_that_fit(
                translated, batch, lambda i: _too_long(texts[rows[i]], lengths[i])
            )
            for i, translation in zip(batch, found, strict=True):
                results[rows[i]] = translation
            if progress:
                progress(len(batch))
        return results

    def score(self, sources: Sequence[str], targets: Sequence[str]) -> list[Scored]:
        """The log-probability of each target as a translation of its source.

        Raises:
            UserError: unequal numbers of sources and targets, or a pair does not fit into the GPU's
                memory.
        """
        if len(sources) != len(targets):
            raise UserError(
                f"expected as many targets as sources, found {len(targets)} for {len(sources)}"
            )
        pairs = list(zip(self.source.encode(sources), self.target.encode(targets), strict=True))
        results = [Scored(0.0, 0)] * len(pairs)
        lengths = [max(len(source), len(target)) + 1 for source, target in pairs]

        def scored(rows: list[int]) -> list[Scored]:
            batch = self._batch(*zip(*(pairs[row] for row in rows), strict=True))
            return scoring.score(self.model, batch)

        for rows in batches(lengths, self.decoding.batch_tokens):
            found = in_parts_that_fit(
                scored, rows, lambda row: _too_long(targets[row], lengths[row])
            )
            for row, one in zip(rows, found, strict=True):
                results[row] = one
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
        """Candidates with distinct texts: different tokens may spell the same text."""
        texts = map(one_line, self.target.decode([one.tokens for one in hypotheses]))
        candidates: dict[str, Alternative] = {}
        for text, one in zip(texts, hypotheses, strict=True):
            candidates.setdefault(
                text, Alternative(text, one.score, one.log_probability, not one.finished)
            )
        return list(candidates.values())

    def _align(self, sources: list[list[int]], best: Sequence[Hypothesis]) -> list[Alignment]:
        """Alignments by one forced pass over the results, since search does not keep attention."""
        batch = self._batch(sources, [one.tokens for one in best])
        with scoring.recorded_heads(self.model) as heads:
            weights = scoring.align(self.model, batch)
        looked = {
            # If attention follows the cell, the heads have also looked once before the first word.
            name: torch.stack(steps[-batch.target_input.shape[1] :], dim=1)
            for name, steps in heads.items()
        }
        end = RESERVED[EOS]
        aligned = []
        for row, (ids, one) in enumerate(zip(sources, best, strict=True)):
            source = [*self.source.pieces(ids), end]
            target = self.target.pieces(one.tokens) + [end] * one.finished
            table = _rounded(weights[row, : len(target), : len(source)])
            slots = {name: _rounded(of[row, : len(target)]) for name, of in looked.items()}
            aligned.append(Alignment(source, target, table, slots or None))
        return aligned

    def _batch(self, sources: Sequence[list[int]], targets: Sequence[list[int]]) -> Batch:
        return Batch.of(sources, targets).to(next(self.model.parameters()).device)


def _rounded(table: Tensor) -> list[list[float]]:
    """To four digits; in double precision, where the nearest number is also written with four."""
    numbers: list[list[float]] = table.cpu().double().mul(1e4).round().div(1e4).tolist()
    return numbers


def _too_long(text: str, tokens: int) -> UserError:
    return UserError(
        f"a text of {tokens:,} tokens, '{text[:40]}...', does not fit into the GPU's memory; split "
        "it, choose a smaller --beam-size, or take --device cpu"
    )


def _check_ensemble(runs: Sequence[Run]) -> None:
    first = runs[0]
    for run in runs:
        if SHORTLIST in run.manifest["files"]:
            raise UserError(
                f"{run.folder}: expected no shortlist in an ensemble, found one; name the run "
                "that it was exported from"
            )
        if run.manifest["languages"] != first.manifest["languages"]:
            raise UserError(
                f"{run.folder}: expected a run for {' -> '.join(first.manifest['languages'])} as "
                f"{first.folder} is, found one for {' -> '.join(run.manifest['languages'])}"
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
    run.model.project_words()
