"""Translates with Marian."""

from pymarian import Translator  # type: ignore[import-not-found]

from benchmarks.drivers.clock import arguments, measure


def main() -> None:
    """Through its translation service, which sorts the sentences by length.

    It takes its options as one string, cut at spaces: the files are named from the folder in which
    this program runs.
    """
    given = arguments()
    options = {
        "models": given.model,
        "vocabs": f"{given.data} {given.data}",
        "cpu-threads": given.threads,
        "beam-size": given.beam,
        "normalize": 1,
        "max-length-factor": 2,
        "mini-batch": given.batch,
        "maxi-batch": 1000,
        "maxi-batch-sort": "src",
    }
    words = [f"--{name} {value}" for name, value in options.items()]
    translator = Translator(" ".join([*words, "--quiet", "--quiet-translation"]))

    def translate(lines: list[str]) -> list[str]:
        return list(translator.translate(lines))

    measure(given, translate)


if __name__ == "__main__":
    main()
