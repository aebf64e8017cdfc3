"""Loads and stores of buffers in memory, the one definition behind the interpreter's counts and the predicted ones.

What is written out shares what it reads: of the innermost run of loops that are unrolled or lanes, and have nothing
beside them, every distinct access counts once each time the run is entered. Each thread of a GPU counts for itself.
Registers are free, and so is a prefetch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from convjit.nest.ir import LANES, UNITS, Apply, Expr, Guard, Let, Load, Loop, MulAdd, Prefetch, Read, Store
from convjit.nest.points import Env, Leaf, digits, evaluate, holds, length, select
from convjit.nest.visit import loads_of

Key = tuple[str, str]
"""(buffer, "load" or "store")."""

LANE_KINDS = (*LANES, "vec")
WRITTEN_OUT = ("unroll", *LANE_KINDS, *UNITS)
ENTRY = "#"
"""The variable that numbers the entries of a run of written out loops."""


@dataclass
class Counts:
    """`accesses`: one for all lanes of a vector. `elements`: a broadcast is one, a vector is one for each lane."""

    accesses: Counter[Key] = field(default_factory=Counter)
    elements: Counter[Key] = field(default_factory=Counter)

    def add(self, other: Counts, times: int = 1) -> None:
        """Count the other one so many times."""
        for mine, theirs in ((self.accesses, other.accesses), (self.elements, other.elements)):
            for key, n in theirs.items():
                mine[key] += n * times


def group_start(loops: tuple[Loop, ...]) -> int:
    """Where the innermost run of written out loops begins; loops that units run may stand among them."""
    place = len(loops)
    while place and loops[place - 1].kind in WRITTEN_OUT:
        place -= 1
    return place


def accesses(stmt: Leaf) -> Iterator[tuple[Load, str, tuple[Guard, ...]]]:
    """What a statement reads and writes: the access, load or store, and the guards under which it happens."""
    if isinstance(stmt, Prefetch):
        return
    executed = stmt.when + taps(stmt)
    for e in (stmt.value,) if isinstance(stmt, Store) else (stmt.a, stmt.b):
        for load in loads_of(e):
            yield load, "load", executed + load.inside
    if isinstance(stmt, MulAdd):
        yield stmt.target, "load", executed
    yield stmt.target, "store", executed


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


def count(
    stmt: Leaf, group: tuple[Loop, ...], lets: tuple[Let, ...], env: Env, names: frozenset[str]
) -> Counts:
    """Of one statement at points that `group` expanded; `names` are the buffers that count."""
    counts = Counts()
    lanes: Env = {loop.name: 0 for loop in group if loop.kind in LANE_KINDS}
    own = [ENTRY, *(loop.name for loop in group if loop.kind in UNITS)]
    points = length(env)
    for load, kind, guards in accesses(stmt):
        if load.buffer not in names:
            continue
        here = select(env, holds(guards, env, points)) if guards else env
        if not length(here):
            continue
        counts.elements[load.buffer, kind] += distinct(load, own, here, here)
        first = first_lane(here, lanes, lets)
        counts.accesses[load.buffer, kind] += distinct(load, own, here, first)
    return counts


def count_read(read: Read, names: frozenset[str]) -> Counts:
    """Of a number that indices are made of."""
    counts = Counts()
    if read.load.buffer in names:
        counts.elements[read.load.buffer, "load"] = counts.accesses[read.load.buffer, "load"] = 1
    return counts


def first_lane(env: Env, lanes: Env, lets: tuple[Let, ...]) -> Env:
    """The same points, each lane counted as the first of its vector."""
    if not lanes:
        return env
    at = {**env, **lanes}
    for let in lets:
        at = digits(let, at)
    return at


def distinct(load: Load, own: list[str], env: Env, at: Env) -> int:
    """How many different elements are meant, each entry of the run and each unit by itself."""
    key = np.zeros(length(env), np.int64)
    columns = [env[n] for n in own] + [
        evaluate(a, at) for a in (*load.index, *([load.slot] if load.slot else []))
    ]
    for column in columns:
        if isinstance(column, np.ndarray):
            low = int(column.min())
            key = key * (int(column.max()) - low + 1) + (column - low)
    return len(np.unique(key))
