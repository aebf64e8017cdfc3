"""Copies that the machine makes on its own: from global to shared memory, without registers."""

from __future__ import annotations

from convjit.dtypes import bits
from convjit.kernel.ir import Operand
from convjit.kernel.runs import unit
from convjit.kernel.state import State
from convjit.kernel.variables import where
from convjit.nest.ir import Load, Store


def asynchronous(l: State, stmt: Store, count: int) -> None:
    """Global to shared memory without registers; outside, zeros are written."""
    assert isinstance(stmt.value, Load)
    w = where(l.v, stmt.value.inside)
    target, source = l.memory.spot(stmt.target), l.memory.spot(stmt.value)
    size = bits(unit(target.buffer.dtype, l.v.dot)) // 8 * count
    to = l.memory.pointer(target, stmt.target)
    if w.never or w.condition:
        where_from = (
            l.memory.pointer(source, stmt.value, condition=w.condition) if not w.never else f"%{source.buffer.name}"
        )
        read: Operand = l.b.op("select", "i32", w.condition, size, 0) if w.condition else 0
        l.b.do("cp_async_fill", "i32", where_from, to, read, bytes=size)
        return
    l.b.do("cp_async", "", l.memory.pointer(source, stmt.value), to, bytes=size)
