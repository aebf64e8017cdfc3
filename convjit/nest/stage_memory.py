"""`[x: shared … | copy]`: a copy, at a level, of what is read inside; by its own line of loops or a derived one.

Two rules for what is copied. By data box (halo): the box of the tensor that the loops inside read, from the ranges of
the loops. By iteration axes (im2col), where the tensor's axes are fused: one element per point of the loops inside.
"""

from __future__ import annotations

from math import prod

from convjit.dtypes import bits
from convjit.errors import ConvError
from convjit.nest.affine import Affine, number, total, var
from convjit.nest.context import Context, box, dimension_size, nest_loops
from convjit.nest.ir import Buffer, Guard, Let, Load, Stmt, Store
from convjit.nest.layout import Layout
from convjit.nest.split import Plan, split
from convjit.schedule.schedule import Level, Stage


def memory_stage(c: Context, place: int, threads: int) -> tuple[Stmt, ...]:
    """The copy; from here on the update reads the buffer."""
    stage = c.parts.items[place]
    assert isinstance(stage, Stage)
    if c.fused and stage.tensor == c.domain.x:
        return by_iteration(c, place, stage, threads)
    return by_box(c, place, stage, threads)


def by_box(c: Context, place: int, stage: Stage, threads: int) -> tuple[Stmt, ...]:
    """Copy the box that the loops inside read; outside the image it holds zeros."""
    access, source = c.now[stage.tensor], c.buffer(c.now[stage.tensor].buffer)
    inner = c.inner(place)
    open_loop = next((p for p in inner if p.extent.terms and any(p.name in i.names() for i in access.index)), None)
    if open_loop:
        text = f"'{stage}' copies a box whose size is open along {open_loop.axis}."
        raise ConvError.of(text, stage.span, hint=f"Step through {open_loop.axis} to the left of the stage.")
    ranges = {p.name: (0, p.last) for p in inner}
    boxes = {d: box(i, ranges) for d, i in zip(source.dims, access.index, strict=True)}
    sizes = {d: size for d, (_, _, size) in boxes.items()}
    made = tile(c, stage, source, tuple(source.dims), sizes)
    here, plans, idle = copy_loops(c, stage, made, sizes, threads)
    index = tuple(boxes[d][1] + here[d] for d in source.dims)
    limits = ((a, dimension_size(source, d)) for a, d in zip(index, source.dims, strict=True))
    inside = tuple(Guard(a, size) for a, size in limits if a.terms or a.const)
    copy = Store(
        Load(made.name, tuple(here[d] for d in source.dims)), Load(access.buffer, index, inside), idle, stage.by
    )
    c.now[stage.tensor] = Load(made.name, tuple(local for local, _, _ in boxes.values()))
    return nest_loops((copy,), plans)


def by_iteration(c: Context, place: int, stage: Stage, threads: int) -> tuple[Stmt, ...]:
    """One element per point of the loops inside: rows of the matrix that im2col would make."""
    access = c.now[stage.tensor]
    fuse = c.phase.fuses[0]
    axes = (fuse.name, *(a for a, _ in c.domain.axes if a not in c.fused and c.uses(stage.tensor, a)))
    inner = c.inner(place)
    local = {a: [p for p in inner if p.axis == a] for a in axes}
    dims = tuple(a for a in axes if local[a])
    sizes = {a: sum(p.last for p in local[a]) + 1 for a in dims}
    made = tile(c, stage, None, dims, sizes)
    here, plans, idle = copy_loops(c, stage, made, sizes, threads)
    corner: dict[str, Affine | int] = {p.name: 0 for a in dims for p in local[a]}
    first = {local[a][0].name: here[a] for a in dims}

    def moved(a: Affine) -> Affine:
        """The tile's corner, then the copy's own position."""
        return a.substitute({**corner, **first})

    let = Let(
        c.fused, tuple(c.domain.size(a) for a in c.fused), (1,) * len(c.fused), moved(c.parts.meaning[fuse.name])
    )
    inside = tuple(Guard(moved(g.affine), moved(g.size)) for g in access.inside)
    source = c.buffer(access.buffer)
    for d, i in zip(source.dims, access.index, strict=True):
        if not i.names() & set(c.fused) and i.names():
            inside += (Guard(moved(i), dimension_size(source, d)),)
    size = c.domain.size
    for a in dims:
        if a != fuse.name and size(a).const % sizes[a]:  # the tile runs past the end of the axis
            inside += (Guard(moved(c.parts.meaning[a]), size(a)),)
    whole = prod(size(a).const for a in c.fused) if all(not size(a).terms for a in c.fused) else 0
    if whole:
        inside += (Guard(let.of, number(whole)),)
    copy = Store(
        Load(made.name, tuple(here[d] for d in dims)),
        Load(access.buffer, tuple(moved(a) for a in access.index), tuple(dict.fromkeys(inside))), idle, stage.by,
    )  # fmt: skip
    c.now[stage.tensor] = Load(made.name, tuple(total(var(p.name) for p in local[d]) for d in dims))
    return nest_loops((let, copy), plans)


def tile(c: Context, stage: Stage, source: Buffer | None, dims: tuple[str, ...], sizes: dict[str, int]) -> Buffer:
    """The buffer, in the source's order of dimensions."""
    order = dims
    if source is not None and source.layout is not None:
        place = {n: i for i, (n, _) in enumerate(source.layout.parts)}  # a blocked dimension: its fastest part
        order = tuple(sorted(dims, key=lambda d: place.get(d, -1)))
    layout = Layout(tuple((d, 1) for d in order), tuple((d, sizes[d]) for d in order), stage.pad)
    dtype = stage.as_type or c.buffer(stage.tensor).dtype
    made = Buffer(f"{stage.tensor}.s", dims, dtype, stage.level, layout, True, stage.ring)
    c.buffers.append(made)
    return made


def copy_loops(
    c: Context, stage: Stage, made: Buffer, sizes: dict[str, int], threads: int
) -> tuple[dict[str, Affine], tuple[Plan, ...], tuple[Guard, ...]]:
    """Where the copy stands in each dimension, its loops, and the guards of a copy that overshoots its buffer."""
    assert made.layout
    order = [d for d, _ in made.layout.parts if sizes[d] > 1]
    if not order and not stage.copy:
        order = [made.layout.parts[-1][0]]  # a single element
    levels = stage.copy or (gpu_line if c.gpu else cpu_line)(c, made, order, sizes, threads)
    known = {d: number(sizes[d]) for d in order}
    parts = split(tuple(levels), known, c.gpu, f"{stage.tensor}~") if known else None
    here = {d: parts.meaning[d] if parts and d in known else number(0) for d in sizes}
    plans = parts.plans() if parts else ()
    guards = tuple(g for _, g in parts.guards) if parts else ()
    first = [p for p in plans if p.kind == "thread"]
    used = prod(p.last // p.step + 1 for p in first)
    if c.gpu and used > threads:
        text = f"'{stage}': {used} threads copy, the block has {threads}."
        raise ConvError.of(text, stage.span, hint="Give fewer of the copy's loops to threads.")
    return here, tuple(plans), guards


def cpu_line(c: Context, made: Buffer, order: list[str], sizes: dict[str, int], threads: int) -> tuple[Level, ...]:
    """Rows outermost, the last dimension by vectors."""
    *outer, last = order
    wide = c.lanes if sizes[last] >= c.lanes > 1 and last not in fused(c) else 1
    tail = (Level(last, wide), Level(last, 1, "simd")) if wide > 1 else (Level(last),)
    return (*(Level(d) for d in outer), *tail)


def gpu_line(c: Context, made: Buffer, order: list[str], sizes: dict[str, int], threads: int) -> tuple[Level, ...]:
    """16 bytes of the last dimension by each thread where its size allows, then rows, the rest in turns."""
    wide = 128 // bits(made.dtype) if order[-1] not in fused(c) else 1
    while wide > 1 and sizes[order[-1]] % wide:
        wide //= 2
    turns: list[Level] = []
    shared: list[Level] = []
    left = threads
    for d in reversed(order):
        grain = wide if d == order[-1] else 1
        steps = sizes[d] // grain
        own = min(steps, left)
        left //= own
        if own < steps or own == 1:
            turns.insert(0, Level(d, own * grain, "unroll"))
        if own > 1:
            shared.insert(0, Level(d, grain, "thread"))
    if not shared and threads > 1:  # all of it is one access: by one thread
        turns, shared = [], [Level(order[-1], wide, "thread")]
    vec = (Level(order[-1], 1, "vec"),) if wide > 1 else ()
    return (*turns, *shared, *vec)


def fused(c: Context) -> tuple[str, ...]:
    """The axis whose neighbours need not be neighbours in memory."""
    return tuple(f.name for f in c.phase.fuses)
