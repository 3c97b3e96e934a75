"""Human-readable reports: scores; best, worst and random examples; attention pictures."""

import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from nmt.errors import UserError
from nmt.evaluation import plots
from nmt.evaluation.metrics import References, Score, Scores, sentence_chrf
from nmt.files import write_json, write_text
from nmt.translation import Alignment

EXAMPLES = 10
PICTURES = 4
LONGEST_PICTURE = 60
"""Maximum length, in characters, of a source sentence that gives a readable picture."""

Align = Callable[[Sequence[str]], Sequence[Alignment | None]]
"""Sources -> alignments of their translations."""


@dataclass(frozen=True)
class Example:
    """One sentence of a test set.

    Args:
        line: its number in the test set, from 1.
        source: None if only translations were given.
        references: its references, without missing ones.
        hypothesis: the translation.
        chrf: chrF of this sentence alone.
    """

    line: int
    source: str | None
    references: list[str]
    hypothesis: str
    chrf: float


def examples_of(
    sources: Sequence[str] | None,
    references: References,
    hypotheses: Sequence[str],
    *,
    lowercase: bool = False,
) -> list[Example]:
    """All sentences of a test set, each with its chrF."""
    all_chrf = sentence_chrf(hypotheses, references, lowercase=lowercase)
    return [
        Example(
            line=index + 1,
            source=sources[index] if sources else None,
            references=[text for text in references[index] if text is not None],
            hypothesis=hypothesis,
            chrf=chrf,
        )
        for index, (hypothesis, chrf) in enumerate(zip(hypotheses, all_chrf, strict=True))
    ]


def write_hypotheses(folder: Path, hypotheses: Iterable[str]) -> None:
    """Writes all translations, a line each, as hypotheses.txt."""
    write_text(folder / "hypotheses.txt", "".join(f"{text}\n" for text in hypotheses))


def write_report(
    folder: Path,
    title: str,
    scores: Scores,
    examples: Sequence[Example],
    align: Align | None = None,
    setting: Mapping[str, str] | None = None,
) -> None:
    """Writes report.md, report.json, all translations as hypotheses.txt, and attention pictures.

    The same input gives the same report.

    Args:
        folder: created if missing; other files in it are left alone.
        title: the report's heading.
        scores: the scores on the whole test set.
        examples: all sentences of the test set, from `examples_of`; a few are shown.
        align: computes alignments for the pictures; without it there are no pictures.
        setting: what was scored and how it was produced, by name.
    """
    write_hypotheses(folder, (example.hypothesis for example in examples))
    shown = _choose(examples)
    pictures = _pictures(folder, shown["Random"], align) if align else []
    sections = [f"# {title}", f"{scores.sentences} sentences.", scores_table({"": scores})]
    if setting:
        sections += ["\n".join(f"- {name}: {value}" for name, value in setting.items())]
    sections += ["\n".join(f"- {score.name}: `{score.signature}`" for score in scores.all())]
    for name, chosen in shown.items():
        sections += [f"## {name} examples", _examples_table(chosen)]
    if pictures:
        sections += ["## Attention", "A row for each target token; dark is much.", *pictures]
    data = {
        "title": title,
        "setting": dict(setting or {}),
        "scores": scores.as_dict(),
        "examples": {name.lower(): [asdict(one) for one in some] for name, some in shown.items()},
    }
    write_json(folder / "report.json", data)
    write_text(folder / "report.md", "\n\n".join(sections) + "\n")


def scores_table(systems: Mapping[str, Scores]) -> str:
    """Systems side by side, in Markdown; p-values are for the difference from the first."""
    rows = [
        [name or "system", *(_cell(score) for score in scores.all())]
        for name, scores in systems.items()
    ]
    names = [score.name for score in next(iter(systems.values())).all()]
    return _table(["", *names], rows)


def _cell(score: Score) -> str:
    interval = "" if score.interval is None else f" ± {score.interval:.1f}"
    chance = "" if score.p_value is None else f" (p = {score.p_value:.3f})"
    return f"{score.value:.1f}{interval}{chance}"


def _choose(examples: Sequence[Example]) -> dict[str, list[Example]]:
    ranked = sorted(examples, key=lambda example: -example.chrf)
    # A separate generator with a fixed seed, so that all runs on a test set show the same examples.
    drawn = random.Random(1).sample(range(len(examples)), min(EXAMPLES, len(examples)))
    return {
        "Best": ranked[:EXAMPLES],
        "Worst": ranked[: -EXAMPLES - 1 : -1],
        "Random": [examples[index] for index in drawn],
    }


def _pictures(folder: Path, examples: Sequence[Example], align: Align) -> list[str]:
    """Draws a few short examples; returns Markdown that shows them or says why there are none."""
    chosen = [one for one in examples if one.source and len(one.source) <= LONGEST_PICTURE]
    chosen = chosen[:PICTURES]
    if not chosen:
        return [f"No pictures: no source shown has at most {LONGEST_PICTURE} characters."]
    lines = []
    for example, alignment in zip(chosen, align([e.source or "" for e in chosen]), strict=True):
        if alignment is None:
            continue
        drawn = {"attention": plots.attention_picture}
        if alignment.heads:
            drawn["heads"] = plots.heads_picture
        try:
            for kind, draw in drawn.items():
                name = f"{kind}-{example.line}.png"
                draw(alignment, folder / name)
                lines.append(f"![{kind}, line {example.line}]({name})")
        except UserError as error:
            return [f"No pictures: {error}."]
    return lines


def _examples_table(examples: Sequence[Example]) -> str:
    rows = [
        [
            str(one.line),
            f"{one.chrf:.1f}",
            one.source or "",
            " / ".join(one.references),
            one.hypothesis,
        ]
        for one in examples
    ]
    return _table(["line", "chrF", "source", "reference", "translation"], rows)


def _table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join("| " + " | ".join(map(_escape, line)) + " |" for line in lines)


def _escape(text: str) -> str:
    """Escapes text so that it shows unchanged in a cell of a Markdown table."""
    text = re.sub(r"([\\`*_\[\]~|])", r"\\\1", " ".join(text.split()))
    return text.replace("&", "&amp;").replace("<", "&lt;")
