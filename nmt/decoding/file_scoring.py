"""`nmt score`: scores whole files of given translations."""

from argparse import Namespace
from collections.abc import Iterator

from nmt.decoding.translator import Translator
from nmt.errors import Say, UserError
from nmt.lines import read_parallel
from nmt.perplexity import perplexity

BLOCK = 10_000
"""Pairs that are sorted by length together, and whose scores are written together."""


def score_files(arguments: Namespace, say: Say) -> Iterator[str]:
    """`nmt score`: a line for each pair with its log-probability and number of tokens.

    At the end, says the perplexity of the corpus.

    Raises:
        UserError: no run, a missing or empty file, or files of unequal length.
    """
    translator = Translator.load(
        arguments.run, device=arguments.device, precision=arguments.precision, say=say
    )
    if translator.model.reads_source and not arguments.src:
        raise UserError("--src: expected the source lines of --tgt, found none")
    if arguments.src and not translator.model.reads_source:
        raise UserError(f"--src: expected none for a language model, found {arguments.src}")
    texts = read_parallel(*filter(None, (arguments.src, arguments.tgt)))
    sources, targets = texts[0], texts[-1]
    if not sources:
        raise UserError(f"{arguments.tgt}: expected at least one line, found none")
    total, tokens = 0.0, 0
    for start in range(0, len(sources), BLOCK):
        block = slice(start, start + BLOCK)
        for one in translator.score(sources[block], targets[block]):
            yield f"{one.log_probability:.4f}\t{one.tokens}"
            total += one.log_probability
            tokens += one.tokens
    say(
        f"{len(sources):,} pairs, {tokens:,} tokens: log-probability {total:.2f} (natural "
        f"logarithm), perplexity {perplexity(-total / tokens):.3f}"
    )
