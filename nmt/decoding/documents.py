"""Documents of localisers through a translator: all segments in, all segments out, in one go."""

import gzip
import sys
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from nmt.decoding import health
from nmt.decoding.translation import Translation
from nmt.documents.formats import FORMATS, suffix
from nmt.documents.parts import Translated, joined, parts
from nmt.documents.segments import Raw
from nmt.files import write_atomically
from nmt.lines import PACKED, reading

TranslateTexts = Callable[[Sequence[str]], list[tuple[Translation, list[str]]]]
"""A translation for each text, in order, with its alignment, and why it looks wrong."""


def translate_document(
    source: Path,
    paths: Sequence[Path],
    translate: TranslateTexts,
    languages: tuple[str, str],
    arguments: Namespace,
    say: Callable[[str], None],
) -> Counter[str]:
    """Writes a document with its translations: it bears its name only when it is whole.

    Args:
        source: where it is.
        paths: where it goes, packed if that ends in `.gz`, and the list of the segments that look
            wrong; none is standard output.
        translate: what translates.
        languages: from which and into which.
        arguments: of `nmt translate`.
        say: takes what the user should be told.

    Returns:
        How many segments look wrong, by the reason.

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
    translated = translate(texts)
    found = (_with_alignment(translation) for translation, _ in translated)
    ill = iter(reasons for _, reasons in translated)
    reasons = [health.any_of([next(ill) for part in of if part.masked is not None]) for of in cut]
    pairs = zip(document.segments, cut, strict=True)
    results = [joined(segment, of, found) for segment, of in pairs]
    if faults := sum(result.fault is not None for result in results):
        say(
            f"{source}: {faults:,} of {len(results):,} segments have other tags than their "
            "source: they are marked, with the reason"
        )
    contents = [document.write(results), health.listed(reasons)]
    if not paths:
        sys.stdout.buffer.write(contents[0])
        sys.stdout.buffer.flush()
    for path, content in zip(paths, contents, strict=False):
        packed = gzip.compress(content, mtime=0) if path.suffix == PACKED else content
        write_atomically(path, partial(Path.write_bytes, data=packed))
    return health.counted(reasons)


def _with_alignment(translation: Translation) -> Translated:
    assert translation.alignment is not None, "documents are translated with alignments"
    return Translated(translation.text, translation.alignment)
