"""A nest as the parts that a cache sees one after the other: loops, and statements in their written out loops.

Blocks of a GPU are loops outside, its threads loops inside every statement, since they run at once. Of guards only those
are seen that are bounds of loops.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from math import prod

from convjit.cost.footprint import Access
from convjit.nest.affine import Range, ceil_div, high_range, low_range, var
from convjit.nest.counts import WRITTEN_OUT, accesses
from convjit.nest.ir import If, Let, Loop, MulAdd, Nest, Par, Prefetch, Read, Stmt, Store
from convjit.nest.points import loop_range
from convjit.nest.visit import substitute

SAMPLES = 4096
"""Values of the variables around, at most, over which the turns of a loop are averaged."""

Values = Mapping[str, range]
"""What variables run through."""


@dataclass(frozen=True, eq=False)
class Part:
    """`turns` is None for what runs once, its `body` one after the other; else it is a loop around them, with so many
    turns on average. A statement has no body. `accesses` are all those inside, its own variables moving."""

    turns: float | None
    body: tuple[Part, ...]
    accesses: tuple[Access, ...]


@dataclass(frozen=True)
class Scope:
    """What stands around: variables, digits, and the variables of threads."""

    values: Values
    lets: tuple[Let, ...] = ()
    threads: Values = field(default_factory=dict)

    def within(self, more: Values) -> Scope:
        """Inside a loop."""
        return replace(self, values={**self.values, **more})

    @property
    def ranges(self) -> dict[str, Range]:
        """First and last values."""
        return {n: (r[0], r[-1]) for n, r in self.values.items()}


def part_of(nest: Nest, sizes: Mapping[str, int], buffers: frozenset[str]) -> Part:
    """The whole nest with these open sizes, and its accesses to these buffers."""
    known = dict(sizes)
    for worker in nest.workers:
        known |= {f"{worker.name}.begin": 0, f"{worker.name}.end": worker.extent.value(sizes)}
    blocks = prod(c.value(sizes) for c in nest.grid.counts) if nest.grid else 1
    builder = Builder(buffers, blocks, nest.grid.threads if nest.grid else 1)
    return row(builder.parts(substitute(nest.body, dict(known)), Scope({})))


def row(parts: list[Part]) -> Part:
    """One after the other."""
    if len(parts) == 1:
        return parts[0]
    return Part(None, tuple(parts), tuple(a for p in parts for a in p.accesses))


def looped(parts: list[Part], name: str, values: range, turns: float, read: Values | None = None) -> list[Part]:
    """A loop around parts; nothing where there are none. `read`: numbers that are others in every turn."""
    if not parts or not turns:
        return []
    whole = row(parts)
    moving = tuple(replace(a, inside={**a.inside, name: values, **(read or {})}) for a in whole.accesses)
    return [Part(turns, (whole,), moving)]


@dataclass(frozen=True)
class Builder:
    """The walk; `team` threads are in a block. Statements that touch none of the buffers are left out."""

    buffers: frozenset[str]
    blocks: int
    team: int

    def parts(self, body: tuple[Stmt, ...], scope: Scope) -> list[Part]:
        """Of statements one after the other."""
        found: list[Part] = []
        for at, stmt in enumerate(body):
            if isinstance(stmt, Let) and stmt.of == var("block"):
                return [*found, *self.digit_loops(stmt, self.blocks, body[at + 1 :], scope)]
            if isinstance(stmt, Let):
                scope = replace(scope.within(digits(stmt)), lets=(*scope.lets, stmt))
            elif isinstance(stmt, Read):
                found += self.read(stmt, scope)
                scope = scope.within({stmt.name: range(stmt.size)[-1 if bounds(stmt.name, body) else 0 :]})
            elif isinstance(stmt, Par):
                found += self.par(stmt, scope)
            elif isinstance(stmt, If):
                found += self.parts(stmt.body, scope)
            elif isinstance(stmt, Loop) and not written_out(stmt):
                found += self.loop(stmt, scope)
            elif isinstance(stmt, (Loop, Store, MulAdd)):
                found += self.statement(stmt, scope)
        return found

    def read(self, read: Read, scope: Scope) -> list[Part]:
        """A number that indices or bounds are made of."""
        load = read.load
        return [Part(None, (), (Access(load.buffer, load.index, False, {}, scope.lets),))] if load.buffer in self.buffers else []

    def loop(self, loop: Loop, scope: Scope) -> list[Part]:
        """A loop that is not written out."""
        values = loop_values(loop, scope)
        inner = self.parts(loop.body, scope.within({loop.name: values})) if values else []
        read = {s.name: range(s.size) for s in loop.body if isinstance(s, Read) and not bounds(s.name, loop.body)}
        return looped(inner, loop.name, values, average_turns(loop, scope), read)

    def digit_loops(self, let: Let, of: int, body: tuple[Stmt, ...], scope: Scope) -> list[Part]:
        """Loops over the digits of all numbers below `of`, the slowest outermost."""
        moving = digits(let, of)
        found = self.parts(body, scope.within(moving))
        for name in reversed(let.names):
            found = looped(found, name, moving[name], len(moving[name])) if len(moving[name]) > 1 else found
        return found

    def par(self, par: Par, scope: Scope) -> list[Part]:
        """What all threads do at once. Where they are numbered through all blocks, the fastest digits are the threads of
        a block, and the others loops."""
        moving: dict[str, range] = {}
        loops: dict[str, range] = {}
        for let in par.binds:
            through = let.of == var("global")
            room = self.team
            for name, values in digits(let, self.blocks * self.team if through else self.team).items():
                room = room // len(values)
                (moving if room or not through else loops)[name] = values
        found = self.parts(par.body, replace(scope.within({**moving, **loops}), threads=moving))
        for name, values in loops.items():
            found = looped(found, name, values, len(values))
        return found

    def statement(self, stmt: Stmt, scope: Scope) -> list[Part]:
        """Statements in written out loops."""
        found = tuple(
            Access(load.buffer, load.index, kind == "store", {**scope.threads, **around}, seen.lets)
            for leaf, around, seen in leaves((stmt,), scope, {})
            for load, kind, _ in accesses(leaf)
            if load.buffer in self.buffers
        )
        return [Part(None, (), found)] if found else []


def leaves(
    body: tuple[Stmt, ...], scope: Scope, around: Values
) -> Iterator[tuple[Store | MulAdd, Values, Scope]]:
    """Statements that compute, with the loops around them and what they see."""
    for stmt in body:
        if isinstance(stmt, Let):
            scope = replace(scope.within(digits(stmt)), lets=(*scope.lets, stmt))
        elif isinstance(stmt, Loop):
            values = loop_values(stmt, scope)
            if values:
                here = {stmt.name: values}
                yield from leaves(stmt.body, scope.within(here), {**around, **here})
        elif isinstance(stmt, (Store, MulAdd)):
            yield stmt, around, scope


def bounds(name: str, body: tuple[Stmt, ...]) -> bool:
    """Whether a number that is read is a bound of a loop: it counts as the largest that it can be, as in `predict`."""
    loops = (stmt for stmt in body if isinstance(stmt, Loop))
    return any(name in limit.affine.names() for loop in loops for limit in loop.low + loop.high)


def written_out(loop: Loop) -> bool:
    """Whether it and all loops inside are written out."""
    return loop.kind in WRITTEN_OUT and all(
        written_out(s) if isinstance(s, Loop) else isinstance(s, (Let, Store, MulAdd, Prefetch)) for s in loop.body
    )


def loop_values(loop: Loop, scope: Scope) -> range:
    """From its least to its greatest value, whatever the variables around are."""
    return range(low_range(loop.low, scope.ranges)[0], high_range(loop.high, scope.ranges)[1], loop.step)


def average_turns(loop: Loop, scope: Scope) -> float:
    """Over the values of the variables around that its bounds name, each by itself."""
    names = sorted({n for limit in loop.low + loop.high for n in limit.affine.names()})
    some = int(SAMPLES ** (1 / max(1, len(names))))
    values = [scope.values[n][:: ceil_div(len(scope.values[n]), some)] for n in names]
    points = list(product(*values))
    turns = (loop_range(loop, dict(zip(names, point, strict=True)))[1] for point in points)
    return sum(n for n in turns if isinstance(n, int)) / len(points)


def digits(let: Let, of: int | None = None) -> dict[str, range]:
    """What the digits of all numbers below `of` run through; the slowest takes what is left."""
    found: dict[str, range] = {}
    for name, count, step in reversed(list(zip(let.names, let.counts, let.steps, strict=True))):
        n = count.const if of is None else max(1, min(count.const, of))
        found[name] = range(0, n * step, step)
        of = None if of is None else ceil_div(of, count.const)
    return found
