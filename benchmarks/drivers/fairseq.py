"""Translates with fairseq."""

import torch
from fairseq.hub_utils import GeneratorHubInterface, from_pretrained  # type: ignore[import-not-found]

from benchmarks.drivers.clock import arguments, measure


def main() -> None:
    """Through its hub interface, which sorts the sentences by length."""
    given = arguments()
    loaded = from_pretrained(
        str(given.model), "checkpoint_last.pt", str(given.data), batch_size=given.batch
    )
    hub = GeneratorHubInterface(loaded["args"], loaded["task"], loaded["models"]).eval()

    def translate(lines: list[str]) -> list[str]:
        with torch.inference_mode():
            return list(hub.translate(lines, beam=given.beam, max_len_a=2, max_len_b=10))

    measure(given, translate)


if __name__ == "__main__":
    main()
