"""Finding the clauses of a convolution, and remembering where they stand."""

from __future__ import annotations

from typing import TypeVar

from convjit.dsl import ast
from convjit.source import Span
from convjit.spec.evaluate import Scope

C = TypeVar("C", bound=ast.Node)


def all_of(conv: ast.Conv, kind: type[C]) -> tuple[C, ...]:
    """Every clause of a kind, in order."""
    return tuple(clause for clause in conv.clauses if isinstance(clause, kind))


def one_of(scope: Scope, conv: ast.Conv, kind: type[C]) -> C | None:
    """The clause of a kind that may stand once; another one is reported."""
    found = all_of(conv, kind)
    for clause in found[1:]:
        scope.report(f"'{kind.__name__.lower()}' is given twice.", head(clause), "again here")
    return found[0] if found else None


def head(node: ast.Node) -> Span | None:
    """The word that a clause begins with."""
    return node.span.first_word if node.span else None


def places(conv: ast.Conv) -> tuple[tuple[str, Span], ...]:
    """Where everything stands, for messages of later stages.

    Keys: the convolution's name under "conv", a clause's word ("stride", "algorithm", "dataflow"), "then 0", "then 1",
    …, and for each tensor "tensor x", "type x", "scale x", "zero x" and "sparse x".
    """
    found: dict[str, Span | None] = {"conv": conv.name.span}
    for clause in conv.clauses:
        if isinstance(clause, ast.Tensor):
            name = clause.name.text
            for key in ("scale", "zero", "sparse", "type"):
                part: ast.Node | None = getattr(clause, key)
                found[f"{key} {name}"] = part.span if part else None
            found[f"tensor {name}"] = clause.name.span
        elif not isinstance(clause, (ast.Then, ast.ScheduleBlock)):
            found[type(clause).__name__.lower()] = clause.span
    for i, step in enumerate(all_of(conv, ast.Then)):
        found[f"then {i}"] = step.word.span
    blocks = all_of(conv, ast.ScheduleBlock)
    if blocks:
        found["dataflow"] = blocks[0].span
    return tuple((key, span) for key, span in found.items() if span is not None)
