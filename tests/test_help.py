"""What `--help` and `--version` say."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from nmt import config, options
from nmt.arguments import Parser
from nmt.cli import CONFIGURABLE, main
from nmt.commands import COMMANDS
from nmt.schema import flat
from tests.toy import Toy


def leave(words: Sequence[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        main(words)
    assert leaving.value.code == 0


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_help_lists_the_commands(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    leave(words)
    out = capsys.readouterr().out
    for command, (summary, _) in COMMANDS.items():
        assert re.search(rf"^  {command} +{re.escape(summary)}$", out, re.MULTILINE)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    leave(["--version"])
    assert re.fullmatch(r"nmt \d+\.\d+\.\d+\S*\n", capsys.readouterr().out)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_lists_each_option_with_its_default(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if command in CONFIGURABLE:
        assert main([command, "--help"]) == 0
    else:
        leave([command, "--help"])
    text = " ".join(capsys.readouterr().out.split())
    parser = Parser()
    COMMANDS[command][1](parser)
    for action in parser._actions:
        assert all(name in text for name in action.option_strings)
        assert action.help and " ".join(action.help.split()) in text
        if action.default not in (None, False, argparse.SUPPRESS) and action.option_strings:
            assert f"(default: {action.default})" in text


@pytest.mark.parametrize("command", CONFIGURABLE)
def test_help_lists_each_key_of_the_settings(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    known = list(options.walk(config.Config, config.EXAMPLE))
    assert {"model.decoder.cell.kind", "training.learning_rate"} <= {one.key for one in known}
    for option in known:
        (line,) = [line for line in lines if line.startswith(f"  --{option.key} ")]
        assert option.help and option.help in line
        required = option.key in flat(config.EXAMPLE)
        default = f"default: {options.show(option.default)}"
        assert line.endswith(f"({'required' if required else default})")


def test_help_of_a_file_that_leaves_kinds_out(
    toy: Toy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = yaml.safe_load(toy.config.read_text())
    settings["model"] = {"encoder": {"hidden_size": 512}, "decoder": {"attention": None}}
    settings["training"]["objective"] = {"sampling": 0.25}
    file = tmp_path / "short.yaml"
    file.write_text(yaml.safe_dump(settings))
    assert main(["train", str(file), "--help"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^  --model.encoder.hidden_size  .*\(default: 512\)$", out, re.MULTILINE)
    assert re.search(r"^  --training.objective.sampling  .*0.25\)$", out, re.MULTILINE)
    settings["model"]["encoder"] = {"kind": "hexagonal"}
    file.write_text(yaml.safe_dump(settings))
    assert main(["train", str(file), "--help"]) == 2
    assert "model.encoder.kind: unknown value 'hexagonal'" in capsys.readouterr().err


def test_help_shows_the_options_of_a_kind_that_an_override_names(
    toy: Toy, capsys: pytest.CaptureFixture[str]
) -> None:
    kind = ["--model.decoder.attention.kind", "local", "--fresh", "--training.seed=7"]
    assert main(["train", str(toy.config), *kind, "--help"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^  --model.decoder.attention.window  ", out, re.MULTILINE)
    assert re.search(r"^  --training.seed  .*\(default: 7\)$", out, re.MULTILINE)


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["translate", "run", "--beam_size", "1"], "--beam-size"),
        (["translate", "run", "--nbest=5"], "--n-best"),
        (["train", "a.yaml", "--init_from", "run"], "--init-from"),
        (["train", "a.yaml", "--seed", "3"], "--training.seed"),
        (["prepare", "a.yaml", "--vocabulary_size=2000"], "--data.tokenizer.vocabulary_size"),
        (["prepare", "a.yaml", "--frsh"], "--fresh"),
        (["info", "run", "--xyzzy"], None),
    ],
)
def test_an_option_that_is_mistyped_is_answered_with_the_right_one(
    words: list[str], meant: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    hint = f"; did you mean {meant}?" if meant else ""
    assert line.endswith(f"{hint}; see `nmt {words[0]} --help`") and f"{words[2]!r}" in line


def test_help_of_a_file_without_a_corpus(
    toy: Toy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = yaml.safe_load(toy.config.read_text())
    del settings["data"]["corpus"]
    file = tmp_path / "short.yaml"
    file.write_text(yaml.safe_dump(settings))
    assert main(["prepare", str(file), "--help"]) == 0
    assert "--data.corpus.kind  one of: " in capsys.readouterr().out


def test_help_shows_a_files_own_settings(toy: Toy, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", str(toy.config), "--help"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^  --training.max_steps  .*\(default: 90\)$", out, re.MULTILINE)
    assert re.search(r"^  --data.corpus.train  ", out, re.MULTILINE)  # of its kind of corpus
