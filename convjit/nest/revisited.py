"""An output that is visited again and again: cleared by a nest before, finished by a nest after.

Workers share only axes of the output, so each clears and finishes its own part and nobody waits for anybody.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from convjit.nest.affine import Affine, number
from convjit.nest.after import ACCUMULATOR
from convjit.nest.borders import given_back
from convjit.nest.context import Context, dimension_size, nest_loops
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
    """Clear the sums; a zero point gives them what taps outside the image are short of."""
    if not revisited(c):
        return ()
    clear = over_output(c, lambda o: (Store(o.target(c.sums), Number(0.0, c.domain.accumulator), o.when),))
    return (*clear, *over_output_taps(c))


def after(c: Context) -> tuple[Stmt, ...]:
    """Do what follows the sum, if anything does."""
    if not revisited(c) or (c.domain.epilogue == ACCUMULATOR and c.sums == c.domain.y):
        return ()
    return over_output(c, lambda o: (Store(o.target(c.domain.y), follow(c, o.target(c.sums), o.parts), o.when),))


@dataclass(frozen=True)
class Over:
    """Loops over every element of the output, and where they are."""

    parts: Split
    index: tuple[Affine, ...]

    @property
    def when(self) -> tuple[Guard, ...]:
        """Where the element exists."""
        return tuple(g for _, g in self.parts.guards)

    def target(self, buffer: str) -> Load:
        """The element of a buffer of the output's shape."""
        return Load(buffer, self.index)


def loops_over(c: Context, tag: str) -> Over:
    """The loops, their names starting with a tag."""
    axes = {a: size for a, size in c.domain.axes if a not in c.domain.reductions}
    parts = split(tuple(levels(c)), axes, c.gpu, tag)
    at = {a: parts.meaning.get(a, number(0)) for a in axes}
    return Over(parts, tuple(a.substitute(at) for a in c.domain.original[c.domain.y].index))


def over_output(c: Context, body: Callable[[Over], tuple[Stmt, ...]]) -> tuple[Stmt, ...]:
    """Do something with every element of the output."""
    over = loops_over(c, "each~")
    return nest_loops(body(over), over.parts.plans())


def over_output_taps(c: Context) -> tuple[Stmt, ...]:
    """What taps outside the image are short of."""
    over = loops_over(c, "each~")
    saved, c.parts = c.parts, over.parts
    made = given_back(
        c, over.target(c.sums), lambda a: a.substitute(over.parts.meaning), over.when,
        lambda body: nest_loops(body, over.parts.plans()),
    )  # fmt: skip
    c.parts = saved
    return made


def follow(c: Context, target: Load, parts: Split) -> Expr:
    """The epilogue of the sum that stands in the output."""
    saved, c.parts = c.parts, parts
    whole = finished(c, target, {})
    c.parts = saved
    buffers = {b.name: b for b in c.buffers}

    def guarded(load: Load) -> Expr:
        if load.buffer == c.sums:
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
