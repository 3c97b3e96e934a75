"""Documents of localisers through a translator: all segments in, all segments out, in one go."""

import gzip
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path

from nmt.decoding.translation import Translation
from nmt.documents.formats import FORMATS, suffix
from nmt.documents.parts import Translated, joined, parts
from nmt.documents.segments import Raw
from nmt.files import write_atomically
from nmt.lines import PACKED, reading

TranslateTexts = Callable[[Sequence[str]], list[Translation]]
"""A translation for each text, in order, with its alignment."""


def translate_document(
    source: Path,
    path: Path | None,
    translate: TranslateTexts,
    languages: tuple[str, str],
    arguments: Namespace,
    say: Callable[[str], None],
) -> None:
    """Writes a document with its translations: it bears its name only when it is whole.

    Args:
        source: where it is.
        path: where it goes; None is standard output. `.gz` packs it.
        translate: what translates.
        languages: from which and into which.
        arguments: of `nmt translate`.
        say: takes what the user should be told.

    Raises:
        UserError: it cannot be read, or is damaged.
    """
    with reading(source) as stream:
        raw = Raw(stream.read(), str(source), languages, say, arguments.strict)
    document = FORMATS[suffix(source)](raw)
    cut = [
        parts(segment, languages[0], paragraphs=arguments.paragraphs)
        for segment in document.segments
    ]
    texts = [part.masked.text for of in cut for part in of if part.masked is not None]
    found = map(_with_alignment, translate(texts))
    pairs = zip(document.segments, cut, strict=True)
    results = [joined(segment, of, found) for segment, of in pairs]
    if faults := sum(result.fault is not None for result in results):
        say(
            f"{source}: {faults:,} of {len(results):,} segments have other tags than their "
            "source: they are marked, with the reason"
        )
    content = document.write(results)
    if path is None:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    packed = gzip.compress(content, mtime=0) if path.suffix == PACKED else content
    write_atomically(path, lambda file: file.write_bytes(packed))


def _with_alignment(translation: Translation) -> Translated:
    assert translation.alignment is not None, "documents are translated with alignments"
    return Translated(translation.text, translation.alignment)
