"""Text <-> ids: a trained tokenizer file and the four reserved ids."""

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

from nmt.errors import UserError

PAD, BOS, EOS, UNK = 0, 1, 2, 3
"""Reserved ids, which no text can produce. Unigram requires an UNK, but it never occurs."""

RESERVED = ("<pad>", "<s>", "</s>", "<unk>")


class Vocabulary:
    """A trained tokenizer: text to ids and ids to text, exactly.

    Args:
        path: a `tokenizer.json` written by `nmt prepare`.

    Raises:
        UserError: no such file, or not a tokenizer of ours.
    """

    def __init__(self, path: Path) -> None:
        try:
            self.tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UserError(f"{path}: expected a tokenizer here, found no file") from None
        except Exception as error:  # the library raises a bare Exception for a malformed file
            raise UserError(f"{path}: not a tokenizer file ({error})") from None
        found = tuple(self.tokenizer.id_to_token(i) for i in range(len(RESERVED)))
        if found != RESERVED:
            raise UserError(f"{path}: expected the ids 0 to 3 to be {RESERVED}, found {found}")

    def __len__(self) -> int:
        return int(self.tokenizer.get_vocab_size())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.tokenizer.to_str() == other.tokenizer.to_str()

    def __hash__(self) -> int:
        return hash(self.tokenizer.to_str())

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text, without sentence marks. No token is ever unknown."""
        # Lone surrogates cannot be encoded as UTF-8; they come from undecodable bytes only.
        clean = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        encodings = self.tokenizer.encode_batch_fast(clean, add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    def decode(self, ids: Sequence[Sequence[int]]) -> list[str]:
        """Text of each sequence of ids; reserved ids are skipped."""
        kept = [[i for i in sequence if i >= len(RESERVED)] for sequence in ids]
        return list(self.tokenizer.decode_batch(kept, skip_special_tokens=False))

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """The part of the text that each id covers.

        Byte-level units may share a character: each of them then covers all of it.
        """
        prefixes = self.decode([ids[:end] for end in range(len(ids) + 1)])
        # A prefix that ends within a character decodes to a replacement character there.
        starts = [len(prefix.rstrip("\ufffd")) for prefix in prefixes]
        ends = [len(prefix) for prefix in prefixes[1:]]
        return [prefixes[-1][start:end] for start, end in zip(starts, ends, strict=False)]


def load_vocabularies(folder: Path) -> tuple[Vocabulary, Vocabulary]:
    """(source, target) of a prepared data set or a run.

    A joint vocabulary is the one file `tokenizer.json`; separate ones are
    `tokenizer.source.json` and `tokenizer.target.json`.
    """
    if (folder / JOINT).exists():
        joint = Vocabulary(folder / JOINT)
        return joint, joint
    return Vocabulary(folder / SEPARATE[0]), Vocabulary(folder / SEPARATE[1])


JOINT = "tokenizer.json"
SEPARATE = ("tokenizer.source.json", "tokenizer.target.json")


def tokenizer_files(folder: Path) -> list[Path]:
    """The tokenizer files that a folder holds."""
    return [folder / name for name in (JOINT, *SEPARATE) if (folder / name).exists()]
