"""A prepared folder as the files that every toolkit reads: the same pieces for everyone."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nmt.data.datamodule import open_dataset
from nmt.errors import UserError
from nmt.evaluation.metrics import References
from nmt.files import write_atomically
from nmt.lines import one_line
from nmt.vocab import JOINT, RESERVED, Vocabulary

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Segmented:
    """An exported folder.

    It holds, for each split, `SPLIT.src` and `SPLIT.tgt` (a sentence a line, pieces separated by
    spaces) and `SPLIT.jsonl` (the raw text); `validation.txt` and `test.txt` (the raw sources, a
    sentence a line); and `vocabulary.txt` (the pieces that text can reach).

    Args:
        folder: where it lies.
        prepared: the folder of `nmt prepare` that it was made from.
        vocabulary: the joint vocabulary.
        pairs: training pairs.
        target_tokens: mean pieces of a training target and its end mark.
        references: of the validation and the test split, the raw ones of each sentence.
    """

    folder: Path
    prepared: Path
    vocabulary: Vocabulary
    pairs: int
    target_tokens: float
    references: Mapping[str, References]

    def path(self, name: str) -> Path:
        """One of the files, absolute: every toolkit runs in a folder of its own."""
        return self.folder.resolve() / name

    def pieces(self) -> list[str]:
        """All that text can reach, without the reserved ones: every toolkit brings its own."""
        return read(self.path("vocabulary.txt"))

    def text(self, lines: Iterable[str]) -> list[str]:
        """Lines of pieces back to text; what is no piece, such as `<unk>`, is left out."""
        identify = self.vocabulary.tokenizer.token_to_id
        found = [[identify(piece) for piece in line.split()] for line in lines]
        return self.vocabulary.decode([[i for i in ids if i is not None] for ids in found])


def export(prepared: Path, folder: Path) -> Segmented:
    """Writes the files. Pairs that are blank on a side are left out: some toolkits refuse them.

    Raises:
        UserError: no prepared data there, separate vocabularies, or a split without pairs.
    """
    dataset = open_dataset(prepared)
    if not (prepared / JOINT).exists():
        raise UserError(
            f"{prepared}: expected one joint vocabulary for both languages, found separate ones; "
            "prepare the data with benchmarks/matched.yaml"
        )
    vocabulary = Vocabulary(prepared / JOINT)
    pieces = [str(vocabulary.tokenizer.id_to_token(i)) for i in range(len(vocabulary))]
    _write(folder / "vocabulary.txt", pieces[len(RESERVED) :])
    pairs, target_tokens = 0, 0.0
    references: dict[str, References] = {}
    for name in SPLITS:
        rows = [row for row in dataset[name] if row["source_ids"] and row["target_ids"]]
        if not rows:
            raise UserError(f"{prepared}: expected sentence pairs in the {name} split, found none")
        for side, column in (("src", "source_ids"), ("tgt", "target_ids")):
            lines = (" ".join(pieces[i] for i in row[column]) for row in rows)
            _write(folder / f"{name}.{side}", lines)
        texts = [{"source": row["source"], "target": row["target"]} for row in rows]
        _write(folder / f"{name}.jsonl", (json.dumps(text) for text in texts))
        if name == "train":
            pairs = len(rows)
            target_tokens = 1 + sum(len(row["target_ids"]) for row in rows) / pairs
        else:
            _write(folder / f"{name}.txt", [one_line(row["source"]) for row in rows])
            references[name] = [row["references"] for row in rows]
    return Segmented(folder, prepared, vocabulary, pairs, target_tokens, references)


def read(path: Path) -> list[str]:
    """The lines of a file, split at line feeds alone."""
    return path.read_text(encoding="utf-8").split("\n")[:-1]


def _write(path: Path, lines: Iterable[str] | Sequence[str]) -> None:
    content = "".join(f"{line}\n" for line in lines).encode()
    write_atomically(path, lambda file: file.write_bytes(content))
