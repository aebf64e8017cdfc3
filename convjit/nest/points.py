"""Iteration points: what a chain of loops runs through, as arrays with one entry for each point, in order.

Used where a nest is run or counted. An environment gives every variable a number, or an array over the points.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convjit.nest.affine import Affine, Bound, Limit
from convjit.nest.ir import Guard, Let, Loop, MulAdd, Nest, Prefetch, Stmt, Store
from convjit.nest.layout import Layout

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Values = NDArray[Any]
Env = dict[str, "int | Ints"]

Leaf = Store | MulAdd | Prefetch


def evaluate(affine: Affine, env: Mapping[str, int | Ints]) -> int | Ints:
    """Its value at every point."""
    value: int | Ints = affine.const
    for name, coefficient in affine.terms:
        value = value + env[name] * coefficient
    return value


def limit_value(limit: Limit, env: Mapping[str, int | Ints]) -> int | Ints:
    """The value of a limit at every point."""
    return -(-evaluate(limit.affine, env) // limit.divisor) * limit.scale


def bound_value(bound: Bound, env: Mapping[str, int | Ints], high: bool) -> int | Ints:
    """The smallest limit of a high bound, the largest of a low one."""
    values = [limit_value(limit, env) for limit in bound]
    arrays = [v for v in values if isinstance(v, np.ndarray)]
    numbers = [v for v in values if not isinstance(v, np.ndarray)]
    found: int | Ints = (min if high else max)(numbers) if numbers else arrays.pop()
    for array in arrays:
        found = (np.minimum if high else np.maximum)(found, array)
    return found


def loop_range(loop: Loop, env: Env) -> tuple[int | Ints, int | Ints]:
    """First value, and how many there are, at every point."""
    low, high = bound_value(loop.low, env, False), bound_value(loop.high, env, True)
    count = -((low - high) // loop.step)
    return low, np.maximum(count, 0) if isinstance(count, np.ndarray) else max(count, 0)


def holds(guards: Iterable[Guard], env: Env, points: int) -> Bools:
    """Where all guards hold."""
    every = np.ones(points, np.bool_)
    for guard in guards:
        value = evaluate(guard.affine, env)
        every &= (value >= 0) & (value < evaluate(guard.size, env))
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
    for value in reversed(env.values()):
        if isinstance(value, np.ndarray):
            return len(value)
    return 1


def expand(loop: Loop, env: Env) -> Env:
    """Every point becomes as many points as the loop has values there."""
    points = length(env)
    low, count = loop_range(loop, env)
    if not isinstance(low, np.ndarray) and not isinstance(count, np.ndarray):
        values = low + np.arange(count) * loop.step
        wide = {n: v.repeat(count) if isinstance(v, np.ndarray) else v for n, v in env.items()}
        return {**wide, loop.name: np.tile(values, points)}
    counts, lows = spread(count, points), spread(low, points)
    starts = np.cumsum(counts) - counts
    from_point = np.arange(points).repeat(counts)
    inner = np.arange(len(from_point)) - starts[from_point]
    return {**select(env, from_point), loop.name: lows[from_point] + inner * loop.step}


def spread(value: int | Ints, points: int) -> Ints:
    """An array over the points."""
    return value if isinstance(value, np.ndarray) else np.full(points, value, np.int64)


@dataclass(frozen=True)
class Chain:
    """A statement that computes, the loops around it and the digits before it, where there is nothing else.

    `box`: no loop's bounds depend on another's variable.
    """

    loops: tuple[Loop, ...]
    lets: tuple[Let, ...]
    leaf: Leaf
    box: bool


def chain_of(stmt: Stmt) -> Chain | None:
    """The chain that a statement is, if it is one."""
    loops: list[Loop] = []
    body: tuple[Stmt, ...] = (stmt,)
    while len(body) == 1 and isinstance(body[0], Loop):
        loops.append(body[0])
        body = body[0].body
    lets = tuple(s for s in body[:-1] if isinstance(s, Let))
    if not body or len(lets) != len(body) - 1 or not isinstance(body[-1], (Store, MulAdd, Prefetch)):
        return None
    named = {l.name for l in loops}
    mentioned = {n for l in loops for limit in l.low + l.high for n in limit.affine.names()}
    return Chain(tuple(loops), lets, body[-1], not named & mentioned)


@lru_cache(4096)
def grid(ranges: tuple[tuple[int, int, int], ...], entry: int) -> tuple[Ints, ...]:
    """All points of loops with these (first, count, step), an array for each; then the number of the values of the
    first `entry` of them."""
    counts = [count for _, count, _ in ranges]
    index = np.indices(counts).reshape(len(counts), prod(counts))
    inner = prod(counts[entry:])
    values = [first + i * step for (first, _, step), i in zip(ranges, index, strict=True)]
    return (*values, np.arange(prod(counts)) // max(inner, 1))


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
