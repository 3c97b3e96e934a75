"""A run's folder: files are written atomically, and loaded without Lightning or pickle."""

import hashlib
import json
import math
import platform
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save

from nmt import __version__, options
from nmt.config import Config, from_dict
from nmt.errors import UserError
from nmt.files import read_json, read_yaml, sha256, write_atomically, write_json, write_text
from nmt.model.packed import is_packed, place_int8_layers
from nmt.model.seq2seq import Seq2Seq
from nmt.perplexity import perplexity
from nmt.ram import processor_name
from nmt.schema import Settings
from nmt.vocab import Vocabulary, load_vocabularies, tokenizer_files

FORMAT_VERSION = 6
WEIGHTS, CONFIG, METRICS, MANIFEST, SHORTLIST = (
    "model.safetensors",
    "config.yaml",
    "metrics.json",
    "manifest.json",
    "shortlist.safetensors",
)
SEAL, FIRST_SEALED = "seal", 5
"""The key of the manifest's digest of itself, and the first format version with one."""

# Models before version 3, as a run's own YAML holds only the keys that its version knew.
BEFORE_3: Settings = {
    "encoder": {"shortcut": False},
    "decoder": {"attend": "before"},
    "readout_shortcut": "none",
}


@dataclass(frozen=True)
class Run:
    """A trained model with everything needed to use it."""

    folder: Path
    config: Config
    model: Seq2Seq
    source: Vocabulary
    target: Vocabulary
    manifest: dict[str, Any]


def versions() -> dict[str, str]:
    """The versions that a result depends on."""
    processor = f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
    own = {"nmt": __version__, "python": platform.python_version(), "processor": processor}
    own["cpu"] = processor_name()
    if torch.cuda.is_available():
        own["gpu"] = torch.cuda.get_device_name()
    names = ("torch", "numpy", "pytorch-lightning", "tokenizers", "sacrebleu")
    return own | {name: version(name) for name in names}


def write_config(folder: Path, config: Config) -> None:
    """Writes all settings, defaults included, as YAML."""
    text = yaml.safe_dump(asdict(config), sort_keys=False, allow_unicode=True)
    write_text(folder / CONFIG, text)


def write_weights(folder: Path, model: Seq2Seq) -> None:
    """Writes the model's weights; a tied tensor is written once, under its first name."""
    seen: set[int] = set()
    tensors = {}
    for name, tensor in model.state_dict().items():
        if tensor.data_ptr() not in seen:
            tensors[name] = tensor.detach().cpu().contiguous()
        seen.add(tensor.data_ptr())
    # The library's own `save_file` makes a file that only its owner can read.
    write_atomically(folder / WEIGHTS, lambda file: file.write_bytes(save(tensors)))


def write_manifest(folder: Path, facts: dict[str, Any], *, trained: bool = True) -> None:
    """Writes facts, digests of all files and versions: today's, or if not `trained` the facts'."""
    names = (WEIGHTS, CONFIG, METRICS, SHORTLIST)  # a run that has just begun has no weights yet
    files = [folder / name for name in names if (folder / name).exists()]
    files += tokenizer_files(folder)
    content = {
        **facts,  # of a resumed run, which an older format may have begun
        "format_version": FORMAT_VERSION,
        "versions": versions() if trained else facts["versions"],
        "files": {file.name: sha256(file) for file in files},
    }
    write_json(folder / MANIFEST, {**content, SEAL: _seal(content)})


def weights_digest(folder: Path) -> str:
    """The digest that identifies a run's model.

    Raises:
        UserError: the folder holds no run, or one without a model.
    """
    return _weights_of(folder, read_manifest(folder)["files"])


def _weights_of(folder: Path, files: Mapping[str, str]) -> str:
    if WEIGHTS not in files:
        raise UserError(f"{folder}: expected a trained run; its training has not yet saved a model")
    return files[WEIGHTS]


def _seal(content: Mapping[str, Any]) -> str:
    """The digest of a manifest, which vouches for all other files."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", errors="surrogatepass")).hexdigest()


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a run.

    Raises:
        UserError: the folder holds no run, or one of another format.
    """
    manifest = read_json(folder / MANIFEST) if (folder / MANIFEST).is_file() else None
    keys = {"format_version", "files", "languages"}
    if not isinstance(manifest, dict) or not keys <= manifest.keys():
        instead = "none; `nmt train` makes one"
        if folder.is_file():
            instead = (
                "a file; -i names what to read (nmt evaluate: --src, --ref), -o the output; `nmt "
                "train` makes such a folder"
            )
        elif (folder / CONFIG).exists():
            instead = "none; its training has not yet saved a model; `nmt train` makes one"
        raise UserError(f"{folder}: expected the folder of a trained run, found {instead}")
    found = manifest["format_version"]
    if not isinstance(found, int) or found not in range(1, FORMAT_VERSION + 1):
        raise UserError(
            f"{folder / MANIFEST}: expected format_version 1 to {FORMAT_VERSION}, found {found!r}; "
            "use the version of nmt that wrote it, or train again"
        )
    seal = manifest.pop(SEAL, None)
    whole = isinstance(manifest["files"], dict)
    if not whole or (found >= FIRST_SEALED and seal != _seal(manifest)):
        raise UserError(
            f"{folder / MANIFEST}: differs from the file that training wrote (by its own "
            f"{SEAL}); restore it from a copy of the run, or train again"
        )
    return manifest


def damaged(path: Path) -> UserError:
    """The mistake of a file of a run that is not the one which training wrote."""
    return UserError(
        f"{path}: differs from the file that training wrote (by sha256); restore it from a copy of "
        "the run, or train again"
    )


def read_config(folder: Path) -> Config:
    """The settings of a run, checked again; those of an older version keep their meaning."""
    version = read_manifest(folder)["format_version"]
    if not (folder / CONFIG).is_file():
        raise damaged(folder / CONFIG)
    settings = read_yaml(folder / CONFIG)
    try:
        settings["model"] = _as_it_was(settings["model"], version, folder)
    except (KeyError, TypeError, AttributeError, OverflowError):
        raise damaged(folder / CONFIG) from None
    return from_dict(settings, str(folder / CONFIG))


def _as_it_was(model: Settings, version: int, folder: Path) -> Settings:
    """A model's settings of an older format version, translated to the current one."""
    if version < 6 and model["encoder"].get("kind") == "self_attention":
        raise UserError(
            f"{folder}: expected a Transformer's encoder of format_version 6, found one of "
            f"{version}, with one norm more; use the version of nmt that wrote it, or train again"
        )
    if version < 3:
        # The first runs of version 2 multiplied embeddings by sqrt(E), and had no key for it.
        scale = {} if version == 1 else {"embedding_scale": model["embedding_size"] ** 0.5}
        older: Settings = _filled({**BEFORE_3, **scale}, model)
        return older
    if version == 3:  # it had only none and context, as false and true
        return {**model, "readout_shortcut": "context" if model["readout_shortcut"] else "none"}
    return model


def _filled(absent: Settings, found: Any) -> Any:
    """Settings with missing keys filled in from `absent`, at any depth."""
    if not isinstance(found, dict):
        return found
    inner = {key: _filled(absent[key], found[key]) for key in absent.keys() & found.keys()}
    return {**absent, **found, **inner}


def build_model(config: Config, source: Vocabulary, target: Vocabulary) -> Seq2Seq:
    """A freshly initialised model for a pair of vocabularies."""
    model: Seq2Seq = options.build(Seq2Seq, config.model, len(source), len(target), where="model")
    return model


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise UserError(f"{path}: expected the model's weights here, found none") from None
    except SafetensorError as error:
        raise UserError(
            f"{path}: not a whole safetensors file ({error}); copy the run's folder again"
        ) from None


def load_weights(model: Seq2Seq, path: Path) -> None:
    """Fills a model from a weights file.

    Raises:
        UserError: the file is incomplete, or has tensors of other names or shapes.
    """
    with _whole(path):
        tensors = load_file(path)
    place_int8_layers(model, tensors)
    state = model.state_dict()
    first_names: dict[int, str] = {}
    for name, tensor in state.items():
        stored = tensors.pop(first_names.setdefault(tensor.data_ptr(), name), None)
        if stored is None and first_names[tensor.data_ptr()] != name:
            continue  # tied to a tensor that is filled already
        if stored is None or stored.shape != tensor.shape:
            found = "none" if stored is None else tuple(stored.shape)
            raise UserError(f"{path}: {name}: expected {tuple(tensor.shape)}, found {found}")
        tensor.copy_(stored)
    if tensors:
        raise UserError(
            f"{path}: expected the tensors of the model in {CONFIG}, found {next(iter(tensors))} "
            "too; copy the run's folder again, or train an older run again"
        )


def _check_size(config: Config, source: Vocabulary, target: Vocabulary, path: Path) -> None:
    """Refuses weights that cannot be those of the settings, before either takes any memory."""
    with _whole(path), safe_open(path, framework="pt") as stored:
        shapes = [stored.get_slice(name).get_shape() for name in stored.keys()]  # noqa: SIM118
    found = sum(map(math.prod, shapes))
    try:
        with torch.device("meta"):
            wanted = build_model(config, source, target).parameters_count()
    except RuntimeError:  # the sizes overflow
        wanted = sys.maxsize
    if wanted > found:
        raise UserError(
            f"{path}: expected {wanted:,} numbers by {CONFIG} and the vocabularies, found "
            f"{found:,}; restore the run's files from a copy, or train again"
        )


def load_run(folder: Path, device: str = "cpu", *, trainable: bool = False) -> Run:
    """Loads a run's best model, ready to translate or, if it is `trainable`, to train.

    Raises:
        UserError: no run, a file that differs from the one that was written, or 8 bits to train.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    files = manifest["files"]
    _weights_of(folder, files)
    for file in (folder / CONFIG, *tokenizer_files(folder)):
        if file.name not in files:
            raise UserError(f"{file}: expected its digest in {MANIFEST}, found none; train again")
    for name, digest in files.items():
        path = folder / Path(name).name
        if not path.is_file() or sha256(path) != digest:
            raise damaged(path)
    config = read_config(folder)
    source, target = load_vocabularies(folder)
    _check_size(config, source, target, folder / WEIGHTS)
    model = build_model(config, source, target)
    with torch.no_grad():
        load_weights(model, folder / WEIGHTS)
    if trainable and is_packed(model):
        raise UserError(
            f"{folder}: expected a trained run, found a bundle of 8 bits, which has no gradients; "
            "name the run that it was exported from"
        )
    return Run(folder, config, model.to(device).eval(), source, target, manifest)


def quality(row: Mapping[str, Any]) -> tuple[str, float]:
    """The quality in a row of a run's metrics: BLEU or, for a language model, perplexity."""
    return ("BLEU", row["bleu"]) if "bleu" in row else ("perplexity", perplexity(row["loss"]))
