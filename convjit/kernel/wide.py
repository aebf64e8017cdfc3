"""`vec` loops: one wide access to neighbours; in registers every element has a name of its own."""

from __future__ import annotations

from convjit.dtypes import bits
from convjit.errors import InternalError
from convjit.kernel.copies import asynchronous
from convjit.kernel.digits import bind
from convjit.kernel.expressions import expr
from convjit.kernel.ir import Operand, vector
from convjit.kernel.state import State
from convjit.kernel.variables import where
from convjit.kernel.work import store as scalar_store
from convjit.nest.affine import high_range
from convjit.nest.ir import Guard, Let, Load, Loop, Number, Store
from convjit.nest.visit import loads


def wide_loop(l: State, loop: Loop) -> None:
    """Each statement as one wide access, or element by element where it cannot be one."""
    count = high_range(loop.high, {})[0]
    l.v.grain[loop.name] = 1
    opened = 0
    for stmt in loop.body:
        if isinstance(stmt, Let):  # digits of what the loop does not move
            opened += bind(l, stmt)
            continue
        if not isinstance(stmt, Store):
            raise InternalError(f"only a copy can be wide, not {stmt}")
        if fits(l, stmt, loop.name, count):
            l.v.static[loop.name] = 0
            wide_store(l, stmt, loop.name, count)
        else:
            for point in range(count):
                l.v.static[loop.name] = point
                scalar_store(l, stmt)
    l.v.static.pop(loop.name, None)
    for _ in range(opened):
        l.b.close_scope()


def fits(l: State, stmt: Store, name: str, count: int) -> bool:
    """Neighbours in memory, known to be aligned, and all inside or all outside."""
    guards = (*stmt.when, *(g for load in loads(stmt) for g in load.inside))
    if not all(together(l, g, name, count) for g in guards):
        return False
    l.v.static[name] = 0
    for access in (stmt.target, *loads(stmt)):
        buffer = l.buffers[access.buffer]
        if buffer.level == "registers":
            continue
        spot = l.memory.spot(access)
        if dict(spot.plan.unrolled).get(name) != 1:
            return False
        size = bits(buffer.dtype) // 8 * count
        if l.memory.alignment(spot, size) < size:
            return False
    return isinstance(stmt.value, (Load, Number)) or stmt.by == "loads"


def together(l: State, guard: Guard, name: str, count: int) -> bool:
    """Whether the guard is the same for all elements of an access."""
    c = guard.affine.coefficient(name)
    if c == 0:
        return True
    others = [k * l.v.grain.get(n, 1) for n, k in guard.affine.terms if n != name]
    whole = not guard.size.terms and guard.size.const % count == 0
    return c == 1 and whole and guard.affine.const % count == 0 and all(o % count == 0 for o in others)


def wide_store(l: State, stmt: Store, name: str, count: int) -> None:
    """One access, behind the statement's guards."""
    w = where(l.v, stmt.when)
    if w.never:
        return
    if w.condition:
        l.branch(w.condition, lambda: wide_copy(l, stmt, name, count))
    else:
        wide_copy(l, stmt, name, count)


def wide_copy(l: State, stmt: Store, name: str, count: int) -> None:
    """Memory to memory, memory to registers, registers to memory."""
    target = l.buffers[stmt.target.buffer]
    if stmt.by == "cp.async":
        asynchronous(l, stmt, count)
    elif target.level == "registers":
        unpack(l, stmt, name, gathered(l, stmt, name, count), count)
    else:
        value = gathered(l, stmt, name, count)
        l.b.forget(frozenset((target.name,)))
        spot = l.memory.spot(stmt.target)
        align = l.memory.alignment(spot, bits(target.dtype) // 8 * count)
        l.b.do("store", vector(target.dtype, count), value, l.memory.pointer(spot, stmt.target), align=align)


def gathered(l: State, stmt: Store, name: str, count: int) -> Operand:
    """The elements as one vector."""
    dtype = l.buffers[stmt.target.buffer].dtype
    if isinstance(stmt.value, Number):
        return stmt.value.value
    if isinstance(stmt.value, Load) and l.buffers[stmt.value.buffer].level != "registers":
        return read(l, stmt.value, count)
    whole: Operand = 0
    for point in range(count):
        l.v.static[name] = point
        item = expr(l, stmt.value, dtype)
        whole = l.b.op("insert", vector(dtype, count), whole, item, lane=point)
    l.v.static[name] = 0
    return whole


def read(l: State, load: Load, count: int) -> Operand:
    """One wide load; zero where it is outside."""
    w = where(l.v, load.inside)
    type_ = vector(l.buffers[load.buffer].dtype, count)
    if w.never:
        return 0
    spot = l.memory.spot(load)
    align = l.memory.alignment(spot, bits(spot.buffer.dtype) // 8 * count)
    pointer = l.memory.pointer(spot, load, condition=w.condition)
    value = l.memory.read(load, "load", type_, pointer, align=align)
    if not w.condition:
        return value
    mask = l.b.op("splat", f"i1x{count}", w.condition)
    return l.b.op("select", type_, mask, value, 0)


def unpack(l: State, stmt: Store, name: str, value: Operand, count: int) -> None:
    """A vector into registers."""
    target = l.buffers[stmt.target.buffer]
    l.shapes.setdefault(target.name, target.dtype)
    for point in range(count):
        l.v.static[name] = point
        key = l.key(stmt.target)
        if isinstance(value, str):
            from_ = vector(target.dtype, count)
            l.registers[key] = l.b.op("extract", target.dtype, value, lane=point, **{"from": from_})
        else:
            l.registers[key] = value
    l.v.static[name] = 0
