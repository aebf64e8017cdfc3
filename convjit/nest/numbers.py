"""Statements by number, in the order in which the nest's text has them: to say of later forms what they were made from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from convjit.nest.ir import NESTED, Nest, Stmt


def distinct(nest: Nest) -> Nest:
    """The same nest, no statement of which is one object with another: passes that copy a part let the copies share it."""
    return replace(nest, body=tuple(map(_copied, nest.body)))


def numbers(nest: Nest, first: int = 1) -> dict[int, int]:
    """The number of every statement of a `distinct` nest, by `id`: those that stand in it follow a loop directly."""
    return {id(stmt): number for number, stmt in enumerate(statements(nest.body), first)}


def statements(body: tuple[Stmt, ...]) -> Iterator[Stmt]:
    """Every statement, outer ones before those inside them."""
    for stmt in body:
        yield stmt
        if isinstance(stmt, NESTED):
            yield from statements(stmt.body)


def _copied(stmt: Stmt) -> Stmt:
    if isinstance(stmt, NESTED):
        return replace(stmt, body=tuple(map(_copied, stmt.body)))
    return replace(stmt)
