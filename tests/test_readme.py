"""What README and docs say is true: the file tree, every command line, every YAML."""

import re
import shlex
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
import yaml

from benchmarks.ablation import merged
from nmt import config
from nmt.arguments import Parser, parse
from nmt.cli import CONFIGURABLE
from nmt.commands import COMMANDS
from nmt.config import Clean, Split
from nmt.decoding.file_translation import BLOCK
from nmt.decoding.lexicon import FREQUENT

ROOT = Path(__file__).parent.parent
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))


def blocks(kind: str) -> list[tuple[str, str]]:
    """Pages and their blocks of code of a language; "" is a terminal's."""
    found = re.compile(rf"^```{kind}\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    # A block's end would begin a block where the language is none: cut out those of others first.
    others = re.compile(r"^```\w+\n.*?^```$" if not kind else r"(?!)", re.MULTILINE | re.DOTALL)
    return [
        (page.name, block)
        for page in PAGES
        for block in found.findall(others.sub("", page.read_text(encoding="utf-8")))
    ]


def commands() -> Iterator[tuple[str, str]]:
    """Pages and what stands behind `nmt` on each line of their terminals."""
    for page, block in blocks(""):
        for line in re.sub(r"\\\n", " ", block).splitlines():
            found = re.match(r"(?:nmt |torchrun .* -m nmt\.cli |python -m benchmarks\.)(.*)", line)
            if found and "COMMAND" not in line:
                # Comments, and what may be left out or given several times.
                yield page, re.sub(r"\s#.*|\[.*?\]", "", found.group(1))


def named() -> set[str]:
    """The files that the tree names, with their folders."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    tree = next(block for block in text.split("```") if "what this is; dated" in block)
    found, folder = set(), ""
    for line in tree.splitlines():
        entry = re.match(r"( *)(\S+)", line)
        if entry is None:
            continue
        indent, name = entry.groups()
        if not indent:
            folder = name if name.endswith("/") else ""
        if not name.endswith("/"):
            found.add(f"{folder if indent else ''}{name}")
    return found


def test_the_file_tree_names_every_module_and_recipe() -> None:
    modules = [
        path.relative_to(ROOT).as_posix()
        for folder in ("nmt", "data_prep", "benchmarks")
        for path in (ROOT / folder).rglob("*.[py][ya]*")
        if path.suffix in (".py", ".yaml") and path.name != "__init__.py"
        if ".work" not in path.parts  # the peers' environments
    ]
    # configs/ is where users keep recipes of their own: there, only what is named must exist.
    told = [name for name in named() if "/" in name and not name.startswith("configs/")]
    assert sorted(told) == sorted(modules)
    assert [name for name in named() if not (ROOT / name).exists()] == []


@pytest.mark.parametrize(("page", "line"), list(commands()))
def test_every_command_line_is_understood(page: str, line: str) -> None:
    name, *words = shlex.split(line)
    if name not in COMMANDS:
        module = import_module(f"benchmarks.{name}")
        (getattr(module, "parse", None) or module.parser().parse_args)(words)
        return
    parser = Parser()
    COMMANDS[name][1](parser)
    arguments = parse(parser, [name, *words], configurable=name in CONFIGURABLE)
    if arguments.overrides:
        path = ROOT / arguments.config
        found = path if path.exists() else ROOT / "configs/tatoeba-en-es.yaml"
        config.load(found, arguments.overrides)


@pytest.mark.parametrize(("page", "block"), blocks("yaml"))
def test_every_yaml_is_understood(page: str, block: str) -> None:
    settings = yaml.safe_load(block)
    if not settings.keys() & {"data", "model", "training", "decoding"}:
        settings = {"model": settings}
    config.from_dict(merged(config.EXAMPLE, settings), page)


def test_the_numbers_in_the_readme_are_those_of_the_code() -> None:
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert f"over {Clean().max_words} words" in text
    assert f"over {Clean().max_ratio:g} times as many letters" in text
    sizes = f"{Split().validation_size:,} and {Split().test_size:,}"
    assert f"by default of {sizes} source sentences" in text
    assert f"the {FREQUENT} most frequent ones" in text
    assert f"blocks of {BLOCK:,} lines" in text
