"""Text that a language model writes by itself."""

from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch

from nmt.batch import Batch
from nmt.decoding.translator import Translator
from nmt.errors import UserError
from nmt.lines import one_line


def generate(arguments: Namespace, say: Callable[[str], None]) -> Iterator[str]:
    """`nmt generate`: sentences drawn from the model, a line each.

    Raises:
        UserError: no run, or one that translates.
    """
    translator = Translator.load(
        arguments.run, device=arguments.device, precision=arguments.precision, say=say
    )
    if translator.model.reads_source:
        raise UserError(
            f"{arguments.run}: expected a language model (encoder: none), found a translator; "
            "`nmt translate` uses it"
        )
    torch.manual_seed(arguments.seed)
    longest = replace(
        translator.decoding, max_length_ratio=1.0, max_length_extra=arguments.max_length
    )
    nothing = Batch.of([[]], [[]]).to(torch.device(arguments.device))
    engine, temperature = translator.engine, arguments.temperature
    for _ in range(arguments.count):
        [[ids]] = engine.sample(nothing, longest, 1, temperature)
        # Beside the longest sentence there is place for its end mark, or for one token too many.
        yield one_line(translator.target.decode([ids[: arguments.max_length]])[0])
