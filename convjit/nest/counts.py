"""Loads, stores and operations, the one definition behind the interpreter's counts and the predicted ones.

Memory, scratch and shared buffers: what is written out shares what it reads. Of the innermost run of loops that are
unrolled or lanes, and have nothing beside them, every distinct access counts once each time the run is entered.
Registers: every instruction reads its operands and writes its result, nothing is shared. What is loaded is written to
a register, and every `use` of it reads that one; what is read by an asynchronous copy passes none. Each thread of a GPU
counts for itself. A prefetch is free.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from convjit import dtypes
from convjit.nest.affine import Affine
from convjit.nest.ir import LANES, UNITS, Apply, Buffer, Expr, Guard, Let, Load, Loop, MulAdd, Prefetch, Read, Store
from convjit.nest.points import Env, Ints, Leaf, digits, evaluate, holds, length, select
from convjit.nest.visit import loads_of, typed

Key = tuple[str, str]
"""(buffer, "load", "copy", "store" or "use"), or (operation, type)."""

PRODUCT, SUM = "product", "sum"
"""The two operations of a `MulAdd`; others are those of expressions, by their names: conversions, steps after the sum."""

LANE_KINDS = (*LANES, "vec")
WRITTEN_OUT = ("unroll", *LANE_KINDS, *UNITS)
ENTRY = "#"
"""The variable that numbers the entries of a run of written out loops."""
DENSE, WIDEST = 8, 1 << 62
"""Keys are marked in a table where that has at most so many places for each of them. Keys stay below the second."""


@dataclass
class Counts:
    """`accesses` and `instructions`: one for all lanes of a vector. `elements` and `operations`: one for each lane, but
    an element that is broadcast to all of them is one."""

    accesses: Counter[Key] = field(default_factory=Counter)
    elements: Counter[Key] = field(default_factory=Counter)
    instructions: Counter[Key] = field(default_factory=Counter)
    operations: Counter[Key] = field(default_factory=Counter)

    def add(self, other: Counts, times: int = 1) -> None:
        """Count the other one so many times."""
        pairs = (
            (self.accesses, other.accesses), (self.elements, other.elements),
            (self.instructions, other.instructions), (self.operations, other.operations),
        )  # fmt: skip
        for mine, theirs in pairs:
            for key, n in theirs.items():
                mine[key] += n * times


def group_start(loops: tuple[Loop, ...]) -> int:
    """Where the innermost run of written out loops begins; loops that units run may stand among them."""
    place = len(loops)
    while place and loops[place - 1].kind in WRITTEN_OUT:
        place -= 1
    return place


def accesses(stmt: Store | MulAdd) -> Iterator[tuple[Load, str, tuple[Guard, ...]]]:
    """What a statement reads and writes: the access, its kind, and the guards under which it happens."""
    executed = stmt.when + taps(stmt)
    read = "copy" if isinstance(stmt, Store) and stmt.by == "cp.async" else "load"
    for e in values(stmt):
        for load in loads_of(e):
            yield load, read, executed + load.inside
    if isinstance(stmt, MulAdd):
        yield stmt.target, "load", executed
    yield stmt.target, "store", executed


def values(stmt: Store | MulAdd) -> tuple[Expr, ...]:
    """What a statement computes with, its target not among it."""
    return (stmt.value,) if isinstance(stmt, Store) else (stmt.a, stmt.b)


def taps(stmt: Store | MulAdd) -> tuple[Guard, ...]:
    """The guards of operands whose outside is 0: a tap without them is left out."""
    if isinstance(stmt, Store):
        return ()
    operands = [o for o in map(operand, (stmt.a, stmt.b)) if o is not None and o.fill == 0]
    return tuple(g for o in operands for g in o.inside)


def operand(e: Expr) -> Load | None:
    """The load that a factor is, possibly converted."""
    while isinstance(e, Apply) and e.op == "convert":
        e = e.args[0]
    return e if isinstance(e, Load) else None


def applied(e: Expr) -> Iterator[Apply]:
    """Every operation of an expression."""
    if isinstance(e, Apply):
        yield e
        for arg in e.args:
            yield from applied(arg)


@dataclass(frozen=True)
class Entry:
    """A line of a ledger. `guards` say where it happens; every place that `index` tells apart counts once, by itself in
    every entry of the run, or (`alone`) in every instruction. Without an index every lane counts."""

    key: Key
    guards: tuple[Guard, ...]
    index: tuple[Affine, ...] | None
    alone: bool
    work: bool = False


def entries(stmt: Leaf, buffers: Mapping[str, Buffer]) -> Iterator[Entry]:
    """What is counted of a statement: accesses, uses and arithmetic."""
    if isinstance(stmt, Prefetch):
        return
    for load, kind, guards in accesses(stmt):
        register = buffers[load.buffer].level == "registers"
        yield Entry((load.buffer, kind), guards, place(load), register)
        if kind == "load" and not register:
            yield Entry((load.buffer, "use"), guards, place(load), True)
    executed = stmt.when + taps(stmt)
    if isinstance(stmt, Store):
        yield from (Entry((e.op, e.dtype), executed, None, True, True) for e in applied(stmt.value))
        return
    types = [typed(e, lambda name: buffers[name].dtype) for e in values(stmt)]
    yield Entry((PRODUCT, max(types, key=dtypes.bits)), executed, None, True, True)
    yield Entry((SUM, buffers[stmt.target.buffer].dtype), executed, None, True, True)
    for e in (*applied(stmt.a), *applied(stmt.b)):  # done once for each factor that is read
        read = tuple(loads_of(e))
        guards = (*executed, *(g for load in read for g in load.inside))
        yield Entry((e.op, e.dtype), guards, tuple(a for load in read for a in place(load)), False, True)


def count_read(read: Read, buffers: Mapping[str, Buffer]) -> Counts:
    """Of a number that indices are made of."""
    counts = Counts()
    if buffers[read.load.buffer].level != "registers":
        counts.elements[read.load.buffer, "load"] = counts.accesses[read.load.buffer, "load"] = 1
    return counts


class Here:
    """The points at which some guards hold."""

    def __init__(self, ledger: Ledger, guards: tuple[Guard, ...], env: Env) -> None:
        self.ledger = ledger
        self.env = select(env, holds(guards, env, length(env))) if guards else env
        self.points = length(self.env)
        self.known: dict[tuple[tuple[Affine, ...], bool], tuple[int, int]] = {}

    @cached_property
    def first(self) -> Env:
        """Each lane counted as the first of its vector."""
        env = {**self.env, **self.ledger.lanes}
        for let in self.ledger.lets:
            env = digits(let, env)
        return env

    @cached_property
    def instructions(self) -> tuple[int, Ints]:
        """How many there are; and a number for that of every point."""
        if not self.ledger.lanes:
            return self.points, np.arange(self.points)
        numbers, size = numbered([self.env[n] for n in self.ledger.turns], self.points)
        return different([numbers], self.points), numbers


class Ledger:
    """What a statement counts, whatever the points are that its run of loops expands to. `buffers` are the nest's."""

    def __init__(self, stmt: Leaf, group: tuple[Loop, ...], lets: tuple[Let, ...], buffers: Mapping[str, Buffer]) -> None:
        self.lanes: Env = {loop.name: 0 for loop in group if loop.kind in LANE_KINDS}
        self.lets = lets if self.lanes else ()
        moving = frozenset([*self.lanes, *(name for let in self.lets for name in let.names)])
        self.own = (ENTRY, *(loop.name for loop in group if loop.kind in UNITS))
        self.turns = (ENTRY, *(loop.name for loop in group if loop.name not in self.lanes))
        self.lines: dict[tuple[Guard, ...], list[tuple[Entry, bool]]] = {}
        for entry in entries(stmt, buffers):
            moves = any(not moving.isdisjoint(a.names()) for a in entry.index or ())
            self.lines.setdefault(entry.guards, []).append((entry, moves))

    def count(self, env: Env, counts: Counts) -> None:
        """Add what the statement counts at these points."""
        for guards, lines in self.lines.items():
            here = Here(self, guards, env)
            if not here.points:
                continue
            for entry, moves in lines:
                every, once = self.distinct(entry, moves, here)
                (counts.operations if entry.work else counts.elements)[entry.key] += every
                (counts.instructions if entry.work else counts.accesses)[entry.key] += once

    def distinct(self, entry: Entry, moves: bool, here: Here) -> tuple[int, int]:
        """For each lane, and once for all; `moves`: the index is another one in each lane."""
        if entry.index is None:
            return here.points, here.instructions[0]
        if entry.alone and not moves:
            return (here.instructions[0],) * 2
        turns = [here.instructions[1]] if entry.alone else [here.env[n] for n in self.own]
        key = entry.index, entry.alone
        if key not in here.known:
            every = different([*turns, *(evaluate(a, here.env) for a in entry.index)], here.points)
            once = different([*turns, *(evaluate(a, here.first) for a in entry.index)], here.points) if moves else every
            here.known[key] = every, once
        return here.known[key]


def place(load: Load) -> tuple[Affine, ...]:
    """What says which element is meant."""
    return load.index + ((load.slot,) if load.slot else ())


def numbered(columns: Iterable[int | Ints], points: int) -> tuple[Ints, int]:
    """A number for every point, equal where all columns are equal; and how many numbers there may be."""
    key, size = np.zeros(points, np.int64), 1
    for column in columns:
        if isinstance(column, np.ndarray):
            low = int(column.min())
            span = int(column.max()) - low + 1
            if size * span > WIDEST:
                values, key = np.unique(key, return_inverse=True)
                size = len(values)
            key, size = key * span + (column - low), size * span
    return key, size


def different(columns: Iterable[int | Ints], points: int) -> int:
    """How many of the points differ in some column."""
    key, size = numbered(columns, points)
    if size > DENSE * points:
        key.sort()
        return int(np.count_nonzero(key[1:] != key[:-1])) + 1
    seen = np.zeros(size, np.bool_)
    seen[key] = True
    return int(np.count_nonzero(seen))
