"""House rules that can be checked: forms are frozen data, files and functions stay small, what is public is documented."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "convjit").rglob("*.py"))
OURS = sorted(
    path
    for folder in ("convjit", "tests", "examples", "docs", "bench", "grammars", ".ci")
    for path in (ROOT / folder).rglob("*")
    if (path.suffix in (".py", ".md", ".conv", ".lark") or path.name == "run") and path.parent.name != "errors"
)

FORMS = ("dsl.ast", "spec.tensor", "spec.conv", "schedule.schedule", "nest.ir", "kernel.ir", "kernel.program")
LONGEST_FORM = 350
LONGEST_FILE = 400
LONGEST_FUNCTION = 40
USUAL_FILE, USUAL_FUNCTION = 200, 12
"""Medians are far below the limits; so are nine in ten."""

UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK|WIP)\b")


def classes(module: str) -> Iterator[type]:
    """The classes that a module defines."""
    found = import_module(f"convjit.{module}")
    for value in vars(found).values():
        if inspect.isclass(value) and value.__module__ == found.__name__:
            yield value


@pytest.mark.parametrize("module", FORMS)
def test_forms_are_frozen_dataclasses(module: str) -> None:
    found = [cls for cls in classes(module) if not issubclass(cls, Exception)]
    assert found
    for cls in found:
        assert dataclasses.is_dataclass(cls), f"{cls.__name__} is no dataclass"
        assert cls.__dataclass_params__.frozen, f"{cls.__name__} is not frozen"  # type: ignore[attr-defined]


@pytest.mark.parametrize("module", FORMS)
def test_forms_hold_nothing_that_changes(module: str) -> None:
    for cls in classes(module):
        for field in dataclasses.fields(cls) if dataclasses.is_dataclass(cls) else ():
            kind = str(field.type)
            assert not re.search(r"\b(list|dict|set|Any|ndarray)\b", kind), f"{cls.__name__}.{field.name}: {kind}"


@pytest.mark.parametrize("module", FORMS)
def test_places_take_no_part_in_comparison(module: str) -> None:
    for cls in classes(module):
        for field in dataclasses.fields(cls) if dataclasses.is_dataclass(cls) else ():
            if "Span" in str(field.type):
                assert not field.compare, f"{cls.__name__}.{field.name}"


@pytest.mark.parametrize("module", FORMS)
def test_forms_are_read_at_one_go(module: str) -> None:
    path = ROOT / "convjit" / f"{module.replace('.', '/')}.py"
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_FORM


def functions(path: Path) -> list[ast.FunctionDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def lines_of(function: ast.FunctionDef) -> int:
    """Without decorators, docstring, and functions of its own."""
    document = function.body[:1] if ast.get_docstring(function) else []
    apart = [*document, *(node for node in function.body if isinstance(node, ast.FunctionDef))]
    return length(function) - sum(map(length, apart))


def length(node: ast.stmt) -> int:
    return (node.end_lineno or 0) - node.lineno + 1


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_and_functions_are_small(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE
    long = [f"{f.name} has {lines_of(f)} lines" for f in functions(path) if lines_of(f) > LONGEST_FUNCTION]
    assert not long


def test_most_files_and_functions_are_much_smaller() -> None:
    files = sorted(len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES)
    lengths = sorted(lines_of(f) for path in MODULES for f in functions(path))
    assert files[len(files) // 2] <= USUAL_FILE
    assert lengths[len(lengths) // 2] <= USUAL_FUNCTION


def public(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    """Functions and classes without an underscore, and the methods of such classes."""
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef) and not named_after_rules(node):
                methods = [f for f in node.body if isinstance(f, ast.FunctionDef)]
                yield from (f for f in methods if not f.name.startswith("_"))


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_what_is_public_is_documented(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), "the module has no docstring"
    if path.parent.name == "emit" and path.name in OPS:
        return
    bare = [node.name for node in public(tree) if not ast.get_docstring(node) and not overloads(node)]
    assert not bare, f"without a docstring: {', '.join(bare)}"


OPS = ("arithmetic.py", "memory.py", "vectors.py")
"""Tables of functions of a few lines, named after the ops of kernel/ops.py, which says what they do."""


def named_after_rules(node: ast.ClassDef) -> bool:
    """Whether its methods are named after a grammar's rules, which say what they are."""
    return any(ast.unparse(base).startswith("Transformer") for base in node.bases)


def overloads(node: ast.FunctionDef | ast.ClassDef) -> bool:
    """Whether it is a signature of an overloaded function, or a property's setter: documented elsewhere."""
    return any("overload" in ast.unparse(d) or ast.unparse(d).endswith(".setter") for d in node.decorator_list)


@pytest.mark.parametrize("path", OURS, ids=lambda p: str(p.relative_to(ROOT)))
def test_nothing_is_left_unfinished(path: Path) -> None:
    if path == Path(__file__):
        return
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        assert not UNFINISHED.search(line), f"{path.name}:{number}: {line}"


def test_every_file_ends_with_a_line() -> None:
    for path in OURS:
        text = path.read_text(encoding="utf-8")
        assert not text or text.endswith("\n"), path
        assert "\r" not in text, path
