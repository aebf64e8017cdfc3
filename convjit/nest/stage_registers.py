"""`[y]`: keep in registers what the loops to the right touch."""

from __future__ import annotations

from dataclasses import dataclass, replace

from convjit.errors import ConvError
from convjit.nest.affine import Affine, Limit, fixed_bound, number, var
from convjit.nest.after import ACCUMULATOR
from convjit.nest.borders import given_back
from convjit.nest.context import Context, box, nest_loops
from convjit.nest.ir import LANES, UNITS, Apply, Buffer, Expr, Guard, Load, Number, Stmt, Store
from convjit.nest.layout import Layout
from convjit.nest.split import Plan
from convjit.nest.visit import map_guards, map_load, map_loads
from convjit.schedule.schedule import Stage

RUN = 8
"""Numbers of a tile in memory that are brought side by side at a time: two runs of a part of a vector."""


@dataclass(frozen=True)
class RegisterStage:
    """The tile of a tensor: its loops, where the update finds it, and the tensor's own element for every one of it.

    A tile that is walked by position is filled and stored by plain loops (`plans`), not by positions. `part`: it starts
    from 0 and is added to its source, a sum of another type or in memory. `beside`: the tile has an address and an order of its
    own, and is walked by rolled loops but for this axis, along which numbers are brought side by side.
    """

    tensor: str
    plans: tuple[Plan, ...]
    inside: Load
    plain: Load
    source: Load
    unskew: dict[str, Affine]
    part: bool = False
    beside: str = ""


def register_stage(c: Context, place: int) -> RegisterStage:
    """Stage a tensor at this place of the line, and let the update read it there."""
    item = c.parts.items[place]
    assert isinstance(item, Stage)
    tensor = item.tensor
    inner = [p for p in c.right(place) if c.uses(tensor, p.axis) or (p.kind == "simd")]
    refuse_rolled(c, item, inner)
    plans = [unskewed(c, p) for p in inner]
    index = tuple(c.parts.skewed.get(p.name, var(p.name)) for p in inner)
    dtype = (item.as_type or c.domain.accumulator) if tensor == c.domain.y else c.buffer(tensor).dtype
    name = f"{tensor}.r"
    part = tensor == c.domain.y and c.now[tensor].buffer == f"{tensor}.s"
    c.buffers.append(Buffer(name, tuple(p.name for p in plans), dtype, "registers"))
    plain = Load(name, tuple(var(p.name) for p in plans))
    unskew: dict[str, Affine] = {}
    for before, after in zip(inner, plans, strict=True):
        if before.name != after.name:  # position = tile index + tap
            unskew[before.name] = var(after.name) + (var(before.name) - c.parts.skewed[before.name])
    source = map_load(c.now[tensor], lambda a: a.substitute(unskew))
    stage = RegisterStage(tensor, tuple(plans), Load(name, index), plain, source, unskew, part)
    c.now[tensor] = stage.inside
    return stage


def sum_stage(c: Context, place: int) -> RegisterStage:
    """Sums in memory of the worker's own, to which parts in registers are added: a tile with an address."""
    item = c.parts.items[place]
    assert isinstance(item, Stage)
    access, source = c.now[item.tensor], c.buffer(c.now[item.tensor].buffer)
    assert source.layout
    plans = tuple(p for p in c.right(place) if c.uses(item.tensor, p.axis) or p.kind == "simd")
    if open_ := next((p for p in plans if p.extent.terms), None):
        text = f"'{item}' keeps a tile in memory, but the size of '{open_.token}' is open."
        raise ConvError.of(text, item.span, hint=f"Step through it first: '{open_.axis}/8 … {open_.axis}'.")
    ranges = {p.name: (0, p.last) for p in plans}
    boxes = {d: box(i, ranges) for d, i in zip(source.dims, access.index, strict=True)}
    named = [l.axis for l in item.copy]
    order = [*(d for d in order_of(source) if d not in named), *named]
    layout = Layout(tuple((d, 1) for d in order), tuple((d, n) for d, (_, _, n) in boxes.items()))
    name = f"{item.tensor}.s"
    c.buffers.append(Buffer(name, source.dims, c.domain.accumulator, "scratch", layout, True))
    local = Load(name, tuple(inside for inside, _, _ in boxes.values()))
    c.now[item.tensor] = local
    if not named:
        return RegisterStage(item.tensor, plans, local, local, access, {})
    fastest = next(d for d in reversed(order_of(source)) if d == "oc" or boxes[d][2] > 1)
    plans, cut = in_runs(plans, fastest)
    plain, source_ = (map_load(load, lambda a: a.substitute(cut)) for load in (local, access))
    return RegisterStage(item.tensor, plans, local, plain, source_, cut, beside=fastest)


def refuse_rolled(c: Context, item: Stage, inner: list[Plan]) -> None:
    """Registers have no address: every loop over the tile must be unrolled, a lane or a thread."""
    for p in inner:
        if p.kind in ("serial", "worker"):
            text = f"'[{item.tensor}]' keeps a tile in registers, and '{p.token}' to its right is a rolled loop over it."
            raise ConvError.of(
                text, p.token.span, note="Registers have no address; the loop must be written out.",
                hint=f"Write '{p.axis}:unroll', or move the loop to the left of '[{item.tensor}]'.",
            )  # fmt: skip
        if p.extent.terms:
            text = f"'[{item.tensor}]' keeps a tile in registers, but the size of '{p.token}' is open."
            raise ConvError.of(text, p.token.span, hint=f"Step through it first: '{p.axis}/8 … {p.axis}:unroll'.")


def unskewed(c: Context, p: Plan) -> Plan:
    """A tile walked by position, walked by its own index."""
    if p.name not in c.parts.skewed:
        return p
    extent = next(g.size for _, g in c.parts.guards if p.name in g.affine.names())
    return replace(p, name=p.name + ".t", low=fixed_bound(0), high=fixed_bound(extent.const), extent=extent)


def fill(c: Context, stage: RegisterStage) -> tuple[Stmt, ...]:
    """Read an operand's tile. On a GPU neighbours are read by one wide access."""
    plans = [p if p.kind != "serial" else replace(p, kind="unroll") for p in stage.plans]
    if c.gpu:
        plans = widened(c, plans, stage.source)
    return nest_loops((*c.digits(stage.source, stage.source.inside), Store(stage.plain, stage.source)), plans)


def widened(c: Context, plans: list[Plan], memory: Load, guards: tuple[Guard, ...] = ()) -> list[Plan]:
    """The loop over neighbours in memory becomes one wide access, and goes innermost."""
    layout = c.buffer(memory.buffer).layout
    if layout is None:
        return plans
    flat = layout.flatten(dict(zip(c.buffer(memory.buffer).dims, memory.index, strict=True)), {})
    for p in reversed(plans):
        neighbours = flat.get((), Affine()).coefficient(p.name) == 1 and p.step == 1
        alone = not any(a.coefficient(p.name) for s, a in flat.items() if s)
        if neighbours and alone and p.kind == "unroll" and p.extent.const in (2, 4):
            return [*(q for q in plans if q is not p), replace(p, kind="vec")]
    return plans


def start(c: Context, stage: RegisterStage, place: int) -> tuple[Stmt, ...]:
    """The output's tile: zero, or what earlier visits left where the sum is spread over visits."""
    if stage.part or not c.reductions_outside(place):
        zero = Number(0.0, c.buffer(stage.plain.buffer).dtype)
        when = visible_image(c, stage, place) if stage.part else ()
        return nest_loops((*c.digits(stage.plain, when), Store(stage.plain, zero, when)), written_out(stage))
    exists, image = existing(c, stage), visible_image(c, stage, place)
    value = replace(stage.source, inside=exists)  # what lies past the end starts from 0 and is not stored
    return nest_loops((*c.digits(stage.source, (*exists, *image)), Store(stage.plain, value, image)), written_out(stage))


def finish(c: Context, stage: RegisterStage, place: int) -> tuple[Stmt, ...]:
    """Store the tile; the last visit also does what follows the sum (a nest of its own where there are many)."""
    if stage.part:
        more = total_of(stage.plain, c.buffer(stage.plain.buffer).dtype, c.domain.accumulator)
        total = Apply("add", (stage.source, more), c.domain.accumulator)
        when = visible_image(c, stage, place)
        return nest_loops((*c.digits(stage.source, when), Store(stage.source, total, when)), written_out(stage))
    when = visible(c, stage, place)
    revisited = c.reductions_outside(place)
    value = stage.plain if revisited else finished(c, stage.plain, stage.unskew)
    target = replace(stage.source, inside=())
    plans = list(written_out(stage))
    back = () if revisited else given_back(
        c, stage.plain, lambda a: a.substitute(c.parts.meaning).substitute(stage.unskew), (),
        lambda body: nest_loops(body, written_out(stage)),
    )  # fmt: skip
    if c.gpu and not revisited:
        plans = widened(c, plans, target, when)
    return (*back, *nest_loops((*c.digits(target, when), Store(target, value, when)), plans))


def in_runs(plans: tuple[Plan, ...], axis: str) -> tuple[tuple[Plan, ...], dict[str, Affine]]:
    """The loops with a rolled one over single steps of the axis cut into runs, and what its variable is then."""
    own = next((p for p in plans if p.axis == axis and p.step == 1 and p.kind not in LANES and p.last >= RUN), None)
    if own is None:
        return plans, {}
    run = replace(own, step=RUN, kind="serial")
    high = (Limit(number(RUN)), *(Limit(limit.affine - var(own.name)) for limit in own.high))
    single = replace(own, name=f"{own.name}~run", high=high, extent=number(RUN), kind="unroll")
    cut = {own.name: var(own.name) + var(single.name)}
    return tuple(q for p in plans for q in ((run, single) if p is own else (p,))), cut


def order_of(buffer: Buffer) -> list[str]:
    """Its dimensions, slowest first."""
    assert buffer.layout
    return [d for d, _ in buffer.layout.parts]


def written(stage: RegisterStage, plan: Plan) -> bool:
    """Whether a loop of a tile in memory is written out: the innermost over what is brought side by side."""
    own = [p for p in stage.plans if p.axis == stage.beside and p.kind not in LANES]
    return bool(own) and plan is own[-1]


def written_out(stage: RegisterStage) -> list[Plan]:
    """The loops of a register tile, and those of a tile in memory: rolled, then what is brought side by side, then lanes."""
    if stage.beside:
        rolled = [p if p.kind in LANES else replace(p, kind="unroll" if written(stage, p) else "serial") for p in stage.plans]
        return sorted(rolled, key=lambda p: ("serial", "unroll", *LANES).index(p.kind))
    return [p if p.kind in ("unroll", *LANES, *UNITS) else replace(p, kind="unroll") for p in stage.plans]


def total_of(part: Load, given: str, wanted: str) -> Expr:
    """A part of a sum as a number of the sum's type; in f64 it is known to be a whole number up to 2^53."""
    if given == wanted:
        return part
    return Apply("whole" if given == "f64" else "convert", (part,), wanted)


def finished(c: Context, register: Load, unskew: dict[str, Affine]) -> Expr:
    """The epilogue, reading the sum where it is."""
    given = c.buffer(register.buffer).dtype
    total: Expr = total_of(register, given, c.domain.accumulator)

    def read(load: Load) -> Expr:
        if load == ACCUMULATOR:
            return total
        moved = map_load(load, lambda a: a.substitute(c.parts.meaning).substitute(unskew))
        return moved

    whole = map_loads(c.domain.epilogue, read)
    dtype = c.buffer(c.domain.y).dtype
    given = whole.dtype if isinstance(whole, (Apply, Number)) else given
    return whole if dtype == given else Apply("convert", (whole,), dtype)


def visible(c: Context, stage: RegisterStage, place: int) -> tuple[Guard, ...]:
    """When an element of the output's tile is stored: it exists, and something was added to it."""
    image = visible_image(c, stage, place) if c.reductions_outside(place) else ()
    return tuple(dict.fromkeys((*existing(c, stage), *image)))


def existing(c: Context, stage: RegisterStage) -> tuple[Guard, ...]:
    """When an element of the output's tile exists: lanes and threads may run past the end of an axis."""
    output = [g for a, g in c.parts.guards if a not in c.domain.reductions]
    guards = (Guard(g.affine.substitute(stage.unskew), g.size) for g in output)
    return tuple(dict.fromkeys(g for g in guards if not decided(g, stage)))


def visible_image(c: Context, stage: RegisterStage, place: int) -> tuple[Guard, ...]:
    """Where a tile that is visited again is touched at all: not where all its taps fall outside the image, so that loops
    over it can be clipped. None where x is staged: its copy is filled with zeros, and every tile is touched."""
    image = map_guards(c.now[c.domain.x].inside, lambda a: a.substitute(stage.unskew))
    names = {p.name for p in stage.plans} | {p.name for p in c.outer(place)}
    return tuple(g for g in image if g.affine.names() <= names and not decided(g, stage))


def decided(guard: Guard, stage: RegisterStage) -> bool:
    """A tile walked by its own index never leaves itself."""
    names = guard.affine.names()
    own = [p for p in stage.plans if p.name.endswith(".t") and p.name in names]
    return len(own) == 1 and names == {own[0].name} and guard.size == own[0].extent and guard.affine.const == 0
