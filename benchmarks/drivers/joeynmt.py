"""Translates with JoeyNMT."""

from joeynmt.config import load_config, parse_global_args  # type: ignore[import-not-found]
from joeynmt.prediction import predict, prepare  # type: ignore[import-not-found]

from benchmarks.drivers.clock import arguments, measure


def main() -> None:
    """Through `predict`, which cuts the sentences into batches as they come."""
    given = arguments()
    settings = load_config(given.model / "config.yaml")
    settings["testing"] |= {"beam_size": given.beam, "batch_size": given.batch}
    loaded = parse_global_args(settings, rank=0, mode="translate")
    model, _, _, stream = prepare(loaded, rank=0, mode="translate")

    def translate(lines: list[str]) -> list[str]:
        stream.reset_cache()
        for line in lines:
            stream.set_item(line)
        found = predict(
            model=model,
            data=stream,
            device=loaded.device,
            n_gpu=loaded.n_gpu,
            num_workers=loaded.num_workers,
            args=loaded.test,
            autocast=loaded.autocast,
        )
        return list(found[2])

    measure(given, translate)


if __name__ == "__main__":
    main()
