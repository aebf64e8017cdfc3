"""`pack w: oc/32 kh kw c oc as i16`: an operand in the order in which the loops read it, whole blocks, perhaps in another
type. The weight is packed when it is bound, the input in every call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from convjit.errors import ConvError
from convjit.nest.affine import Affine, number, var
from convjit.nest.context import dimension_size, nest_loops
from convjit.nest.convert import converted
from convjit.nest.domain import Domain
from convjit.nest.ir import Buffer, Expr, Guard, Load, Nest, Store, WorkerAxis
from convjit.nest.layout import Extent, Layout
from convjit.nest.split import Split, split
from convjit.nest.visit import map_loads
from convjit.schedule.schedule import Level, Pack, Phase
from convjit.spec.conv import ConvSpec


def check_packs(base: Domain, phase: Phase) -> None:
    """Input and weight are packed, each once."""
    seen: set[str] = set()
    for pack in phase.packs:
        if pack.tensor not in (base.x, base.w):
            raise ConvError.of(f"'{pack.tensor}' cannot be packed, only the input '{base.x}' and the weight '{base.w}' can.", pack.span)
        if pack.tensor in seen:
            raise ConvError.of(f"'{pack.tensor}' is packed twice.", pack.span)
        seen.add(pack.tensor)


def pack_operands(domain: Domain, phase: Phase) -> tuple[bool, Domain]:
    """Where lines pack operands, the update reads the packed buffers; and whether the weight is packed."""
    packed = False
    for pack in phase.packs:
        made = packed_buffer(domain, pack)
        if pack.tensor == domain.w:
            packed, domain = True, with_weight(domain, made)
        else:
            domain = with_input(domain, made)
    return packed, domain


def with_weight(domain: Domain, made: Buffer) -> Domain:
    """Group and channel in group apart."""
    b = domain.update.b
    assert isinstance(b, Load)
    channel = [var(a) if domain.size(a) != number(1) else number(0) for a in ("g", "oc")]
    update = replace(domain.update, b=Load(made.name, (*channel, *b.index[1:])))
    buffers = tuple(made if x.name == domain.w else x for x in domain.buffers)
    return replace(domain, buffers=buffers, update=update, w=made.name)


def with_input(domain: Domain, made: Buffer) -> Domain:
    """The same index into another buffer."""
    old = domain.x
    update = replace(domain.update, a=map_loads(domain.update.a, lambda l: replace(l, buffer=made.name)))
    buffers = tuple(made if x.name == old else x for x in domain.buffers)
    return replace(domain, buffers=buffers, update=update, x=made.name)


def packed_buffer(domain: Domain, pack: Pack) -> Buffer:
    """The packed operand in the order of the pack line, whole blocks; the weight's channels are apart by groups."""
    old = domain.buffer(pack.tensor)
    assert old.layout
    dims = ("g", "oc", *old.dims[1:]) if pack.tensor == domain.w else old.dims
    whole = dict(old.layout.sizes)
    sizes: tuple[tuple[str, Extent], ...] = tuple(
        (d, domain.size(d).const if pack.tensor == domain.w else whole[d]) for d in dims
    )
    present = {d for d, n in sizes if n != 1}
    parts = [(l.axis, l.step) for l in pack.parts if l.axis in present]
    for d in present:
        steps = [s for n, s in parts if n == d]
        if not steps or steps[-1] != 1 or any(a % b for a, b in zip(steps, steps[1:], strict=False)):
            text = f"'{pack}' does not say where every {d} lies."
            hint = f"Name {d} once, or in blocks that divide each other and end with '{d}'."
            raise ConvError.of(text, pack.span, hint=hint)
        if len(steps) > 1 and pack.tensor != domain.w:
            raise ConvError.of(f"'{pack}' cuts {d} into blocks; only a weight is packed in blocks.", pack.span)
    if unknown := [l for l in pack.parts if l.axis not in dims]:
        what = "weight" if pack.tensor == domain.w else "input"
        raise ConvError.of(f"The {what} has no axis '{unknown[0].axis}'.", unknown[0].span or pack.span)
    dtype = pack.as_type or old.dtype
    return Buffer(f"{pack.tensor}.packed", dims, dtype, "memory", Layout(tuple(parts), sizes), packed=True)


def pack_nest(domain: Domain, spec: ConvSpec, pack: Pack, lanes: int, gpu: bool = False) -> Nest:
    """The operand into its packed order, whole blocks filled with zeros: the pack line read as loops.

    On a GPU every element is moved by a thread of its own.
    """
    made, old = packed_buffer(domain, pack), domain.buffer(pack.tensor)
    if pack.tensor == domain.x:
        flat = same_order(made, old)
        made, old, pack = (flattened(made), flattened(old), replace(pack, parts=(Level("c"),))) if flat else (made, old, pack)
    assert made.layout
    sizes = {d: dimension_size(made, d) for d, _ in made.layout.parts}
    named = [l for l in pack.parts if l.axis in sizes]
    levels = by_threads(named, sizes) if gpu else by_vectors(named, made, lanes, pack.tensor == domain.x)
    prefix = "pack." if any(l.kind == "thread" for l in levels) and gpu else "pack~"  # its own threads, not the work's
    parts = split(tuple(levels), sizes, gpu, prefix)
    at = {d: parts.meaning.get(d, number(0)) for d in made.dims}
    channel: Affine = number(0)
    index = tuple(at[d] for d in made.dims)
    if pack.tensor == domain.w:
        channel = at["g"] * domain.size("oc").const + at["oc"]
        index = (channel, *(at[d] for d in made.dims[2:]))
    logical = dict(made.layout.sizes)
    guards = [Guard(at[d], number(n)) for d, n in logical.items() if isinstance(n, int) and number(n) != sizes.get(d, number(1))]
    value: Expr = converted(spec, spec.tensor(pack.tensor), Load(old.name, index), pack.as_type, channel)
    value = map_loads(value, lambda l: replace(l, inside=tuple(guards)))
    when = tuple(g for _, g in parts.guards)
    body = (Store(Load(made.name, tuple(at[d] for d in made.dims)), value, when),)
    workers = tuple(WorkerAxis(p.axis, sizes[p.axis], p.step) for p in parts.plans() if p.kind == "worker")
    vectors = tuple(b for b in domain.buffers if b.name in read_by(spec) and pack.tensor == domain.w)
    name = f"{domain.name}.pack" if pack.tensor == domain.w else f"{domain.name}.pack_{pack.tensor}"
    open_ = domain.sizes if pack.tensor == domain.x else ()
    return Nest(name, (old, *vectors, made), nest_loops(body, parts.plans()), open_, workers)


def read_by(spec: ConvSpec) -> frozenset[float | str]:
    """The vectors that the weight is packed by: its zero points, and the scales of `compute`."""
    scales = spec.compute.scales if spec.compute else None
    return frozenset({spec.weight.zero or 0, *(scales if isinstance(scales, tuple) else ())})


def same_order(made: Buffer, old: Buffer) -> bool:
    """Whether the elements lie in the same order, side by side, and are of a known number."""
    assert made.layout and old.layout
    sizes = dict(old.layout.sizes)

    def order(layout: Layout) -> list[str]:
        return [d for d, _ in layout.parts if sizes[d] != 1]

    return order(made.layout) == order(old.layout) and all(isinstance(n, int) for n in sizes.values())


def flattened(buffer: Buffer) -> Buffer:
    """The same memory with one dimension."""
    assert buffer.layout
    return replace(buffer, dims=("c",), layout=Layout((("c", 1),), (("c", buffer.layout.elements()),)), packed=False)


THREADS = 256
"""Threads of a block that move elements along one axis."""


def by_threads(levels: list[Level], sizes: Mapping[str, Affine]) -> list[Level]:
    """Each element by a thread of its own; an open size is shared by blocks, and threads share one that is known."""
    if not any(size.terms for size in sizes.values()):
        return [replace(l, kind="global") for l in levels]
    known = [l for l in levels if not sizes[l.axis].terms]
    shared = max(known, key=lambda l: (sizes[l.axis].const, l.axis)).axis if known else ""
    found: list[Level] = []
    for axis in dict.fromkeys(l.axis for l in levels):
        many = axis == shared and sizes[axis].const > THREADS
        found += [Level(axis, THREADS, "block")] if many else []
        found.append(Level(axis, 1, "thread" if axis == shared else "block"))
    return sorted(found, key=lambda l: l.kind != "block")  # blocks stand outside


CHUNK = 4096
"""Elements that a worker converts at a time."""


def by_vectors(levels: list[Level], made: Buffer, lanes: int, shared: bool) -> list[Level]:
    """The fastest part by vectors: the weight's where it is a whole number of them, the input's in any case, and its
    slower ones shared by workers."""
    assert made.layout
    levels = [replace(l, kind="serial") for l in levels]
    if not levels:
        return levels
    fastest = made.layout.counts()[-1]
    *outer, last = levels
    if not shared:
        if lanes == 1 or not isinstance(fastest, int) or fastest % lanes:
            return levels
        return [*outer, replace(last, step=lanes), replace(last, kind="simd")]
    several = isinstance(fastest, int) and fastest >= lanes > 1
    inner = [replace(last, step=lanes), replace(last, kind="simd")] if several else [last]
    if not outer and isinstance(fastest, int) and fastest > CHUNK:
        return [Level(last.axis, CHUNK, "thread"), *inner]
    seen: set[str] = set()
    found: list[Level] = []
    for l in outer:
        found.append(replace(l, kind="thread") if l.axis not in seen and len(seen) < 2 and l.axis != last.axis else l)
        seen.add(l.axis)
    return [*found, *inner]


def check_blocks(parts: Split, buffer: Buffer, pack: Pack) -> None:
    """Every loop must stay inside a block or step by whole ones: nothing else has an offset that is affine."""
    assert buffer.layout
    for dim, block in buffer.layout.parts:
        for p in parts.of(dim):
            if block > 1 and p.step % block and not p.extent.terms and p.extent.const > block:
                text = f"'{p.token}' walks across the blocks of {block} that '{pack}' makes."
                raise ConvError.of(text, p.token.span or pack.span, hint=f"Step through it first: '{dim}/{block} … {dim}'.")
