"""A run of an older version means what it meant when it was written."""

from pathlib import Path

import pytest
import torch
import yaml

from nmt import checkpoint
from nmt.files import read_json, write_json
from tests.toy import Toy


@pytest.mark.parametrize(("version", "scale"), [(1, 1.0), (2, 4.0)])
def test_keys_that_an_older_version_did_not_know(
    trained: Toy, tmp_path: Path, version: int, scale: float
) -> None:
    folder = trained.copy_of_run(tmp_path / "run")
    run = checkpoint.load_run(folder)
    run.config.model["encoder"]["shortcut"] = False
    run.config.model["decoder"]["attend"] = "before"
    run.config.model["readout_shortcut"] = False
    assert run.config.model["embedding_size"] == 16
    run.config.model["embedding_scale"] = scale
    torch.manual_seed(1)
    model = checkpoint.build_model(run.config, run.source, run.target).eval()
    checkpoint.write_weights(folder, model)
    settings = yaml.safe_load((folder / checkpoint.CONFIG).read_text())
    del settings["model"]["encoder"]["shortcut"], settings["model"]["decoder"]["attend"]
    del settings["model"]["readout_shortcut"], settings["model"]["embedding_scale"]
    (folder / checkpoint.CONFIG).write_text(yaml.safe_dump(settings))
    checkpoint.write_manifest(folder, {"languages": ["xx", "yy"]})
    manifest = read_json(folder / checkpoint.MANIFEST)
    write_json(folder / checkpoint.MANIFEST, {**manifest, "format_version": version})
    old = checkpoint.load_run(folder)
    assert old.config.model == run.config.model
    words, lengths = torch.tensor([[4, 5, 6]]), torch.tensor([3])
    torch.testing.assert_close(old.model(words, lengths, words), model(words, lengths, words))
