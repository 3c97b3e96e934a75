"""Bundles: a trained run made smaller and faster, for translation only."""

import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from nmt import checkpoint
from nmt.batch import Batch
from nmt.config import Decoding
from nmt.decoding.lexicon import learn_shortlist
from nmt.errors import UserError
from nmt.files import rename
from nmt.model.packed import pack_decoder
from nmt.vocab import tokenizer_files

SOURCE = "exported_from"
"""The key of a bundle's manifest that holds the checksum of the run's weights."""


def check_export(folder: Path, run: checkpoint.Run, shortlist: int) -> None:
    """Checks that nothing would be overwritten and that the run can be exported.

    Raises:
        UserError: the folder exists, the run is itself a bundle, or a shortlist is requested for a
            model without attention to its source, such as a language model.
    """
    if folder.exists():
        raise UserError(f"{folder}: expected a new folder for the bundle, found one; remove it")
    if SOURCE in run.manifest:
        raise UserError(
            f"{run.folder}: expected a trained run, found a bundle; export the run that it was "
            "made of"
        )
    if shortlist and not run.model.decoder.attention.reads_source:
        found = "one without" if run.model.reads_source else "a language model"
        raise UserError(
            f"--shortlist: expected a model with attention to its source, found {found} in "
            f"{run.folder}: no source word leads to its words; leave the option out"
        )


def export(
    run: checkpoint.Run, folder: Path, *, int8: bool, shortlist: int, batches: Iterable[Batch]
) -> None:
    """Writes a folder that `nmt translate` reads like a run; the folder is complete or absent.

    Args:
        run: a trained run.
        folder: where to write.
        int8: store the weights of the decoder and the output layer in 8 bits.
        shortlist: maximum number of target tokens for each source token; 0 for no shortlist.
        batches: the training data, from which the shortlist is learnt.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        if shortlist:
            learnt = learn_shortlist(run.model, batches, shortlist)
            learnt.write(partial / checkpoint.SHORTLIST)
        decoding: Decoding = run.config.decoding
        if int8:
            pack_decoder(run.model, "int8")
            decoding = replace(decoding, precision="int8")
        checkpoint.write_weights(partial, run.model)
        checkpoint.write_config(partial, replace(run.config, decoding=decoding))
        for file in [*tokenizer_files(run.folder), run.folder / checkpoint.METRICS]:
            shutil.copyfile(file, partial / file.name)
        facts = {SOURCE: run.manifest["files"][checkpoint.WEIGHTS]}
        own = ("format_version", "versions", "files")
        kept = {key: value for key, value in run.manifest.items() if key not in own}
        checkpoint.write_manifest(partial, kept | facts)
        rename(partial, folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
