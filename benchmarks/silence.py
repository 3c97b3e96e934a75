"""What a decoder's memory is worth to a trained run: its reads set to zero, BLEU with and without.

    python -m benchmarks.silence checkpoints/machine

A Turing machine's slots read as zeros (attention to the source stays as it is), a memory network's
reads add nothing to its query, nor does a decoder's attention to its own past to its state. Scored
on the validation split at the run's own beam; p is of a paired bootstrap. A memory whose silence
costs less than a point is not used. (A memory network is all that its decoder sees of the source,
but for the first state.)
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from torch import nn

from benchmarks.peers import command, run, say
from nmt.checkpoint import read_config
from nmt.decoding.translator import Translator
from nmt.errors import UserError
from nmt.evaluation.metrics import compare, tokenizer_for
from nmt.evaluation.origin import training_data
from nmt.model.memory import MemoryNetwork, TuringMachine
from nmt.model.multihead import PastAttention


def _without_slots(module: TuringMachine, inputs: Any, outputs: Any) -> Any:
    context, *others = outputs
    kept = context.clone()
    kept[:, : module.context_size - module.source.context_size] = 0
    return kept, *others


def _without_hops(module: MemoryNetwork, inputs: Any, outputs: Any) -> Any:
    return module.query(inputs[0]), *outputs[1:]


def _without_past(module: PastAttention, inputs: Any, outputs: Any) -> Any:
    return inputs[0], outputs[1]


SILENT: dict[type[nn.Module], Callable[..., Any]] = {
    TuringMachine: _without_slots,
    MemoryNetwork: _without_hops,
    PastAttention: _without_past,
}
"""What a memory gives back once its reads are zero."""


@contextmanager
def silenced(model: nn.Module) -> Iterator[int]:
    """Within, the memories of a model say nothing; how many these are."""
    machines = (part for part in model.modules() if isinstance(part, TuringMachine))
    sources: set[object] = {machine.source for machine in machines}
    parts = (part for part in model.modules() if part not in sources)
    memories = [part for part in parts if type(part) in SILENT]
    with ExitStack() as hooks:
        for part in memories:
            hooks.enter_context(part.register_forward_hook(SILENT[type(part)]))
        yield len(memories)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status: 0, or 2 for a user's mistake."""
    made = command("benchmarks.silence", __doc__)
    made.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    try:
        for folder in made.parse_args(argv).runs:
            print(worth(folder))
    except UserError as error:
        say(f"benchmarks.silence: {error}")
        return 2
    return 0


def worth(folder: Path) -> str:
    """One line: validation BLEU with the memory, without it, and the signature.

    Raises:
        UserError: no run, no data, or nothing to silence.
    """
    translator = Translator.load(folder, say=say)
    validation = training_data([folder], "prepare it again")["validation"]
    sources, references = validation["source"][:], validation["references"][:]
    heard = [one.text for one in translator.translate(sources)]
    with silenced(translator.model) as memories:
        if not memories:
            raise UserError(
                f"{folder}: expected a decoder with `attention: turing_machine`, "
                "`attention: memory_network` or `self_attention: multihead`, found no memory to "
                "silence"
            )
        unheard = [one.text for one in translator.translate(sources)]
    tokenize = tokenizer_for(read_config(folder).data.target_language)
    scores = compare({"with": heard, "without": unheard}, references, tokenize=tokenize)
    before, after = scores["with"].bleu, scores["without"].bleu
    return (
        f"{folder}: BLEU {before.value:.2f}, with its memory's reads at zero {after.value:.2f} "
        f"({after.value - before.value:+.2f}, p = {after.p_value:.3f}); {before.signature}"
    )


if __name__ == "__main__":
    run(main)
