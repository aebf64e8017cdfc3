"""Statements that compute: copies, stores, and the instruction that multiplies and adds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from convjit.dtypes import bits
from convjit.errors import InternalError
from convjit.kernel.alive import alive
from convjit.kernel.copies import asynchronous
from convjit.kernel.expressions import expr, operand
from convjit.kernel.ir import Operand, Type, vector
from convjit.kernel.select import find_row
from convjit.kernel.state import State
from convjit.kernel.types import FLOATS
from convjit.kernel.variables import ALWAYS, Where, where
from convjit.machine import Row
from convjit.nest.guards import skips
from convjit.nest.ir import Expr, Load, MulAdd, Store
from convjit.nest.visit import loads, typed


def store(l: State, stmt: Store) -> None:
    """Copy, or compute and store."""
    w = where(l.v, stmt.when)
    if w.never:
        return
    if w.condition:
        l.branch(w.condition, lambda: assign(l, stmt, Where(False, w.mask)))
    else:
        assign(l, stmt, w)


def assign(l: State, stmt: Store, w: Where) -> None:
    """The statement's guards are dealt with but for the mask."""
    target = l.buffers[stmt.target.buffer]
    if stmt.by == "cp.async":
        asynchronous(l, stmt, 1)
    elif target.level != "registers":
        value = expr(l, stmt.value, target.dtype, w)
        l.b.forget(frozenset((target.name,)))
        l.memory.store(stmt.target, value, target.dtype, w)
    else:
        key = l.key(stmt.target)
        l.shapes.setdefault(target.name, vector(target.dtype, l.v.lanes))
        new = expr(l, stmt.value, target.dtype, w)
        if w.mask is not None and any(load == stmt.target for load in loads(stmt)):
            new = l.b.op("select", vector(target.dtype, l.v.lanes), l.memory.mask(w.mask), new, l.registers[key])
        l.registers[key] = new


def muladd(l: State, stmt: MulAdd) -> None:
    """One instruction, unless the tap is known to be outside."""
    w = where(l.v, skips(stmt))
    if w.never:
        return
    if w.condition:
        l.branch(w.condition, lambda: multiply(l, stmt, Where(False, w.mask)))
    else:
        multiply(l, stmt, w)


def multiply(l: State, stmt: MulAdd, w: Where) -> None:
    """The row for the types and roles here."""
    v = l.v
    key = l.key(stmt.target)
    target = l.buffers[stmt.target.buffer]
    shape = l.shapes.setdefault(target.name, vector(target.dtype, v.lanes))
    types = (*(typed(e, l.dtype_of) for e in (stmt.a, stmt.b)), target.dtype)
    row = _row(l, stmt, types)
    w, outside = loosened(l, stmt, w)
    spoiled = outside and target.dtype in FLOATS and guarded(stmt.a) != guarded(stmt.b)
    chosen = spoiled and l.machine.masks and isinstance(w.mask, str)  # a known mask would become a blend of its own
    factors = [
        inside(l, e, type, w) if spoiled and not chosen else operand(l, e, w)
        for e, type in zip((stmt.a, stmt.b), types, strict=False)
    ]
    old = l.registers[key]
    new = product(l, row, shape, factors, old)
    if chosen and w.mask is not None:
        new = l.b.op("select", shape, l.memory.mask(w.mask), new, old)
    l.registers[key] = new


def loosened(l: State, stmt: MulAdd, w: Where) -> tuple[Where, bool]:
    """The mask with lanes that are never stored, where what they read exists: often all of them, and it is gone. And
    whether lanes that are stored lie outside it."""
    if not isinstance(w.mask, tuple) or l.gpu:
        return w, w.mask is not None
    wanted = alive(l.v, stmt.target, l.stores.get(stmt.target.buffer))
    mask = tuple(m or not a for a, m in zip(wanted, w.mask, strict=True))
    for spot in [l.memory.spot(e) for e in (stmt.a, stmt.b) if isinstance(e, Load) and e.inside]:
        read = [place for place, m in zip(spot.plan.lanes, mask, strict=True) if m]
        if not l.memory.exists(spot, (min(read), max(read))):
            return w, not all(mask)
    return (ALWAYS, False) if all(mask) else (Where(False, mask), True)


def product(l: State, row: Row, shape: Type, factors: Sequence[Operand], old: Operand) -> str:
    """The instruction; the first product of a sum is a multiplication."""
    if old == 0 and not isinstance(old, str) and row.name == "fma":
        return l.b.op("mul", shape, *factors)
    return l.b.op(row.name, shape, *factors, old)


def multiply_plain(l: State, stmt: MulAdd) -> Callable[[Sequence[Operand]], None]:
    """The same for many turns of one statement without masks: what they share is found once."""
    target = l.buffers[stmt.target.buffer]
    shape = l.shapes.setdefault(target.name, vector(target.dtype, l.v.lanes))
    row = _row(l, stmt, (*(typed(e, l.dtype_of) for e in (stmt.a, stmt.b)), target.dtype))

    def multiply_one(factors: Sequence[Operand]) -> None:
        key = l.key(stmt.target)
        l.registers[key] = product(l, row, shape, factors, l.registers[key])

    return multiply_one


def _row(l: State, stmt: MulAdd, types: tuple[str, ...]) -> Row:
    roles = (("n", l.v.lanes), *((("k", l.v.dot[1]),) if l.v.dot else ()))
    row = find_row(l.machine, types, roles)  # type: ignore[arg-type]
    if row is None:
        raise InternalError(f"{l.machine.name} has no instruction for {types} with {roles}: {stmt}")
    return row


def guarded(e: Expr) -> bool:
    """Whether it reads as 0 in lanes outside."""
    return isinstance(e, Load) and bool(e.inside)


def inside(l: State, e: Expr, dtype: str, w: Where) -> Operand:
    """A factor, 0 in lanes outside: the other is 0 there, but infinity times 0 is not."""
    value = operand(l, e, w)
    if guarded(e) or w.mask is None:
        return value
    kind = f"i{bits(dtype) * l.v.dot[1]}" if l.v.dot and l.v.dot[1] > 1 else dtype
    return l.b.once("select", vector(kind, l.v.lanes), l.memory.mask(w.mask), value, 0)
