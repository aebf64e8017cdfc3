"""Guards of statements: which there are, what intervals say of them, and statements without some of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from convjit.nest.affine import Range
from convjit.nest.ir import NESTED, Expr, Guard, Load, MulAdd, Stmt, Store
from convjit.nest.visit import loads, map_loads, walk

Ranges = Mapping[str, Range]


def verdict(guard: Guard, ranges: Ranges) -> bool | None:
    """True: always holds. False: never. None: depends."""
    low, high = guard.affine.range(ranges)
    if low >= 0 and high < guard.size.range(ranges)[0]:
        return True
    if high < 0 or (not guard.size.terms and low >= guard.size.const):
        return False
    return None


def skips(stmt: Stmt) -> tuple[Guard, ...]:
    """Guards without which the statement does nothing: a product with a padded 0 is left out."""
    if isinstance(stmt, Store):
        return stmt.when
    if isinstance(stmt, MulAdd):
        inside = [g for load in loads(stmt) if load.fill == 0 for g in load.inside]
        return tuple(dict.fromkeys((*stmt.when, *inside))) if inside else stmt.when
    return ()


def tests(stmt: Stmt) -> tuple[Guard, ...]:
    """Every guard of the statement."""
    if isinstance(stmt, Store):
        return (*stmt.when, *(g for load in loads(stmt) for g in load.inside))
    return skips(stmt)


def all_guards(body: tuple[Stmt, ...]) -> list[Guard]:
    """Every guard of every statement, once."""
    return list(dict.fromkeys(g for stmt, _ in walk(body) for g in tests(stmt)))


def without(body: tuple[Stmt, ...], gone: set[Guard]) -> tuple[Stmt, ...]:
    """The same without these guards."""

    def keep(guards: tuple[Guard, ...]) -> tuple[Guard, ...]:
        return tuple(g for g in guards if g not in gone)

    def read(load: Load) -> Expr:
        return replace(load, inside=keep(load.inside)) if load.inside else load

    result: list[Stmt] = []
    for s in body:
        if isinstance(s, NESTED):
            result.append(replace(s, body=without(s.body, gone)))
        elif isinstance(s, MulAdd):
            result.append(MulAdd(s.target, map_loads(s.a, read), map_loads(s.b, read), keep(s.when)))
        elif isinstance(s, Store):
            result.append(replace(s, value=map_loads(s.value, read), when=keep(s.when)))
        else:
            result.append(s)
    return tuple(result)
