"""Which lanes of a register tile are ever stored: the others may hold anything.

    y.r[ow] += x[…] * w[…]           16 lanes
    y[…, ow] = y.r[ow] when ow < 14  the last two are of no use, so what they load is of none either
"""

from __future__ import annotations

from convjit.kernel.variables import Variables
from convjit.nest.ir import Guard, Load, Stmt, Store
from convjit.nest.visit import loads, works

Stored = tuple[Load, tuple[Guard, ...]]
"""How a register buffer is read by its one store, and under which guards."""


def later(body: tuple[Stmt, ...], after: dict[str, Stored | None]) -> list[dict[str, Stored | None]]:
    """For each of these statements how buffers are read behind it, until something new is put into them; None where
    that is in several ways. `after`: the same behind the whole body."""
    now = after
    found = [now] if body else []
    for stmt in reversed(body[1:]):
        filled, read = effects(stmt)
        now = {buffer: use for buffer, use in now.items() if buffer not in filled}
        for buffer, use in read.items():
            now[buffer] = use if now.get(buffer, use) == use else None
        found.append(now)
    return found[::-1]


def effects(stmt: Stmt) -> tuple[set[str], dict[str, Stored | None]]:
    """The buffers that a statement puts something new into, and how it reads buffers."""
    filled: set[str] = set()
    read: dict[str, Stored | None] = {}
    for s, _ in works((stmt,)):
        store = isinstance(s, Store)
        if store:
            filled.add(s.target.buffer)
        for load in loads(s):
            use = (load, s.when) if store else None
            read[load.buffer] = use if read.get(load.buffer, use) == use else None
    return filled, read


def alive(v: Variables, target: Load, use: Stored | None) -> tuple[bool, ...]:
    """The lanes of `target` that its store writes, as far as it is known here; else all."""
    every = (True,) * v.lanes
    if use is None or use[0].index != target.index:
        return every
    known = {*v.static, *(name for name, _ in v.simd)}
    lanes = [True] * v.lanes
    for guard in use[1]:
        if not guard.affine.names() <= known or guard.size.terms:
            continue
        plan = v.plan(guard.affine)
        at = plan.static(v.static)
        lanes = [l and 0 <= at + p < guard.size.const for l, p in zip(lanes, plan.lanes, strict=True)]
    return tuple(lanes) if any(lanes) else every
