"""`vec` loops: one wide access to neighbours; in registers every element has a name of its own.

    vec oc in 0..4 { w.r[oc] = w[oc] }                            four elements
    vec c in 0..16 by 4 { dot k in 0..4 { x.r[c+k] = x[c+k] } }   four words of four
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from convjit.dtypes import bits
from convjit.errors import InternalError
from convjit.kernel.copies import asynchronous
from convjit.kernel.digits import bind
from convjit.kernel.expressions import constant, expr
from convjit.kernel.ir import Operand, Type, vector
from convjit.kernel.runs import Run, contiguous, together, unit
from convjit.kernel.state import State
from convjit.kernel.variables import where
from convjit.kernel.work import store as scalar_store
from convjit.nest.affine import high_range
from convjit.nest.ir import Let, Load, Loop, Number, Stmt, Store
from convjit.nest.visit import loads


@dataclass(frozen=True)
class Wide:
    """A `vec` loop: its variable and its values; the variable of the words in it, and how many numbers each has."""

    name: str
    places: range
    dot: tuple[str, int] | None

    @property
    def count(self) -> int:
        """Elements, or words, of one access."""
        return len(self.places)

    @property
    def run(self) -> Run:
        """The loops through the numbers."""
        inner = ((self.dot[0], 1, self.dot[1]),) if self.dot else ()
        return (*inner, (self.name, self.places.step, self.count))


def with_dot(l: State, loop: Loop, write: Callable[[tuple[Stmt, ...]], None]) -> None:
    """A loop over the numbers of a word: its body works on whole words."""
    l.v.dot = (loop.name, high_range(loop.high, {})[0])
    for stmt in loop.body:
        if isinstance(stmt, Store) and (target := l.buffers[stmt.target.buffer]).level == "registers":
            l.shapes.setdefault(target.name, unit(target.dtype, l.v.dot))
    write(loop.body)
    l.v.dot = None


def wide_loop(l: State, loop: Loop) -> None:
    """Each statement as one wide access, or element by element where it cannot be one."""
    places = range(0, high_range(loop.high, {})[0], loop.step)
    l.v.grain[loop.name] = loop.step
    inner = loop.body[0]
    if isinstance(inner, Loop) and inner.kind == "dot" and len(loop.body) == 1:
        with_dot(l, inner, lambda body: copies(l, Wide(loop.name, places, l.v.dot), body))
    else:
        copies(l, Wide(loop.name, places, None), loop.body)


def copies(l: State, wide: Wide, body: tuple[Stmt, ...]) -> None:
    """The statements of the loop."""
    opened = 0
    around = l.b.origin
    for stmt in body:
        l.b.write_for(stmt)
        if isinstance(stmt, Let):  # digits of what the loop does not move
            opened += bind(l, stmt)
            continue
        if not isinstance(stmt, Store):
            raise InternalError(f"only a copy can be wide, not {stmt}")
        if fits(l, stmt, wide):
            l.v.static[wide.name] = 0
            wide_store(l, stmt, wide)
        else:
            for point in wide.places:
                l.v.static[wide.name] = point
                scalar_store(l, stmt)
    l.b.origin = around
    l.v.static.pop(wide.name, None)
    for _ in range(opened):
        l.b.close_scope()


def fits(l: State, stmt: Store, wide: Wide) -> bool:
    """Neighbours in memory, known to be aligned, and all inside or all outside."""
    guards = (*stmt.when, *(g for load in loads(stmt) for g in load.inside))
    if not all(together(l.v, g, wide.run) for g in guards):
        return False
    l.v.static[wide.name] = 0
    for access in (stmt.target, *loads(stmt)):
        buffer = l.buffers[access.buffer]
        if buffer.level == "registers":
            continue
        spot = l.memory.spot(access)
        if not contiguous(spot.plan, wide.dot[0] if wide.dot else "", wide.run):
            return False
        size = bytes_of(unit(buffer.dtype, wide.dot), wide)
        if l.memory.alignment(spot, size) < size:
            return False
    return isinstance(stmt.value, (Load, Number)) or stmt.by == "loads"


def bytes_of(kind: Type, wide: Wide) -> int:
    """Bytes of one access."""
    return bits(kind) // 8 * wide.count


def wide_store(l: State, stmt: Store, wide: Wide) -> None:
    """One access, behind the statement's guards."""
    w = where(l.v, stmt.when)
    if w.never:
        return
    if w.condition:
        l.branch(w.condition, lambda: wide_copy(l, stmt, wide))
    else:
        wide_copy(l, stmt, wide)


def wide_copy(l: State, stmt: Store, wide: Wide) -> None:
    """Memory to memory, memory to registers, registers to memory."""
    target = l.buffers[stmt.target.buffer]
    if stmt.by == "cp.async":
        asynchronous(l, stmt, wide.count)
    elif target.level == "registers":
        unpack(l, stmt, wide, gathered(l, stmt, wide))
    else:
        value = gathered(l, stmt, wide)
        l.b.forget(frozenset((target.name,)))
        spot, kind = l.memory.spot(stmt.target), unit(target.dtype, wide.dot)
        align = l.memory.alignment(spot, bytes_of(kind, wide))
        l.b.do("store", vector(kind, wide.count), value, l.memory.pointer(spot, stmt.target), align=align)


def gathered(l: State, stmt: Store, wide: Wide) -> Operand:
    """The elements as one vector."""
    dtype = l.buffers[stmt.target.buffer].dtype
    if isinstance(stmt.value, Number):
        return constant(stmt.value.value, dtype)
    if isinstance(stmt.value, Load) and l.buffers[stmt.value.buffer].level != "registers":
        return read(l, stmt.value, wide)
    whole: Operand = 0
    for lane, point in enumerate(wide.places):
        l.v.static[wide.name] = point
        item = expr(l, stmt.value, dtype)
        whole = l.b.op("insert", vector(unit(dtype, wide.dot), wide.count), whole, item, lane=lane)
    l.v.static[wide.name] = 0
    return whole


def read(l: State, load: Load, wide: Wide) -> Operand:
    """One wide load; zero where it is outside."""
    w = where(l.v, load.inside)
    kind = unit(l.buffers[load.buffer].dtype, wide.dot)
    type_ = vector(kind, wide.count)
    if w.never:
        return 0
    spot = l.memory.spot(load)
    align = l.memory.alignment(spot, bytes_of(kind, wide))
    pointer = l.memory.pointer(spot, load, condition=w.condition)
    value = l.memory.read(load, "load", type_, pointer, align=align)
    if not w.condition:
        return value
    mask = l.b.op("splat", vector("i1", wide.count), w.condition)
    return l.b.op("select", type_, mask, value, 0)


def unpack(l: State, stmt: Store, wide: Wide, value: Operand) -> None:
    """A vector into registers."""
    target = l.buffers[stmt.target.buffer]
    kind = unit(target.dtype, wide.dot)
    l.shapes.setdefault(target.name, kind)
    for lane, point in enumerate(wide.places):
        l.v.static[wide.name] = point
        key = l.key(stmt.target)
        if isinstance(value, str):
            l.registers[key] = l.b.op("extract", kind, value, lane=lane, **{"from": vector(kind, wide.count)})
        else:
            l.registers[key] = value
    l.v.static[wide.name] = 0
