"""Nest → kernel: statements become instances. Unrolled loops are written out, register tiles become values that loops
carry, addresses are built in the scope that binds their last variable. Every rule looks at the access, none at the
kernel it stands in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from convjit.dtypes import bits
from convjit.errors import InternalError
from convjit.kernel.access import Access
from convjit.kernel.alive import later
from convjit.kernel.builder import Builder
from convjit.kernel.digits import bind, region
from convjit.kernel.expressions import expr
from convjit.kernel.ir import Kernel, Launch, Local, Parameter
from convjit.kernel.late_order import late_order
from convjit.kernel.loops import extent, serial, unroll
from convjit.kernel.narrow import narrowed
from convjit.kernel.state import State
from convjit.kernel.unchanged import unchanged
from convjit.kernel.variables import Variables, where
from convjit.kernel.wide import wide_loop, with_dot
from convjit.kernel.work import muladd, store
from convjit.machine.machine import Machine
from convjit.nest import ir
from convjit.nest.ir import Let, Loop, MulAdd, Nest, Par, Prefetch, Read, Stmt, Store, Sync
from convjit.nest.visit import loads, reads, works, written


def lower(nest: Nest, machine: Machine, numbers: Mapping[int, int] | None = None) -> Kernel:
    """The kernel of a nest. With `numbers` of its statements, by identity (`nest.numbers`), everything in it says which
    one it was written for. Raises InternalError where a statement has no realisation."""
    buffers = {b.name: b for b in nest.buffers}
    b = Builder("i32" if machine.kind == "cuda" else "i64", numbers)
    v = Variables(b)
    writes = written(nest.body)
    constant = frozenset(x.name for x in nest.buffers if x.level == "memory" and x.name not in writes)
    memory = Access(b, v, buffers, machine, constant)
    state = State(nest, machine, buffers, b, v, memory, lambda body: block(state, body))
    return kernel(state)


def kernel(l: State) -> Kernel:
    """Parameters, locals and the body."""
    nest = l.nest
    for axis in nest.workers:
        top = axis.extent.range({})[1]
        l.v.ranges |= {f"{axis.name}.begin": (0, top), f"{axis.name}.end": (0, top)}
        l.v.grain[f"{axis.name}.begin"] = axis.step
    l.block(nest.body)
    writes = written(nest.body)
    used = {l.buffer for s, _ in works(nest.body) for l in (*loads(s), s.target)}
    used |= {load.buffer for load in reads(nest.body)}
    space = "global" if l.gpu else ""
    parameters = tuple(
        Parameter(b.name, b.dtype, b.name in writes, space)
        for b in nest.buffers
        if b.level == "memory" and b.name in used
    )
    own, shared = own_memory(l)
    body = unchanged(l.b.whole())
    if l.memory.late:
        body = late_order(body, l.b.fresh)
    if any(bits(b.dtype) == 8 and b.name in writes for b in nest.buffers):
        body = narrowed(body, l.b.fresh, l.machine)
    launch = None
    if nest.grid:
        blocks = tuple(c.const if not c.terms else f"size.{c}" for c in nest.grid.counts)
        launch = Launch(blocks, nest.grid.threads, shared, nest.grid.min_blocks)
    return Kernel(
        nest.name, l.machine.name, parameters, body, own,
        tuple(f"size.{s.name}" for s in nest.sizes), tuple(a.name for a in nest.workers), launch,
    )  # fmt: skip


def own_memory(l: State) -> tuple[tuple[Local, ...], int]:
    """Scratch and shared buffers, and how many bytes of shared memory they take."""
    found, at = [], 0
    for b in l.nest.buffers:
        if b.level not in ("scratch", "shared"):
            continue
        assert b.layout
        size = b.layout.elements() * bits(b.dtype) // 8 * b.ring
        found.append(Local(b.name, size, "shared" if b.level == "shared" else "", at))
        at += -(-size // 128) * 128
    return tuple(found), at if l.gpu else 0


def block(l: State, body: tuple[Stmt, ...]) -> None:
    """Statements in order; digits that a `Let` binds are visible to its end."""
    opened = 0
    around, outer = l.stores, l.b.origin
    before: dict[str, int | None] = {}
    for stmt, stores in zip(body, later(body, around), strict=True):
        l.stores = stores
        l.b.write_for(stmt)
        if isinstance(stmt, Let):
            before = {**{n: l.v.static.get(n) for n in stmt.names}, **before}
            opened += bind(l, stmt)
        elif isinstance(stmt, Read):
            read(l, stmt)
            opened += 1
        else:
            TABLE[type(stmt)](l, stmt)
        l.b.origin = outer
    for _ in range(opened):
        l.b.close_scope()
    for name, value in before.items():
        l.v.static.pop(name, None)
        if value is not None:
            l.v.static[name] = value
    l.stores = around


def read(l: State, stmt: Read) -> None:
    """A number for indices and bounds, in a scope of its own."""
    dtype = l.dtype_of(stmt.load.buffer)
    value = expr(l, stmt.load, dtype)
    if isinstance(value, str) and dtype != l.b.index:
        value = l.b.once("convert", l.b.index, value, **{"from": dtype})
    l.b.open_scope({stmt.name: value})
    l.v.ranges[stmt.name] = (0, stmt.size - 1)
    l.v.grain[stmt.name] = 1


def by_kind(l: State, loop: Loop) -> None:
    """By kind."""
    if loop.kind in ("serial", "worker"):
        serial(l, loop)
    elif loop.kind == "unroll":
        unroll(l, loop)
    elif loop.kind == "simd":
        l.v.simd.append((loop.name, extent(loop)))
        l.v.grain[loop.name] = 1
        l.block(loop.body)
        l.v.simd.pop()
    elif loop.kind == "dot":
        with_dot(l, loop, l.block)
    elif loop.kind == "vec":
        wide_loop(l, loop)
    else:
        raise InternalError(f"a loop of kind {loop.kind} must be bound to threads first")


def if_(l: State, stmt: ir.If) -> None:
    """Under a condition that all threads agree on."""
    w = where(l.v, (stmt.guard,))
    if w.never:
        return
    if w.condition:
        l.branch(w.condition, lambda: l.block(stmt.body))
    else:
        l.block(stmt.body)


def sync(l: State, stmt: Sync) -> None:
    """Barriers and groups of asynchronous copies; what was read from shared memory may have changed."""
    names = {"barrier": "barrier", "commit": "cp_async_commit", "wait": "cp_async_wait"}
    extra = {"groups": stmt.count} if stmt.op == "wait" else {}
    l.b.do(names[stmt.op], "", **extra)
    l.b.forget(frozenset(b.name for b in l.nest.buffers if b.level == "shared"))


def prefetch(l: State, stmt: Prefetch) -> None:
    """Ask for the line, once where copies of an unrolled loop meet in it; the address may lie outside, nothing is read."""
    spot = l.memory.spot(stmt.target)
    place = spot.plan.static(l.v.static) * spot.size // l.machine.caches[0].line
    rest = tuple((symbols, plan.running, plan.static(l.v.static)) for symbols, plan in spot.symbolic)

    def ask() -> str:
        pointer = l.memory.pointer(spot, stmt.target)
        l.b.do("prefetch", "", pointer)
        return pointer

    l.b.remember(("prefetch", stmt.target.buffer, spot.plan.running, place, rest), ask)


TABLE: dict[type, Callable[..., None]] = {
    Loop: by_kind,
    Par: region,
    ir.If: if_,
    Sync: sync,
    Prefetch: prefetch,
    Store: store,
    MulAdd: muladd,
}
