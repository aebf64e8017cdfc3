"""How large the tile of a register buffer is: as far as the stores to it reach."""

from __future__ import annotations

from collections.abc import Iterator

from convjit.nest.affine import Range, high_range, low_range
from convjit.nest.ir import NESTED, Let, Load, Loop, Nest, Par, Read, Stmt, Store

Ranges = dict[str, Range]
WARP, WARPGROUP = 32, 128


def register_extents(nest: Nest) -> dict[str, tuple[int, ...]]:
    """The size of every dimension, by buffer."""
    registers = {b.name for b in nest.buffers if b.level == "registers"}
    extents: dict[str, tuple[int, ...]] = {}
    for target, ranges in targets(nest.body, unit_ranges(nest)):
        if target.buffer in registers:
            reach = tuple(max(a.range(ranges)[1] + 1, 0) for a in target.index)
            known = extents.get(target.buffer, reach)
            extents[target.buffer] = tuple(map(max, zip(known, reach, strict=True)))
    return extents


def unit_ranges(nest: Nest) -> Ranges:
    """What is known of thread numbers, and of the part of an axis that a worker does."""
    threads = nest.grid.threads if nest.grid else 1
    numbers = {
        "thread": threads,
        "warp": -(-threads // WARP),
        "lane": WARP,
        "group": -(-threads // WARPGROUP),
    }
    ranges = {name: (0, count - 1) for name, count in numbers.items()}
    for worker in nest.workers:
        whole = (0, worker.extent.range({})[1])
        ranges |= {f"{worker.name}.begin": whole, f"{worker.name}.end": whole}
    return ranges


def targets(body: tuple[Stmt, ...], ranges: Ranges) -> Iterator[tuple[Load, Ranges]]:
    """The targets of all stores, with the ranges of the variables around them."""
    for stmt in body:
        if isinstance(stmt, Let):
            ranges = ranges | digit_ranges(stmt, ranges)
        elif isinstance(stmt, Read):
            ranges = ranges | {stmt.name: (0, stmt.size - 1)}
        elif isinstance(stmt, Store):
            yield stmt.target, ranges
        elif isinstance(stmt, NESTED):
            inner = ranges
            for let in stmt.binds if isinstance(stmt, Par) else ():
                inner = inner | digit_ranges(let, inner)
            if isinstance(stmt, Loop):
                last = max(high_range(stmt.high, ranges)[1] - 1, 0)
                inner = inner | {stmt.name: (max(low_range(stmt.low, ranges)[0], 0), last)}
            yield from targets(stmt.body, inner)


def digit_ranges(let: Let, ranges: Ranges) -> Ranges:
    """Of digits times their steps; the slowest takes what is left."""
    made: Ranges = {}
    low, high = let.of.range(ranges)
    for place in range(len(let.names) - 1, -1, -1):
        if place == 0:
            made[let.names[0]] = (low * let.steps[0], high * let.steps[0])
            break
        count = let.counts[place].range(ranges)[1]
        made[let.names[place]] = (0, (count - 1) * let.steps[place])
        least = max(let.counts[place].range(ranges)[0], 1)
        low, high = low // count, high // least
    return made
