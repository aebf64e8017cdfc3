"""Statements that compute: copies, stores, and the instruction that multiplies and adds."""

from __future__ import annotations

from convjit.errors import InternalError
from convjit.kernel.copies import asynchronous
from convjit.kernel.expressions import expr, operand
from convjit.kernel.ir import vector
from convjit.kernel.select import find_row
from convjit.kernel.state import State
from convjit.kernel.variables import Where, where
from convjit.nest.guards import skips
from convjit.nest.ir import MulAdd, Store
from convjit.nest.visit import typed


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
        l.registers[key] = expr(l, stmt.value, target.dtype, w)


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
    a, b = (operand(l, e, w) for e in (stmt.a, stmt.b))
    roles = (("n", v.lanes), *((("k", v.dot[1]),) if v.dot else ()))
    types = (*(typed(e, l.dtype_of) for e in (stmt.a, stmt.b)), target.dtype)
    row = find_row(l.machine, types, roles)  # type: ignore[arg-type]
    if row is None:
        raise InternalError(f"{l.machine.name} has no instruction for {types} with {roles}: {stmt}")
    old = l.registers[key]
    if old == 0 and not isinstance(old, str) and row.name == "fma":
        l.registers[key] = l.b.op("mul", shape, a, b)
    else:
        l.registers[key] = l.b.op(row.name, shape, a, b, old)
