"""`vec` loops: one wide access to neighbours; in registers every element has a name of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convjit.dtypes import bits
from convjit.errors import InternalError
from convjit.kernel.ir import Operand, vector
from convjit.kernel.variables import where
from convjit.nest.affine import high_range
from convjit.nest.ir import Guard, Let, Load, Loop, Number, Store
from convjit.nest.visit import loads

if TYPE_CHECKING:
    from convjit.kernel.from_nest import Lowering


class Wide:
    """Writes the statements of `vec` loops."""

    def __init__(self, l: Lowering) -> None:
        self.l = l

    def loop(self, loop: Loop) -> None:
        """Each statement as one wide access, or element by element where it cannot be one."""
        count = high_range(loop.high, {})[0]
        l = self.l
        l.v.grain[loop.name] = 1
        opened = 0
        for stmt in loop.body:
            if isinstance(stmt, Let):  # digits of what the loop does not move
                opened += l.let(stmt)
                continue
            if not isinstance(stmt, Store):
                raise InternalError(f"only a copy can be wide, not {stmt}")
            if self.fits(stmt, loop.name, count):
                l.v.static[loop.name] = 0
                self.store(stmt, loop.name, count)
            else:
                for point in range(count):
                    l.v.static[loop.name] = point
                    l.store(stmt)
        l.v.static.pop(loop.name, None)
        for _ in range(opened):
            l.b.close_scope()

    def fits(self, stmt: Store, name: str, count: int) -> bool:
        """Neighbours in memory, known to be aligned, and all inside or all outside."""
        l = self.l
        guards = (*stmt.when, *(g for load in loads(stmt) for g in load.inside))
        if not all(self.together(g, name, count) for g in guards):
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

    def together(self, guard: Guard, name: str, count: int) -> bool:
        """Whether the guard is the same for all elements of an access."""
        c = guard.affine.coefficient(name)
        if c == 0:
            return True
        others = [k * self.l.v.grain.get(n, 1) for n, k in guard.affine.terms if n != name]
        whole = not guard.size.terms and guard.size.const % count == 0
        return c == 1 and whole and guard.affine.const % count == 0 and all(o % count == 0 for o in others)

    def store(self, stmt: Store, name: str, count: int) -> None:
        """One access, behind the statement's guards."""
        l = self.l
        w = where(l.v, stmt.when)
        if w.never:
            return
        if w.condition:
            l.branch(w.condition, lambda: self.copy(stmt, name, count))
        else:
            self.copy(stmt, name, count)

    def copy(self, stmt: Store, name: str, count: int) -> None:
        """Memory to memory, memory to registers, registers to memory."""
        l = self.l
        target = l.buffers[stmt.target.buffer]
        if stmt.by == "cp.async":
            self.asynchronous(stmt, count)
        elif target.level == "registers":
            self.unpack(stmt, name, self.value(stmt, name, count), count)
        else:
            value = self.value(stmt, name, count)
            l.b.forget(frozenset((target.name,)))
            spot = l.memory.spot(stmt.target)
            align = l.memory.alignment(spot, bits(target.dtype) // 8 * count)
            l.b.do("store", vector(target.dtype, count), value, l.memory.pointer(spot, stmt.target), align=align)

    def value(self, stmt: Store, name: str, count: int) -> Operand:
        """The elements as one vector."""
        l = self.l
        dtype = l.buffers[stmt.target.buffer].dtype
        if isinstance(stmt.value, Number):
            return stmt.value.value
        if isinstance(stmt.value, Load) and l.buffers[stmt.value.buffer].level != "registers":
            return self.read(stmt.value, count)
        whole: Operand = 0
        for point in range(count):
            l.v.static[name] = point
            item = l.expr(stmt.value, dtype)
            whole = l.b.op("insert", vector(dtype, count), whole, item, lane=point)
        l.v.static[name] = 0
        return whole

    def read(self, load: Load, count: int) -> Operand:
        """One wide load; zero where it is outside."""
        l = self.l
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

    def unpack(self, stmt: Store, name: str, value: Operand, count: int) -> None:
        """A vector into registers."""
        l = self.l
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

    def asynchronous(self, stmt: Store, count: int) -> None:
        """Global to shared memory without registers; outside, zeros are written."""
        l = self.l
        assert isinstance(stmt.value, Load)
        w = where(l.v, stmt.value.inside)
        target, source = l.memory.spot(stmt.target), l.memory.spot(stmt.value)
        size = bits(target.buffer.dtype) // 8 * count
        to = l.memory.pointer(target, stmt.target)
        if w.never or w.condition:
            where_from = l.memory.pointer(source, stmt.value, condition=w.condition) if not w.never else f"%{source.buffer.name}"
            read: Operand = l.b.op("select", "i32", w.condition, size, 0) if w.condition else 0
            l.b.do("cp_async_fill", "i32", where_from, to, read, bytes=size)
            return
        l.b.do("cp_async", "", l.memory.pointer(source, stmt.value), to, bytes=size)



