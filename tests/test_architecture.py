"""The shape of the code: who imports whom, and how long things may get."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

FOUNDATION = {
    "nmt",
    "nmt.batch",
    "nmt.arguments",
    "nmt.config",
    "nmt.corpora",
    "nmt.errors",
    "nmt.files",
    "nmt.launcher",
    "nmt.lines",
    "nmt.ram",
    "nmt.processes",
    "nmt.options",
    "nmt.perplexity",
    "nmt.recipes",
    "nmt.schema",
    "nmt.writing_systems",
    "nmt.state",
    "nmt.translation",
    "nmt.commands",
    "nmt.vocab",
}
# What each room may import besides itself. Imports run from later stages to earlier ones; what
# is missing here is missing on purpose: `nmt.model` and `nmt.data` meet in tensors only,
# `nmt.training` and `nmt.decoding` in a callback that the command line wires in, and
# `data_prep` and `nmt` in a folder on disk. Only the command line sees everything.
MAY_IMPORT = {
    **dict.fromkeys(FOUNDATION, FOUNDATION),
    "nmt": {"nmt.decoding"},
    "data_prep": FOUNDATION,
    "nmt.data": FOUNDATION,
    "nmt.model": FOUNDATION,
    "nmt.checkpoint": {*FOUNDATION, "nmt.model"},
    "nmt.training": {*FOUNDATION, "nmt.data", "nmt.model", "nmt.checkpoint"},
    "nmt.documents": FOUNDATION,
    "nmt.decoding": {*FOUNDATION, "nmt.model", "nmt.checkpoint", "nmt.documents"},
    "nmt.evaluation": {*FOUNDATION, "nmt.data", "nmt.model", "nmt.checkpoint", "nmt.decoding"},
}
SEES_EVERYTHING = {"nmt.cli", "nmt.recommend", "nmt.synthesis", "nmt.wiring"}
WITHOUT_TRAINER = ("nmt.decoding", "nmt.evaluation.metrics")
TRAINER = {"pytorch_lightning", "lightning", "datasets"}

LONGEST_CHAIN = 8
LONGEST_FILE = 300
LONGEST_BODY = 40


def module_name(path: Path) -> str:
    """`nmt/data/__init__.py` is `nmt.data`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def files(*folders: str) -> dict[str, Path]:
    """Every module below the folders, by name."""
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    # Below .work lie the environments of the benchmarks' peers.
    return {module_name(path): path for path in found if ".work" not in path.parts}


MODULES = files("nmt", "data_prep")
EVERYTHING = MODULES | files("tests", "benchmarks")


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def import_statements(node: ast.AST, *, lazy: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports below a node; those within functions only if `lazy`, for types only never."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif for_types_only(child):
            for statement in child.orelse if isinstance(child, ast.If) else []:
                yield from import_statements(ast.Module([statement], []), lazy=lazy)
        elif lazy or not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from import_statements(child, lazy=lazy)


def imported(tree: ast.AST, *, lazy: bool) -> set[str]:
    """Names of the modules that a file imports; `from a import b` is `a.b` if that is a module."""
    names: set[str] = set()
    for statement in import_statements(tree, lazy=lazy):
        if isinstance(statement, ast.Import):
            names |= {alias.name for alias in statement.names}
        else:
            origin = statement.module or ""
            longer = {f"{origin}.{alias.name}" for alias in statement.names}
            names |= {name if name in MODULES else origin for name in longer}
    return names


def room(module: str) -> str:
    """`nmt.model.cells` stands in `nmt.model`, all of `data_prep` in one room."""
    parts = module.split(".")
    return parts[0] if parts[0] == "data_prep" else ".".join(parts[:2])


@cache
def at_import(module: str) -> frozenset[str]:
    return frozenset(imported(parsed(MODULES[module]), lazy=False))


def longest_chain(module: str, above: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The longest line of modules in which each imports the next, from this one down."""
    chain = (*above, module)
    assert module not in above, f"import cycle: {' -> '.join(chain)}"
    below = [longest_chain(name, chain) for name in at_import(module) if name in MODULES]
    return max([chain, *below], key=len)


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """All functions but those of an `autograd.Function`, whose formulas stand best in one piece."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.ClassDef) and any(
            "Function" in ast.unparse(b) for b in child.bases
        ):
            continue
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield child
        yield from functions(child)


def body_length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from the first statement after the docstring to the last."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def ours(module: str) -> set[str]:
    """What a module imports of the project, late imports too."""
    roots = {"nmt", "data_prep", "tests", "benchmarks"}
    names = imported(parsed(MODULES[module]), lazy=True)
    return {name for name in names if name.split(".")[0] in roots}


def test_imports_run_from_later_stages_to_earlier_ones() -> None:
    assert {room(module) for module in MODULES} - SEES_EVERYTHING <= MAY_IMPORT.keys()
    wrong = {
        module: found
        for module in MODULES.keys() - SEES_EVERYTHING
        if (found := {*map(room, ours(module))} - MAY_IMPORT[room(module)] - {room(module)})
    }
    assert wrong == {}


def test_what_is_built_around_the_project_is_not_imported_by_it() -> None:
    roots = {module: {name.split(".")[0] for name in ours(module)} for module in MODULES}
    assert {name: found for name, found in roots.items() if found & {"tests", "benchmarks"}} == {}
    inside = [name for name in MODULES if name.startswith("nmt")]
    assert {name for name in inside if "data_prep" in roots[name]} == {"nmt.cli", "nmt.synthesis"}


def test_search_knows_no_model() -> None:
    for module in ("nmt.decoding.search", "nmt.decoding.sampling"):
        assert "nmt.model" not in map(room, ours(module))


def test_no_cycle_and_no_long_chain_of_imports() -> None:
    chains = [longest_chain(module) for module in MODULES]
    assert [" -> ".join(chain) for chain in chains if len(chain) > LONGEST_CHAIN] == []


def reached(module: str) -> set[str]:
    """All that is imported when a module is."""
    found, waiting = set[str](), {module}
    while waiting:
        found |= waiting
        waiting = {name for one in waiting & MODULES.keys() for name in at_import(one)} - found
    return found


def test_decoding_and_metrics_need_no_trainer() -> None:
    names = [name for name in MODULES if name.startswith(WITHOUT_TRAINER)]
    packages = {name: {one.split(".")[0] for one in reached(name)} for name in names}
    assert {name: found & TRAINER for name, found in packages.items() if found & TRAINER} == {}


def test_only_the_command_line_prints() -> None:
    printing = {
        module
        for module, path in MODULES.items()
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Name) and node.id == "print"
    }
    assert printing == {"nmt.cli"}


def test_files_and_functions_are_short() -> None:
    lines = {
        name: len(path.read_text(encoding="utf-8").splitlines())
        for name, path in EVERYTHING.items()
        if not name.startswith("tests.")
    }
    assert {name: length for name, length in lines.items() if length > LONGEST_FILE} == {}
    bodies = [
        (module, function.name, body_length(function))
        for module, path in EVERYTHING.items()
        for function in functions(parsed(path))
    ]
    assert [body for body in bodies if body[2] > LONGEST_BODY] == []


SAMPLE = """
import json
from typing import TYPE_CHECKING
from nmt import errors
if TYPE_CHECKING:
    import datasets
else:
    import tokenizers
def late():
    import torch
class Early:
    import math
"""


@pytest.mark.parametrize(("lazy", "within_functions"), [(False, set()), (True, {"torch"})])
def test_what_counts_as_an_import(lazy: bool, within_functions: set[str]) -> None:
    always = {"json", "typing", "nmt.errors", "tokenizers", "math"}
    assert imported(ast.parse(SAMPLE), lazy=lazy) == always | within_functions
