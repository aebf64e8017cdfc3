"""What must hold of every nest, before and after every pass. Time is linear in its statements; barriers: see `races`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn

from convjit import dtypes
from convjit.errors import InternalError
from convjit.nest.affine import Affine, Bound
from convjit.nest.ir import (
    KINDS,
    LANES,
    LEVELS,
    ROWS,
    SYNCS,
    UNITS,
    Apply,
    Buffer,
    Expr,
    Guard,
    If,
    Index,
    Let,
    Load,
    Loop,
    MulAdd,
    Nest,
    Par,
    Prefetch,
    Read,
    Stmt,
    Store,
    Sync,
)
from convjit.nest.races import check_races

THREAD_UNITS = tuple(u for u in UNITS if u != "block")
FIXED = ("unroll", *LANES, "vec", *UNITS)
"""Kinds of variables that may pick a register: each copy of a statement, each lane and each thread knows its own."""

Scope = dict[str, str]
"""The visible variables and what they are: a loop's kind, `size`, `worker part`, or the kind that digits are made of."""


def verify(nest: Nest) -> Nest:
    """The nest itself. Raises InternalError, naming the statement, where it is not sound."""
    Verifier(nest).run()
    check_races(nest)
    return nest


class Verifier:
    """The checks, statement by statement."""

    def __init__(self, nest: Nest) -> None:
        self.nest = nest
        self.buffers = {b.name: b for b in nest.buffers}
        self.axes = {w.name: w for w in nest.workers}
        self.digits: set[str] = set()

    def run(self) -> None:
        """Buffers, then the body."""
        scope: Scope = {s.name: "size" for s in self.nest.sizes}
        if len(self.buffers) < len(self.nest.buffers):
            names = [b.name for b in self.nest.buffers]
            twice = next(n for n in names if names.count(n) > 1)
            fail(self.nest.buffer(twice), "two buffers have this name")
        for buffer in self.nest.buffers:
            check_buffer(buffer, scope)
        for name in self.axes:
            scope |= {f"{name}.begin": "worker part", f"{name}.end": "worker part"}
        if self.nest.grid:
            scope["block"] = "block"
        self.body(self.nest.body, scope, False)

    def body(self, body: tuple[Stmt, ...], scope: Scope, threads: bool) -> None:
        """`threads`: whether each thread runs these statements by itself."""
        for stmt in body:
            if isinstance(stmt, Let):
                scope = self.let(stmt, stmt, scope)
            elif isinstance(stmt, Read):
                scope = self.read(stmt, scope)
            elif isinstance(stmt, Sync):
                if threads:
                    fail(stmt, "waits where only some of the threads may come by")
                if stmt.op not in SYNCS or stmt.count < 0:
                    fail(stmt, "there is no such wait")
            elif isinstance(stmt, Loop):
                self.loop(stmt, scope, threads)
            elif isinstance(stmt, Par):
                self.par(stmt, scope, threads)
            elif isinstance(stmt, If):
                self.guard(stmt.guard, stmt, scope)
                if varying := [n for n in stmt.guard.affine.names() if scope[n] in THREAD_UNITS]:
                    fail(stmt, f"the threads of a block do not agree on {varying[0]}")
                self.body(stmt.body, scope, threads)
            else:
                self.leaf(stmt, scope)

    # --- statements with a body

    def loop(self, loop: Loop, scope: Scope, threads: bool) -> None:
        """Kind, step, bounds and name."""
        if loop.kind not in KINDS:
            fail(loop, f"there is no kind of loop called {loop.kind}")
        if loop.step < 1:
            fail(loop, "the step is not positive")
        if not loop.low or not loop.high:
            fail(loop, "a bound is missing")
        parts = self.bound(loop.low, loop, scope) | self.bound(loop.high, loop, scope)
        if loop.kind == "worker":
            self.worker(loop, parts)
        elif parts:
            fail(loop, f"{min(parts)} belongs to the loops that workers share")
        self.unbound(loop.name, loop, scope)
        varying = any(scope[n] in THREAD_UNITS for l in loop.low + loop.high for n in l.affine.names())
        own = self.nest.grid is not None and varying
        self.body(loop.body, {**scope, loop.name: loop.kind}, threads or own)

    def worker(self, loop: Loop, parts: set[str]) -> None:
        """It runs the part of an axis that the worker is given."""
        axes = {p.rsplit(".", 1)[0] for p in parts}
        if len(axes) != 1 or len(parts) != 2:
            fail(loop, "does not run from the begin to the end of a worker's part")
        if (axis := self.axes[axes.pop()]).step % loop.step:
            fail(loop, f"the parts that workers do are multiples of {axis.step}, not of its step")

    def par(self, par: Par, scope: Scope, threads: bool) -> None:
        """Threads only exist inside it."""
        if threads:
            fail(par, "stands where each thread is by itself already")
        if self.nest.grid is None:
            fail(par, "the nest has no grid of threads")
        units = dict.fromkeys(("thread", "warp", "lane", "group", "global"), "thread")
        inner = {**scope, **units}
        for let in par.binds:
            inner = self.let(let, par, inner)
        self.body(par.body, {n: k for n, k in inner.items() if n not in units}, True)

    def let(self, let: Let, stmt: Stmt, scope: Scope) -> Scope:
        """The scope with the digits in it; what they are made of says what they are.

        They may take the place of digits of the same name: pieces of a cut loop stand side by side.
        """
        if not len(let.names) == len(let.counts) == len(let.steps) or not let.names:
            fail(stmt, "names, counts and steps of the digits do not match")
        if min(let.steps) < 1:
            fail(stmt, "a step is not positive")
        kinds = {scope[n] for n in self.names((let.of, *let.counts), stmt, scope)}
        kind = next((k for k in kinds if k in THREAD_UNITS), None)
        kind = kind or next((k for k in kinds if k not in FIXED), None) or next(iter(kinds), "unroll")
        for name in let.names:
            if name not in self.digits:
                self.unbound(name, stmt, scope)
        self.digits |= set(let.names)
        return scope | dict.fromkeys(let.names, kind)

    def read(self, read: Read, scope: Scope) -> Scope:
        """The scope with the number in it, of which nothing is known but that it is below a size."""
        self.load(read.load, read, scope)
        if read.load.inside or read.load.fill or self.nest.grid:
            fail(read, "a number for indices and bounds is read without guards, on a CPU")
        if dtypes.is_float(self.buffers[read.load.buffer].dtype) or read.size < 1:
            fail(read, "a number for indices and bounds is a whole one, and below a size")
        if lanes := sorted(n for a in read.load.index for n in a.names() if scope[n] in (*LANES, "vec")):
            fail(read, f"it is one number, and the lanes do not agree on {lanes[0]}")
        self.unbound(read.name, read, scope)
        return scope | {read.name: "serial"}

    # --- statements that compute

    def leaf(self, stmt: Store | MulAdd | Prefetch, scope: Scope) -> None:
        """Targets, values and guards."""
        self.load(stmt.target, stmt, scope)
        if stmt.target.inside or stmt.target.fill:
            fail(stmt, "a target has no `inside`: what must not be written stands under `when`")
        if isinstance(stmt, Prefetch):
            return
        for guard in stmt.when:
            self.guard(guard, stmt, scope)
        for value in (stmt.value,) if isinstance(stmt, Store) else (stmt.a, stmt.b):
            self.expr(value, stmt, scope)
        if isinstance(stmt, Store):
            self.row(stmt)

    def row(self, stmt: Store) -> None:
        """How a store copies."""
        if stmt.by not in ROWS:
            fail(stmt, f"there is no way to copy called {stmt.by}")
        if stmt.by == "cp.async":
            source, target = stmt.value, self.buffers[stmt.target.buffer]
            if not isinstance(source, Load) or target.level != "shared":
                fail(stmt, "cp.async copies elements of memory to shared memory, nothing else")
            if (
                self.buffers[source.buffer].level != "memory"
                or self.buffers[source.buffer].dtype != target.dtype
            ):
                fail(stmt, "cp.async copies elements of memory to shared memory, nothing else")

    def expr(self, e: Expr, stmt: Stmt, scope: Scope) -> None:
        """A value."""
        if isinstance(e, Load):
            self.load(e, stmt, scope)
            for guard in e.inside:
                self.guard(guard, stmt, scope)
            return
        if isinstance(e, Index):
            names = self.names((e.affine,), stmt, scope)
            if lanes := sorted(n for n in names if scope[n] in (*LANES, "vec")):
                fail(stmt, f"an index is one number, and the lanes do not agree on {lanes[0]}")
        if e.dtype not in dtypes.TYPES and not (isinstance(e, Apply) and e.dtype == "i1"):
            fail(stmt, f"there is no type {e.dtype}")
        for arg in e.args if isinstance(e, Apply) else ():
            self.expr(arg, stmt, scope)

    def load(self, load: Load, stmt: Stmt, scope: Scope) -> None:
        """An access."""
        buffer = self.buffers.get(load.buffer)
        if buffer is None:
            fail(stmt, f"there is no buffer {load.buffer}")
        if len(load.index) != len(buffer.dims):
            fail(stmt, f"{load.buffer} has {len(buffer.dims)} dimensions, the index has {len(load.index)}")
        names = self.names(load.index, stmt, scope)
        if buffer.level == "registers" and (rolled := sorted(n for n in names if scope[n] not in FIXED)):
            fail(stmt, f"{rolled[0]} is not known when the code is written, so it cannot pick a register")
        if load.slot is not None:
            if buffer.ring < 2:
                fail(stmt, f"{load.buffer} is no ring, so it has no slots")
            self.names((load.slot,), stmt, scope)

    # --- names

    def guard(self, guard: Guard, stmt: Stmt, scope: Scope) -> None:
        """Both sides are known, and something can be inside."""
        self.names((guard.affine, guard.size), stmt, scope)
        if not guard.size.terms and guard.size.const < 1:
            fail(stmt, f"nothing is inside 0<={guard.affine}<{guard.size}")

    def bound(self, bound: Bound, stmt: Stmt, scope: Scope) -> set[str]:
        """The worker parts in it."""
        names = self.names((l.affine for l in bound), stmt, scope, parts=True)
        if any(l.divisor < 1 for l in bound):
            fail(stmt, "a bound is divided by a number that is not positive")
        return {n for n in names if scope[n] == "worker part"}

    def names(
        self, affines: Iterable[Affine], stmt: Stmt, scope: Scope, parts: bool = False
    ) -> frozenset[str]:
        """The variables, every one of which must be visible."""
        names: frozenset[str] = frozenset().union(*(a.names() for a in affines))
        for name in sorted(names):
            if name not in scope:
                fail(stmt, f"{name} is not known here")
            if scope[name] == "worker part" and not parts:
                fail(stmt, f"{name} belongs to the loops that workers share")
        return names

    def unbound(self, name: str, stmt: Stmt, scope: Scope) -> None:
        """A name is given once on a path."""
        if name in scope:
            fail(stmt, f"{name} is known here already")


def check_buffer(buffer: Buffer, scope: Scope) -> None:
    """Level, type and layout."""
    if buffer.level not in LEVELS:
        fail(buffer, f"there is no level called {buffer.level}")
    if buffer.dtype not in dtypes.TYPES:
        fail(buffer, f"there is no type {buffer.dtype}")
    if (buffer.layout is None) != (buffer.level == "registers"):
        fail(buffer, "registers have no layout, and everything else has one")
    if buffer.ring < 1 or (buffer.ring > 1 and buffer.level != "shared"):
        fail(buffer, "only shared memory has rings")
    if buffer.layout is None:
        return
    sizes = dict(buffer.layout.sizes)
    if unknown := [s for s in sizes.values() if isinstance(s, str) and s not in scope]:
        fail(buffer, f"{unknown[0]} is no size of the nest")
    if stray := [n for n, _ in buffer.layout.parts if n not in buffer.dims or n not in sizes]:
        fail(buffer, f"{stray[0]} is no dimension with a size")
    placed = {n for n, _ in buffer.layout.parts}
    if lost := [d for d in buffer.dims if d not in placed and sizes.get(d, 1) != 1]:
        fail(buffer, f"the layout does not say where {lost[0]} lies")


def fail(node: Stmt | Buffer, what: str) -> NoReturn:
    """Name the statement or the buffer."""
    raise InternalError(f"{node}\n  {what}")
