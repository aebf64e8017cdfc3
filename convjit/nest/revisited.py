"""An output that is visited again and again: cleared by a nest before, finished by a nest after.

Workers share only axes of the output, so each clears and finishes its own part and nobody waits for anybody.
"""

from __future__ import annotations

from convjit.nest.affine import number
from convjit.nest.context import Context, dimension_size, nest_loops
from convjit.nest.domain import ACCUMULATOR
from convjit.nest.ir import Expr, Guard, Load, Number, Stmt, Store
from convjit.nest.split import Split, split
from convjit.nest.stage_registers import finished
from convjit.nest.visit import map_loads
from convjit.schedule.schedule import Level, Stage


def revisited(c: Context) -> bool:
    """Whether a loop over the sum stands outside the output's stage."""
    items = c.parts.items
    place = next(i for i, s in enumerate(items) if isinstance(s, Stage) and s.tensor == c.domain.y)
    return c.reductions_outside(place)


def before(c: Context) -> tuple[Stmt, ...]:
    """Clear the output."""
    return over_output(c, Number(0.0, c.domain.accumulator)) if revisited(c) else ()


def after(c: Context) -> tuple[Stmt, ...]:
    """Do what follows the sum, if anything does."""
    if not revisited(c) or c.domain.epilogue == ACCUMULATOR:
        return ()
    return over_output(c, None)


def over_output(c: Context, value: Expr | None) -> tuple[Stmt, ...]:
    """Store to every element of the output: a number, or what follows the sum that stands there."""
    tag = "zero~" if value is not None else "finish~"
    axes = {a: size for a, size in c.domain.axes if a not in c.domain.reductions}
    parts = split(tuple(levels(c)), axes, c.gpu, tag)
    at = {a: parts.meaning.get(a, number(0)) for a in axes}
    index = tuple(a.substitute(at) for a in c.domain.original[c.domain.y].index)
    target = Load(c.domain.y, index)
    when = tuple(g for _, g in parts.guards)
    return nest_loops((Store(target, value or follow(c, target, parts), when),), parts.plans())


def follow(c: Context, target: Load, parts: Split) -> Expr:
    """The epilogue of the sum that stands in the output."""
    saved, c.parts = c.parts, parts
    whole = finished(c, target, {})
    c.parts = saved
    buffers = {b.name: b for b in c.buffers}

    def guarded(load: Load) -> Expr:
        if load.buffer == c.domain.y:
            return load
        b = buffers[load.buffer]
        sizes = [dimension_size(b, d) for d in b.dims]
        over = [Guard(i, s) for i, s in zip(load.index, sizes, strict=True) if parts.guards and i.terms]
        return Load(load.buffer, load.index, tuple(over))

    return map_loads(whole, guarded)


def levels(c: Context) -> list[Level]:
    """Loops over the output in its memory order; shared as the line shares them, the last axis by vectors."""
    layout = c.buffer(c.domain.y).layout
    assert layout
    order: list[str] = []
    for dim, _ in layout.parts:
        order += ["g", "oc"] if dim == "oc" else [dim]
    order = [a for a in order if a in dict(c.domain.axes)]
    shared = {p.axis: p.step for p in c.parts.plans() if p.kind == "worker"}
    found: list[Level] = []
    for axis in order:
        if axis in shared:
            found.append(Level(axis, shared[axis], "thread"))
        if axis == order[-1] and c.lanes > 1 and not c.gpu:
            found += [Level(axis, c.lanes), Level(axis, 1, "simd")]
        elif axis not in shared or shared[axis] > 1:
            found.append(Level(axis))
    return found if not c.gpu else on_gpu(found)


def on_gpu(found: list[Level]) -> list[Level]:
    """Every element by a thread of its own."""
    return [Level(l.axis, 1, "global") for l in found]
