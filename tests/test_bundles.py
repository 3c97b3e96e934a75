"""A bundle that is not what training wrote is refused in one sentence, whatever is wrong."""

import json
import pickle
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from nmt import checkpoint
from nmt.cli import main
from nmt.errors import UserError
from tests.toy import Toy

FILES = (
    checkpoint.WEIGHTS,
    checkpoint.CONFIG,
    checkpoint.METRICS,
    checkpoint.MANIFEST,
    "tokenizer.source.json",
    "tokenizer.target.json",
)
Harm = Callable[[Path, random.Random], None]


def truncated(path: Path, draw: random.Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: draw.randrange(len(content))])


def flipped(path: Path, draw: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    path.write_bytes(content)


def lengthened(path: Path, draw: random.Random) -> None:
    path.write_bytes(path.read_bytes() + draw.randbytes(draw.randint(1, 99)))


def lost(path: Path, draw: random.Random) -> None:
    path.unlink()


def noise(path: Path, draw: random.Random) -> None:
    path.write_bytes(draw.randbytes(2000))


CASES = [
    (harm, name, number)
    for harm, times in ((truncated, 4), (flipped, 5), (lengthened, 3), (lost, 1), (noise, 4))
    for name in FILES
    for number in range(times)
]


@pytest.mark.parametrize(("harm", "name", "number"), CASES)
def test_a_harmed_file_is_refused_by_name(
    harm: Harm, name: str, number: int, trained: Toy, tmp_path: Path
) -> None:
    run = trained.copy_of_run(tmp_path / "run")
    harm(run / name, random.Random(f"{harm.__name__} {name} {number}"))
    with pytest.raises(UserError) as refused:
        checkpoint.load_run(run)
    assert "\n" not in str(refused.value)
    without_manifest = (harm, name) == (lost, checkpoint.MANIFEST)  # then it is no run at all
    assert (str(run) if without_manifest else name) in str(refused.value)


class Evil:
    """Leaves a file behind if it is unpickled.

    Args:
        trace: the file.
    """

    trace = Path()

    def __reduce__(self) -> Any:
        return Path.touch, (Evil.trace,)


@pytest.fixture(autouse=True)
def trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What foreign code would leave behind."""
    monkeypatch.setattr(Evil, "trace", tmp_path / "foreign-code-has-run")
    return Evil.trace


def resealed(run: Path, **changes: Any) -> None:
    """The manifest as someone who means harm would write it: all its digests are right."""
    facts = checkpoint.read_manifest(run)
    checkpoint.write_manifest(run, {**facts, **changes})


def pickled(run: Path) -> None:
    (run / checkpoint.WEIGHTS).write_bytes(pickle.dumps(Evil()))


def pickled_by_torch(run: Path) -> None:
    torch.save({"model": Evil()}, run / checkpoint.WEIGHTS)


def huge(run: Path) -> None:
    change_model(run, lambda model: model["decoder"].update(hidden_size=10**9))


def beyond_numbers(run: Path) -> None:
    change_model(run, lambda model: model["decoder"].update(hidden_size=10**15))


def deep(run: Path) -> None:
    change_model(run, lambda model: model["encoder"].update(layers=10**9))


def foreign_code(run: Path) -> None:
    text = (run / checkpoint.CONFIG).read_text()
    (run / checkpoint.CONFIG).write_text(f"{text}\nevil: !!python/object/apply:os.getcwd []\n")


def many_aliases(run: Path) -> None:
    """A list of lists of lists, small as YAML and endless as text."""
    levels = [f"&a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    settings = yaml.safe_load((run / checkpoint.CONFIG).read_text())
    del settings["training"]["seed"]
    settings["training"] = {"x": 0, **settings["training"]}
    text = yaml.safe_dump(settings, sort_keys=False)
    bomb = f"[&a0 [ha], {', '.join(levels)}]"
    (run / checkpoint.CONFIG).write_text(text.replace("  x: 0\n", f"  seed: {bomb}\n"))


def many_levels(run: Path) -> None:
    (run / checkpoint.CONFIG).write_text("[" * 5000)


def without_languages(run: Path) -> None:
    facts = checkpoint.read_manifest(run)
    del facts["languages"]
    checkpoint.write_manifest(run, facts)


def another_shape(run: Path) -> None:
    tensors = load_file(run / checkpoint.WEIGHTS)
    name = max(tensors, key=lambda name: tensors[name].numel())
    save_file({**tensors, name: tensors[name][:-1].contiguous()}, run / checkpoint.WEIGHTS)


def another_name(run: Path) -> None:
    tensors = load_file(run / checkpoint.WEIGHTS)
    name = next(iter(tensors))
    save_file({**tensors, f"{name}.more": tensors[name].clone()}, run / checkpoint.WEIGHTS)


def change_model(run: Path, change: Callable[[Any], object]) -> None:
    settings = yaml.safe_load((run / checkpoint.CONFIG).read_text())
    change(settings["model"])
    (run / checkpoint.CONFIG).write_text(yaml.safe_dump(settings))


@pytest.mark.parametrize(
    "harm",
    [
        pickled,
        pickled_by_torch,
        huge,
        beyond_numbers,
        deep,
        foreign_code,
        many_aliases,
        many_levels,
        another_shape,
        another_name,
    ],
)
def test_a_bundle_that_means_harm_runs_nothing_and_takes_no_memory(
    harm: Callable[[Path], None],
    trained: Toy,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = trained.copy_of_run(tmp_path / "run")
    harm(run)
    resealed(run)
    assert main(["info", str(run)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("nmt info: ") and len(line) < 2000
    assert not Evil.trace.exists()


def test_a_manifest_of_many_levels_or_without_what_it_must_have_is_refused(
    trained: Toy, tmp_path: Path
) -> None:
    run = trained.copy_of_run(tmp_path / "run")
    without_languages(run)
    with pytest.raises(UserError, match="expected the folder of a trained run"):
        checkpoint.load_run(run)
    (run / checkpoint.MANIFEST).write_text("[" * 100_000)
    with pytest.raises(UserError, match="not valid JSON"):
        checkpoint.load_run(run)


def test_no_path_outside_the_bundle_is_read(trained: Toy, tmp_path: Path) -> None:
    run = trained.copy_of_run(tmp_path / "run")
    shutil.copy(run / checkpoint.METRICS, tmp_path / "outside.json")
    manifest = json.loads((run / checkpoint.MANIFEST).read_text())
    digest = manifest["files"][checkpoint.METRICS]
    for name in ("../outside.json", str(tmp_path / "outside.json"), "..", ""):
        rewrite(run, {**manifest["files"], name: digest})
        with pytest.raises(UserError, match=r"that training wrote \(by sha256\)"):
            checkpoint.load_run(run)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (None, r"that training wrote \(by its own seal\)"),
        ([], r"that training wrote \(by its own seal\)"),
        ("all", r"that training wrote \(by its own seal\)"),
        ({"model.safetensors": 7}, "config.yaml: expected its digest in manifest.json, found"),
        ({}, "expected a trained run; its training has not yet saved a model"),
    ],
)
def test_digests_that_are_none_are_refused(
    files: Any, message: str, trained: Toy, tmp_path: Path
) -> None:
    run = trained.copy_of_run(tmp_path / "run")
    rewrite(run, files)
    with pytest.raises(UserError, match=message):
        checkpoint.load_run(run)


def rewrite(run: Path, files: Any) -> None:
    content = json.loads((run / checkpoint.MANIFEST).read_text())
    content.pop(checkpoint.SEAL, None)
    content["files"] = files
    sealed = {**content, checkpoint.SEAL: checkpoint._seal(content)}
    (run / checkpoint.MANIFEST).write_text(json.dumps(sealed))


def test_training_goes_on_from_no_state_that_would_run_code(trained: Toy, tmp_path: Path) -> None:
    run = trained.copy_of_run(tmp_path / "run")
    for name in ("last.ckpt", "before-last.ckpt"):
        torch.save({"state_dict": Evil(), "global_step": 1}, run / name)
    words = ["train", str(trained.config), "--training.folder", str(run)]
    assert main([*words, "--training.max_steps", "120"]) == 2
    assert not Evil.trace.exists()
