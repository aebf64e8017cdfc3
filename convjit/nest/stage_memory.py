"""`[x: shared … | copy]`: a copy, at a level, of what is read inside; by its own line of loops or a derived one.

Two rules for what is copied. By data box (halo): the box of the tensor that the loops inside read, from the ranges of
the loops. By iteration axes (im2col), where the tensor's axes are fused: one element per point of the loops inside.
"""

from __future__ import annotations

from math import prod

from convjit.errors import ConvError
from convjit.nest.affine import Affine, number, total, var
from convjit.nest.context import Context, box, dimension_size, nest_loops
from convjit.nest.copy_line import cpu_line, gpu_line, word_of
from convjit.nest.ir import Buffer, Guard, Let, Load, Stmt, Store
from convjit.nest.layout import Layout
from convjit.nest.pack import check_blocks
from convjit.nest.split import Plan, split
from convjit.schedule.operands import pack_of
from convjit.schedule.schedule import Stage


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
    made = tile(c, place, source, tuple(source.dims), sizes)
    here, plans, idle = copy_loops(c, stage, made, source, sizes, threads)
    index = tuple(boxes[d][1] + here[d] for d in source.dims)
    limits = ((a, dimension_size(source, d)) for a, d in zip(index, source.dims, strict=True))
    inside = tuple(Guard(a, size) for a, size in limits if a.terms or a.const)
    copy = Store(
        Load(made.name, tuple(here[d] for d in source.dims)), Load(access.buffer, index, inside), idle, stage.by
    )
    c.now[stage.tensor] = Load(made.name, tuple(local for local, _, _ in boxes.values()), uneven(c, access, inner))
    return nest_loops((copy,), plans)


def uneven(c: Context, access: Load, inner: list[Plan]) -> tuple[Guard, ...]:
    """The guards of loops inside that do not divide their tile: behind its end lies the next tile, not zero."""
    names = {p.name for p in inner}
    own = [g for a, g in c.parts.guards if a in c.domain.reductions and g.size != c.domain.size(a)]
    return tuple(g for g in own if g in access.inside and g.affine.names() <= names)


def by_iteration(c: Context, place: int, stage: Stage, threads: int) -> tuple[Stmt, ...]:
    """One element per point of the loops inside: rows of the matrix that im2col would make."""
    access = c.now[stage.tensor]
    fuse = c.phase.fuses[0]
    axes = (fuse.name, *(a for a, _ in c.domain.axes if a not in c.fused and c.uses(stage.tensor, a)))
    inner = c.inner(place)
    local = {a: [p for p in inner if p.axis == a] for a in axes}
    dims = tuple(a for a in axes if local[a])
    sizes = {a: sum(p.last for p in local[a]) + 1 for a in dims}
    made = tile(c, place, None, dims, sizes)
    source = c.buffer(access.buffer)
    here, plans, idle = copy_loops(c, stage, made, source, sizes, threads)
    corner: dict[str, Affine | int] = {p.name: 0 for a in dims for p in local[a]}
    first = {local[a][0].name: here[a] for a in dims}

    def moved(a: Affine) -> Affine:
        """The tile's corner, then the copy's own position."""
        return a.substitute({**corner, **first})

    let = Let(
        c.fused, tuple(c.domain.size(a) for a in c.fused), (1,) * len(c.fused), moved(c.parts.meaning[fuse.name])
    )
    inside = tuple(Guard(moved(g.affine), moved(g.size)) for g in access.inside)
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


def tile(c: Context, place: int, source: Buffer | None, dims: tuple[str, ...], sizes: dict[str, int]) -> Buffer:
    """The buffer, in the source's order of dimensions."""
    stage = c.parts.items[place]
    assert isinstance(stage, Stage)
    parts = tuple((d, 1) for d in dims)
    if source is not None and source.layout is not None:
        fastest = {n: i for i, (n, _) in enumerate(source.layout.parts)}  # a blocked dimension: its fastest part
        order = sorted(dims, key=lambda d: fastest.get(d, -1))
        parts = in_words(c, place, source, sizes) or tuple((d, 1) for d in order)
    layout = Layout(parts, tuple((d, sizes[d]) for d in dict(parts)), stage.pad)
    dtype = stage.as_type or c.buffer(stage.tensor).dtype
    made = Buffer(f"{stage.tensor}.s", dims, dtype, stage.level, layout, True, stage.ring)
    c.buffers.append(made)
    return made


def in_words(c: Context, place: int, source: Buffer, sizes: dict[str, int]) -> tuple[tuple[str, int], ...]:
    """The parts of a layout that keeps the source's words, those of neighbouring outputs side by side; () where the
    source has none, or where a loop does not go from word to word."""
    stage = c.parts.items[place]
    assert isinstance(stage, Stage) and source.layout
    parts = source.layout.parts
    last = parts[-1][0]
    word = last, word_of(c, last)
    if not c.gpu or word[1] == 1 or word not in parts or parts.index(word) == len(parts) - 2:
        return ()
    inside = [p.step for p in c.inner(place) if p.axis == last]
    for steps in (inside, [l.step for l in stage.copy if l.axis == last] if stage.copy else inside):
        before = [sizes[last], *steps[:-1]]
        if steps[-1:] != [1] or before[-1] > word[1] or any(step % word[1] for step in before):
            return ()
    absent = tuple((d, 1) for d in source.dims if d not in dict(parts))
    return (*absent, *(p for p in parts if p == word or p[1] == 1))


def copy_loops(
    c: Context, stage: Stage, made: Buffer, source: Buffer, sizes: dict[str, int], threads: int
) -> tuple[dict[str, Affine], tuple[Plan, ...], tuple[Guard, ...]]:
    """Where the copy stands in each dimension, its loops, and the guards of a copy that overshoots its buffer."""
    assert made.layout
    order = list(dict.fromkeys(d for d, _ in made.layout.parts if sizes[d] > 1))
    if not order and not stage.copy:
        order = [made.layout.parts[-1][0]]  # a single element
    levels = stage.copy or (gpu_line(c, made, source, threads) if c.gpu else cpu_line(c, order, sizes))
    known = {d: number(sizes[d]) for d in order}
    parts = split(tuple(levels), known, c.gpu, f"{stage.tensor}~") if known else None
    if parts and (pack := pack_of(c.phase.packs, source.name.removesuffix(".packed"))):
        check_blocks(parts, source, pack)
    here = {d: parts.meaning[d] if parts and d in known else number(0) for d in sizes}
    plans = parts.plans() if parts else ()
    guards = tuple(g for _, g in parts.guards) if parts else ()
    first = [p for p in plans if p.kind == "thread"]
    used = prod(p.last // p.step + 1 for p in first)
    if c.gpu and used > threads:
        text = f"'{stage}': {used} threads copy, the block has {threads}."
        raise ConvError.of(text, stage.span, hint="Give fewer of the copy's loops to threads.")
    return here, tuple(plans), guards
