"""Training on machine translations: back-translation, self-training and distillation."""

import hashlib
import json
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nmt import checkpoint, processes
from nmt.config import Config, expect_whole
from nmt.corpora import NOT_PLAIN, TAGGED
from nmt.decoding.synthetic import TAG, Pairs, is_tag
from nmt.errors import Say, UserError
from nmt.files import read_json
from nmt.lines import kind_of

if TYPE_CHECKING:
    from nmt.decoding.jobs import Job


def synthesize(arguments: Namespace, say: Say) -> None:
    """`nmt synthesize`: turns plain lines into pairs for `data.synthetic`.

    Raises:
        UserError: as for `nmt translate`; or the output's name is not that of a JSONL file, the
            input is not plain text, or `nmt prepare` would not recognise the tag.
    """
    from nmt.decoding.fields import Whole
    from nmt.decoding.file_translation import stream_translations
    from nmt.decoding.jobs import Job, Work
    from nmt.decoding.outputs import is_done
    from nmt.decoding.streams import growing

    _check_synthesis(arguments)
    if is_done(arguments, arguments.input, [arguments.output], say):
        return
    tag = arguments.tag if arguments.tag is not None else TAG if arguments.back else ""
    pairs = Pairs(_languages(arguments.runs[0]), back=arguments.back, tag=tag)
    job = Job.of(arguments)
    work = Work(job)
    made_with = {**job.described(), "back": arguments.back, "tag": tag}
    with growing([arguments.output], made_with, resume=arguments.resume) as out:
        pairs.counts = out.tally
        stream_translations(work, arguments, out, say, pairs, Whole())
    say(f"{arguments.output}: {pairs.told()}")


def _check_synthesis(arguments: Namespace) -> None:
    if processes.world() > 1:
        raise UserError("nmt synthesize works by one process: leave torchrun out")
    if not arguments.output.name.endswith((".jsonl", ".jsonl.gz")):
        raise UserError(
            "--output: expected a name that ends in .jsonl or .jsonl.gz, found "
            f"{arguments.output}; `nmt prepare` knows what a file holds by its name"
        )
    if arguments.tag and not is_tag(arguments.tag):
        raise UserError(
            "--tag: expected a word in angle brackets, such as <BT>, or nothing (--tag=), found "
            f"{arguments.tag!r}; `nmt prepare` knows by the brackets that it is no part of a "
            "sentence"
        )
    path = arguments.input
    if path and (path.is_dir() or kind_of(path) in NOT_PLAIN):
        found = "a folder" if path.is_dir() else f"a {kind_of(path)} file"
        raise UserError(
            f"--input: expected plain text, a sentence a line, found {found}: {path}; write its "
            "sentences to a text file first"
        )


def distill(config: Config, arguments: Namespace, say: Say) -> Path:
    """`nmt distill`: sequence-level knowledge distillation (Kim and Rush 2016).

    The teachers translate the training sources; these pairs are prepared together with the real
    ones in a separate folder with the same validation and test splits; and the student of the
    configuration is trained on both. Steps that an earlier call finished are not repeated.

    Raises:
        UserError: a teacher is for other languages, or as for `nmt prepare` and `nmt train`.
    """
    from data_prep.pieces import Pieces
    from data_prep.pipeline import prepare
    from nmt.decoding.jobs import Job
    from nmt.launcher import in_processes
    from nmt.wiring import run_training

    if processes.world() > 1 and not processes.is_own():
        raise UserError(
            "nmt distill translates by one process: leave torchrun out and set training.processes "
            "for the student"
        )
    data, job = config.data, Job.of(arguments)
    expect_whole(data.piece, "a student learns from what is prepared")
    wanted = [data.source_language, data.target_language]
    own = Path(config.training.folder).resolve()
    for run in job.runs:
        if run.resolve().is_relative_to(own):
            raise UserError(
                f"training.folder: expected another folder than the teacher's, found {run}; set it"
            )
        if (found := _languages(run)) != wanted:
            raise UserError(
                f"{run}: expected a teacher for {' -> '.join(wanted)} as in the student's "
                f"configuration, found one for {' -> '.join(found)}"
            )
    folder = prepare(data, say)
    path = folder.with_name(f"{folder.name}-distilled.{_identity(folder, job)}.jsonl")
    _teach(job, folder, path, say)
    synthetic = [*(data.synthetic or []), path.as_posix()]
    made = replace(data, folder=f"{folder}-distilled", synthetic=synthetic)
    prepare(made, say)
    student = replace(config, data=made)
    # Each started process arrives here too, skipping the finished steps.
    in_processes(
        config.training.processes,
        arguments.words,
        lambda: run_training(student, Pieces.of, say, arguments.fresh, None),
    )
    return Path(config.training.folder)


def _teach(job: "Job", prepared: Path, path: Path, say: Say) -> None:
    """Writes the teachers' translations of the training sources, unless they exist already."""
    from nmt.data.datamodule import open_dataset
    from nmt.decoding.file_translation import write_pairs

    if path.exists():
        say(f"{path}: the teachers' translations are there already")
        return
    sources = list(dict.fromkeys(open_dataset(prepared)["train"]["source"]))
    real = [text for text in sources if not TAGGED.match(text)]
    if made := len(sources) - len(real):
        say(f"{made:,} tagged sources are machine-made themselves, and left out")
    pairs = Pairs(_languages(job.runs[0]))
    write_pairs(job, real, path, say, pairs)
    say(f"{path}: {pairs.told()}")


def _identity(prepared: Path, job: "Job") -> str:
    """A digest of everything that the translations depend on."""
    data_hash = read_json(prepared / checkpoint.MANIFEST)["data_hash"]
    content = json.dumps([data_hash, job.described()], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def _languages(run: Path) -> list[str]:
    languages: list[str] = checkpoint.read_manifest(run)["languages"]
    if len(set(languages)) < 2:
        raise UserError(
            f"{run}: expected a run between two languages, found {' and '.join(languages)}; "
            "pairs are written with a key for each"
        )
    return languages
