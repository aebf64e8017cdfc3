"""`prefetch w c 16`: ask for a tensor a number of steps of a loop ahead, once per cache line touched.

    for c in 0..128 { … w[oc, kh, kw, c] … }
    for c in 0..128 { unroll oc.1 { prefetch w[oc, kh, kw, c+16] }; … }

Must run after the borders are peeled, so that every body asks for its own weights. The address may lie past the end.
"""

from __future__ import annotations

from dataclasses import replace

from convjit.nest.affine import Affine
from convjit.nest.ir import LANES, NESTED, Load, Loop, Nest, Prefetch, Stmt
from convjit.nest.visit import loads, works
from convjit.schedule.schedule import Phase


def prefetch(nest: Nest, phase: Phase) -> Nest:
    """With what the phase's lines ask for."""
    for line in phase.prefetches:
        names = {b.name for b in nest.buffers}
        buffer = f"{line.tensor}.packed" if f"{line.tensor}.packed" in names else line.tensor
        nest = replace(nest, body=block(nest.body, buffer, line.loop.axis, line.loop.step, line.distance))
    return nest


def block(body: tuple[Stmt, ...], buffer: str, axis: str, step: int, ahead: int) -> tuple[Stmt, ...]:
    """Every loop of the axis in this body asks."""
    result: list[Stmt] = []
    for stmt in body:
        if isinstance(stmt, NESTED):
            stmt = replace(stmt, body=block(stmt.body, buffer, axis, step, ahead))
        if isinstance(stmt, Loop) and stmt.name.startswith(f"{axis}.") and stmt.kind == "serial" and stmt.step == step:
            stmt = replace(stmt, body=(*asks(stmt, buffer, ahead), *stmt.body))
        result.append(stmt)
    return tuple(result)


def asks(loop: Loop, buffer: str, ahead: int) -> tuple[Stmt, ...]:
    """The requests of one turn: for the first access of the buffer inside, its unrolled loops kept."""
    found = ((l, loops) for s, loops in works(loop.body) for l in loads(s) if l.buffer == buffer)
    access, loops = next(found, (None, ()))
    if access is None:
        return ()
    later: dict[str, Affine | int] = {l.name: 0 for l in loops if l.kind in LANES}
    later[loop.name] = Affine(((loop.name, 1),), ahead * loop.step)
    index = tuple(i.substitute(later) for i in access.index)
    ask: Stmt = Prefetch(Load(buffer, index))
    for l in reversed(loops):
        if l.kind == "unroll" and any(l.name in i.names() for i in index):
            ask = replace(l, body=(ask,))
        elif l.kind == "serial" and any(l.name in i.names() for i in index):
            return ()  # a rolled loop inside: the turn touches too much to ask for
    return (ask,)
