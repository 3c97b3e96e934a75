"""What to translate with, ready to pass to other processes, and translated blocks of lines."""

from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from nmt import options
from nmt.checkpoint import SHORTLIST, read_config, read_manifest, weights_digest
from nmt.config import Precision
from nmt.decoding import health
from nmt.decoding.paragraphs import Paragraphs
from nmt.errors import UserError
from nmt.lines import Line
from nmt.translation import Translation

if TYPE_CHECKING:
    from nmt.decoding.translator import Translator

Progress = Callable[[int], object]


@dataclass(frozen=True)
class TranslatedBlock:
    """A block of lines with their translations, why each looks suspicious, and any warnings."""

    lines: list[Line]
    translations: list[Translation]
    reasons: list[list[str]]
    said: list[str]


Translate = Callable[[list[Line]], TranslatedBlock]


@dataclass(frozen=True)
class Job:
    """What to translate with, and how; see `Translator.load` and `Translator.translate`.

    With `paragraphs`, each sentence of a line is translated on its own. With `reached`, attention
    is computed even if no alignments are requested, so that source words which it never reached
    can be reported; this takes a quarter more time. `weights` are the digests of the runs' weights
    when the job was made: those of a run that is being trained change.
    """

    runs: list[Path]
    weights: list[str] = field(default_factory=list, kw_only=True)
    device: str = "cpu"
    precision: Precision | None = None
    n_best: int = 1
    beam_size: int | None = None
    length_penalty: float | None = None
    alignments: bool = False
    paragraphs: bool = False
    reached: bool = False

    def __post_init__(self) -> None:
        if not self.weights:
            object.__setattr__(self, "weights", list(map(weights_digest, self.runs)))

    @classmethod
    def of(cls, arguments: Namespace) -> "Job":
        """The job that command-line options ask for."""
        names = [one.name for one in fields(cls)]
        given = {name: value for name, value in vars(arguments).items() if name in names}
        return cls(**given, reached=vars(arguments).get("health") is not None)

    def described(self) -> dict[str, Any]:
        """Everything that the translations depend on, by the names of the options."""
        given = {
            "health" if name == "reached" else name: value for name, value in asdict(self).items()
        }
        del given["runs"]
        shortlists = [read_manifest(run)["files"].get(SHORTLIST) for run in self.runs]
        if self.runs:  # the settings of the first apply to the whole ensemble
            settings = asdict(read_config(self.runs[0]).decoding)
            given |= {name: settings[name] for name in settings if given.get(name) is None}
        return {"shortlists": shortlists, **given}

    def languages(self) -> tuple[str, str]:
        """The source and the target language."""
        source, target = read_manifest(self.runs[0])["languages"]
        return source, target

    def load(self, progress: Progress | None = None) -> Translate:
        """Loads the translator and returns a function that translates a block.

        Raises:
            UserError: as for `Translator.load`, or a run has been trained further meanwhile.
        """
        from nmt.decoding.translator import Translator  # late: a job may run in another process

        said: list[str] = []
        language = self.languages()[0] if self.paragraphs else None
        translator = Translator.load(
            *self.runs, device=self.device, precision=self.precision, say=said.append
        )
        for run, digest in zip(self.runs, self.weights, strict=True):
            if weights_digest(run) != digest:
                raise UserError(
                    f"{run}: has changed since this translation began; `nmt export` it first and "
                    "translate with what that writes, or begin anew"
                )
        # Settings are checked before any input is read.
        translator.translate(
            [], n_best=self.n_best, beam_size=self.beam_size, length_penalty=self.length_penalty
        )
        limits = options.build(health.Health, translator.decoding.health, where="decoding.health")

        def translate(block: list[Line]) -> TranslatedBlock:
            said.clear()
            lines = [line.text for line in block]
            cut = Paragraphs(lines, language)
            whole = len(cut.parts) == len(lines)
            counted = progress if whole else None
            found, reasons = self._checked(translator, limits, cut.parts, counted)
            if progress and not whole:  # progress counts lines, not parts
                progress(len(lines))
            grouped = [health.any_of(parts) for parts in cut.grouped(reasons)]
            return TranslatedBlock(block, cut.joined(found), grouped, list(said))

        return translate

    def _checked(
        self,
        translator: "Translator",
        limits: health.Health,
        texts: Sequence[str],
        progress: Progress | None,
    ) -> tuple[list[Translation], list[list[str]]]:
        """The translation of each text, and why it looks suspicious."""
        found = translator.translate(
            texts,
            n_best=self.n_best,
            beam_size=self.beam_size,
            length_penalty=self.length_penalty,
            alignments=self.alignments or self.reached,
            progress=progress,
        )
        pairs = zip(texts, found, strict=True)
        reasons = [list(health.reasons(text, one, limits)) for text, one in pairs]
        if not self.alignments:
            found = [replace(one, alignment=None) for one in found]
        return found, reasons


class Work:
    """A job whose translator is loaded once for all files."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.bar: tqdm | None = None
        self.translate = job.load(self._progress)

    def _progress(self, lines: int) -> None:
        if self.bar is not None:
            self.bar.update(lines)
