"""Localisation documents through a translator: all segments in, all segments out, in one go."""

from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path

from nmt.decoding import health
from nmt.decoding.streams import Out
from nmt.documents.formats import FORMATS
from nmt.documents.parts import Translated, joined, parts
from nmt.documents.placeholders import BACKSLASH
from nmt.documents.segments import Raw, written
from nmt.errors import Say
from nmt.files import errors_named
from nmt.lines import kind_of, reading
from nmt.translation import Translation

TranslateTexts = Callable[[Sequence[str]], list[tuple[Translation, list[str]]]]
"""Texts -> for each, in order, its translation with alignment, and why it looks suspicious."""


def translate_document(
    source: Path,
    out: Out,
    translate: TranslateTexts,
    languages: tuple[str, str],
    arguments: Namespace,
    say: Say,
) -> None:
    """Writes a document with its translations to `out`, and the list of suspicious translations.

    Args:
        source: the document's path.
        out: receives the translated document, in one piece.
        translate: translates the texts of the segments.
        languages: source and target language.
        arguments: the options of `nmt translate`.
        say: shows a message to the user.

    Raises:
        UserError: the document cannot be read, or is damaged.
    """
    with errors_named(source), reading(source) as stream:
        raw = Raw(stream.read(), str(source), languages, say, arguments.strict)
    document = FORMATS[kind_of(source)](raw)
    cut = [
        parts(segment, languages[0], paragraphs=arguments.paragraphs)
        for segment in document.segments
    ]
    if not cut:
        say(f"{source}: nothing in it is to be translated")
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
            "source, no translation, or a choice between texts, which stays: they are marked, "
            "with the reason"
        )
    out.tally += health.counted(reasons)
    places = (
        {"segment": number, "source": written(segment.pieces()).replace(BACKSLASH, "\\")}
        for number, segment in enumerate(document.segments, 1)
    )
    out.add([document.write(results), health.listed(reasons, places)], len(results), "")


def _with_alignment(translation: Translation) -> Translated:
    assert translation.alignment is not None, "documents are translated with alignments"
    return Translated(translation.text, translation.alignment)
