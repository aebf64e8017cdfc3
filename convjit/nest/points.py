"""Iteration points: what a chain of loops runs through, as arrays with one entry for each point, in order.

Used where a nest is run or counted. An environment gives every variable a number, or an array over the points.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convjit.nest.affine import Affine, Bound, Limit
from convjit.nest.ir import LANES, UNITS, Guard, If, Let, Load, Loop, MulAdd, Nest, Par, Prefetch, Stmt, Store
from convjit.nest.layout import Layout

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Values = NDArray[Any]
Env = dict[str, "int | Ints"]

Leaf = Store | MulAdd | Prefetch
LANE_KINDS = (*LANES, "vec")
WRITTEN_OUT = ("unroll", *LANE_KINDS)
"""Loops that do not exist when the kernel runs: their copies share what they read."""


def evaluate(affine: Affine, env: Mapping[str, int | Ints]) -> int | Ints:
    """Its value at every point."""
    value: int | Ints = affine.const
    for name, coefficient in affine.terms:
        value = value + env[name] * coefficient
    return value


def limit_value(limit: Limit, env: Mapping[str, int | Ints]) -> int | Ints:
    """The value of a limit at every point."""
    return -(-evaluate(limit.affine, env) // limit.divisor) * limit.scale


def bound_value(bound: Bound, env: Mapping[str, int | Ints], pick: Callable[..., Any]) -> int | Ints:
    """The largest (np.maximum) or smallest (np.minimum) of the limits."""
    value = limit_value(bound[0], env)
    for limit in bound[1:]:
        value = pick(value, limit_value(limit, env))
    return value


def loop_range(loop: Loop, env: Env) -> tuple[int | Ints, int | Ints]:
    """First value, and how many there are, at every point."""
    low = bound_value(loop.low, env, np.maximum)
    high = bound_value(loop.high, env, np.minimum)
    return low, np.maximum(-((low - high) // loop.step), 0)


def holds(guards: Iterable[Guard], env: Env, points: int) -> Bools:
    """Where all guards hold."""
    every = np.ones(points, np.bool_)
    for guard in guards:
        value = evaluate(guard.affine, env)
        every &= np.logical_and(value >= 0, value < evaluate(guard.size, env))
    return every


def digits(let: Let, env: Env) -> Env:
    """The environment with the digits in it."""
    rest = evaluate(let.of, env)
    made: Env = {}
    for place in range(len(let.names) - 1, -1, -1):
        digit = rest
        if place:
            count = evaluate(let.counts[place], env)
            digit, rest = rest % count, rest // count
        made[let.names[place]] = digit * let.steps[place]
    return {**env, **made}


def select(env: Env, keep: Bools | Ints) -> Env:
    """The environment at some of the points."""
    return {n: v[keep] if isinstance(v, np.ndarray) else v for n, v in env.items()}


def length(env: Env) -> int:
    """The number of points."""
    return next((len(v) for v in env.values() if isinstance(v, np.ndarray)), 1)


def expand(loop: Loop, env: Env) -> Env:
    """Every point becomes as many points as the loop has values there."""
    points = length(env)
    low, count = loop_range(loop, env)
    counts = np.broadcast_to(np.asarray(count, np.int64), (points,))
    lows = np.broadcast_to(np.asarray(low, np.int64), (points,))
    starts = np.cumsum(counts) - counts
    from_point = np.repeat(np.arange(points), counts)
    inner = np.arange(len(from_point)) - starts[from_point]
    return {**select(env, from_point), loop.name: lows[from_point] + inner * loop.step}


def chain_of(stmt: Stmt) -> tuple[tuple[Loop, ...], tuple[Let, ...], Leaf] | None:
    """A statement that computes, the loops around it and the digits before it, where there is nothing else."""
    loops: list[Loop] = []
    body: tuple[Stmt, ...] = (stmt,)
    while len(body) == 1 and isinstance(body[0], Loop):
        loops.append(body[0])
        body = body[0].body
    lets = tuple(s for s in body[:-1] if isinstance(s, Let))
    if len(lets) != len(body) - 1 or not isinstance(body[-1], (Store, MulAdd, Prefetch)):
        return None
    return tuple(loops), lets, body[-1]


def group_start(loops: tuple[Loop, ...]) -> int:
    """Where the innermost run of written out loops begins; loops that units run may stand among them."""
    place = len(loops)
    while place and loops[place - 1].kind in (*WRITTEN_OUT, *UNITS):
        place -= 1
    return place


def distinct(columns: Iterable[int | Ints], points: int) -> int:
    """How many different rows there are."""
    key = np.zeros(points, np.int64)
    for column in columns:
        if isinstance(column, np.ndarray) and points:
            low = int(column.min())
            key = key * (int(column.max()) - low + 1) + (column - low)
    return len(np.unique(key))


def accesses(stmt: Leaf) -> Iterator[tuple[Load, str, tuple[Guard, ...]]]:
    """What a statement reads and writes: the access, load or store, and the guards under which it happens."""
    if isinstance(stmt, Prefetch):
        return
    yield from ((l, "load", guards) for l, guards in reads(stmt))
    executed = stmt.when + taps(stmt)
    if isinstance(stmt, MulAdd):
        yield stmt.target, "load", executed
    yield stmt.target, "store", executed


def taps(stmt: Store | MulAdd) -> tuple[Guard, ...]:
    """The guards of operands whose outside is 0: a tap without them is left out."""
    if isinstance(stmt, Store):
        return ()
    operands = [e for e in (stmt.a, stmt.b) if isinstance(e, Load) and e.fill == 0]
    return tuple(g for e in operands for g in e.inside)


def reads(stmt: Store | MulAdd) -> Iterator[tuple[Load, tuple[Guard, ...]]]:
    """The loads of a statement with the guards under which they happen."""
    from_exprs = (stmt.value,) if isinstance(stmt, Store) else (stmt.a, stmt.b)
    for e in from_exprs:
        for load in loads_of(e):
            yield load, stmt.when + taps(stmt) + load.inside


def concrete(layout: Layout, sizes: Mapping[str, int]) -> Layout:
    """The layout with its open sizes filled in."""
    known = tuple((n, sizes[s] if isinstance(s, str) else s) for n, s in layout.sizes)
    return Layout(layout.parts, known, layout.pad)


def all_sizes(nest: Nest, sizes: Mapping[str, int]) -> dict[str, int]:
    """The open sizes, with those that follow."""
    known = dict(sizes)
    for size in nest.sizes:
        if size.source:
            known[size.name] = (known[size.source] + size.add) // size.divisor + 1
    return known
