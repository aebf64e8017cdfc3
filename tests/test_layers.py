"""A module imports only from its own layer and from those above it; nothing is imported inside a function."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "convjit"

LAYERS = (
    ("source", "errors", "dtypes", "settings", "fingerprint"),
    ("dsl",),
    ("spec",),
    ("machine",),
    ("schedule",),
    ("nest",),
    ("cost",),
    ("kernel",),
    ("emit",),
    ("runtime",),
    ("pipeline", "explanation", "report", "targets"),
    ("study", "tune"),
    ("api", "calibration", "bench", "front", "networks", "cli", "__main__"),
)
"""From the top down: data flows down this list, imports point up."""

OPTIONAL = {"torch", "cupy", "jax", "onnx", "onnxruntime", "openvino", "cuda", "numba", "matplotlib"}
"""Packages that are not required, and may be imported where they are needed."""


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def parts(path: Path) -> tuple[str, ...]:
    """("convjit", "dsl", "parse")"""
    return ("convjit", *path.relative_to(PACKAGE).with_suffix("").parts)


def layer(module: tuple[str, ...]) -> int:
    """The layer that a module of the package belongs to."""
    found = [i for i, names in enumerate(LAYERS) if len(module) > 1 and module[1] in names]
    assert found, f"{'.'.join(module)} is in no layer: add it to LAYERS"
    return found[0]


def imported(node: ast.AST, own: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The modules that an import statement names."""
    if isinstance(node, ast.Import):
        return [tuple(alias.name.split(".")) for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    base = own[: len(own) - node.level] if node.level else ()
    module = (*base, *(node.module.split(".") if node.module else ()))
    if module == ("convjit",):
        return [(*module, alias.name) for alias in node.names]
    return [module]


@pytest.mark.parametrize("path", [p for p in modules() if p != PACKAGE / "__init__.py"], ids=lambda p: ".".join(parts(p)))
def test_imports_point_up(path: Path) -> None:
    own = parts(path)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        for module in imported(node, own):
            if module[0] == "convjit" and module[1:] and module[1] != "__version__":
                where = f"{path.name}:{getattr(node, 'lineno', 0)}"
                assert layer(module) <= layer(own), f"{where} imports {'.'.join(module)}, which is further down"


@pytest.mark.parametrize("path", modules(), ids=lambda p: ".".join(parts(p)))
def test_imports_stand_at_the_top(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    for function in functions:
        for node in ast.walk(function):
            for module in imported(node, parts(path)):
                assert module[0] in OPTIONAL, f"{path.name}: {function.name} imports {'.'.join(module)}"


def test_the_package_itself_imports_the_front() -> None:
    """`import convjit` loads what programs, specs and schedules are; what makes code is found when it is used."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    eager = [m for node in tree.body for m in imported(node, ("convjit", "__init__"))]
    front = {"dsl", "errors", "nest", "schedule", "spec"}
    assert {m[1] for m in eager if m[0] == "convjit"} == front
