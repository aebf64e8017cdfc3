"""Walking and rewriting nests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from convjit.nest.affine import Affine, Bound
from convjit.nest.ir import (
    HINTS,
    NESTED,
    Apply,
    Expr,
    Guard,
    If,
    Index,
    Let,
    Load,
    Loop,
    MulAdd,
    Number,
    Par,
    Prefetch,
    Read,
    Stmt,
    Store,
    Sync,
)

Work = Store | MulAdd
Change = Callable[[Affine], Affine]


def walk(body: tuple[Stmt, ...], loops: tuple[Loop, ...] = ()) -> Iterator[tuple[Stmt, tuple[Loop, ...]]]:
    """Every statement that is no loop, with the loops around it, outermost first."""
    for stmt in body:
        if isinstance(stmt, Loop):
            yield from walk(stmt.body, (*loops, stmt))
        elif isinstance(stmt, NESTED):
            yield from walk(stmt.body, loops)
        else:
            yield stmt, loops


def works(body: tuple[Stmt, ...]) -> Iterator[tuple[Work, tuple[Loop, ...]]]:
    """Every statement that computes, with the loops around it."""
    for stmt, loops in walk(body):
        if not isinstance(stmt, HINTS):
            assert isinstance(stmt, (Store, MulAdd))
            yield stmt, loops


def loads_of(e: Expr) -> Iterator[Load]:
    """The loads of an expression, left to right."""
    if isinstance(e, Load):
        yield e
    elif isinstance(e, Apply):
        for arg in e.args:
            yield from loads_of(arg)


def loads(stmt: Stmt) -> Iterator[Load]:
    """The loads of a statement, its target not among them."""
    if isinstance(stmt, Store):
        yield from loads_of(stmt.value)
    elif isinstance(stmt, MulAdd):
        yield from loads_of(stmt.a)
        yield from loads_of(stmt.b)


def written(body: tuple[Stmt, ...]) -> frozenset[str]:
    """The buffers that are stored to."""
    return frozenset(s.target.buffer for s, _ in works(body))


def reads(body: tuple[Stmt, ...]) -> Iterator[Load]:
    """Where numbers are read that indices and bounds are made of."""
    return (stmt.load for stmt, _ in walk(body) if isinstance(stmt, Read))


def map_loads(e: Expr, change: Callable[[Load], Expr]) -> Expr:
    """Replace every load of an expression."""
    if isinstance(e, Load):
        return change(e)
    if isinstance(e, Apply):
        return replace(e, args=tuple(map_loads(a, change) for a in e.args))
    return e


def map_expr(e: Expr, change: Change) -> Expr:
    """Change every affine expression of an expression."""
    if isinstance(e, Load):
        return map_load(e, change)
    if isinstance(e, Index):
        return Index(change(e.affine), e.dtype)
    return Apply(e.op, tuple(map_expr(a, change) for a in e.args), e.dtype) if isinstance(e, Apply) else e


def map_load(l: Load, change: Change) -> Load:
    """Change every affine expression of a load."""
    slot = None if l.slot is None else change(l.slot)
    return Load(l.buffer, tuple(map(change, l.index)), map_guards(l.inside, change), l.fill, slot)


def map_guards(guards: tuple[Guard, ...], change: Change) -> tuple[Guard, ...]:
    """Change every affine expression of guards."""
    return tuple(Guard(change(g.affine), change(g.size)) for g in guards) if guards else guards


def map_bound(bound: Bound, change: Change) -> Bound:
    """Change every affine expression of a bound."""
    return tuple(limit.map(change) for limit in bound)


def map_affine(stmt: Stmt, change: Change) -> Stmt:
    """Change every affine expression of a statement and of all inside it."""

    def load(l: Load) -> Load:
        return map_load(l, change)

    def value(e: Expr) -> Expr:
        return map_expr(e, change)

    if isinstance(stmt, Store):
        return Store(load(stmt.target), value(stmt.value), map_guards(stmt.when, change), stmt.by)
    if isinstance(stmt, MulAdd):
        return MulAdd(load(stmt.target), value(stmt.a), value(stmt.b), map_guards(stmt.when, change))
    if isinstance(stmt, Prefetch):
        return Prefetch(load(stmt.target))
    if isinstance(stmt, Read):
        return Read(stmt.name, load(stmt.load), stmt.size)
    if isinstance(stmt, Sync):
        return stmt
    if isinstance(stmt, Let):
        return replace(stmt, of=change(stmt.of), counts=tuple(map(change, stmt.counts)))
    body = tuple(map_affine(s, change) for s in stmt.body)
    if isinstance(stmt, Loop):
        low, high = map_bound(stmt.low, change), map_bound(stmt.high, change)
        return Loop(stmt.name, low, high, stmt.step, stmt.kind, body)
    if isinstance(stmt, Par):
        return Par(tuple(map_affine(b, change) for b in stmt.binds), body)  # type: ignore[misc]
    return If(map_guards((stmt.guard,), change)[0], body)


def substitute(body: tuple[Stmt, ...], values: dict[str, Affine | int]) -> tuple[Stmt, ...]:
    """Replace variables everywhere."""
    return tuple(map_affine(s, lambda a: a.substitute(values)) for s in body)


def typed(e: Expr, dtype_of: Callable[[str], str]) -> str:
    """The type of an expression, `dtype_of` giving that of a buffer."""
    if isinstance(e, Load):
        return dtype_of(e.buffer)
    assert isinstance(e, (Number, Apply, Index))
    return e.dtype
