"""The README's file tree is true: it names every module and every recipe, and nothing else."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


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
        for folder in ("nmt", "data_prep", "configs", "benchmarks")
        for path in (ROOT / folder).rglob("*.[py][ya]*")
        if path.suffix in (".py", ".yaml") and path.name != "__init__.py"
    ]
    assert sorted(name for name in named() if "/" in name) == sorted(modules)
    assert [name for name in named() if not (ROOT / name).exists()] == []
