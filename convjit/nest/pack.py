"""`pack w: oc/32 kh kw c oc`: the weight in the order in which the loops read it, whole blocks."""

from __future__ import annotations

from dataclasses import replace

from convjit.errors import ConvError
from convjit.nest.affine import number, var
from convjit.nest.context import dimension_size, nest_loops
from convjit.nest.domain import Domain
from convjit.nest.ir import Buffer, Guard, Load, Nest, Store
from convjit.nest.layout import Layout
from convjit.nest.split import Split, split
from convjit.schedule.schedule import Level, Pack, Phase


def check_packs(base: Domain, phase: Phase) -> None:
    """Only the weight is packed, and once."""
    for pack in phase.packs:
        if pack.tensor != base.w:
            raise ConvError.of(f"'{pack.tensor}' cannot be packed, only the weight '{base.w}' can.", pack.span)
    if len(phase.packs) > 1:
        raise ConvError.of(f"'{base.w}' is packed twice.", phase.packs[1].span)


def pack_weights(domain: Domain, phase: Phase) -> tuple[bool, Domain]:
    """Where the line packs the weight, the update reads the packed buffer: group and channel in group apart."""
    pack = next((p for p in phase.packs if p.tensor == domain.w), None)
    if pack is None:
        return False, domain
    made = packed_buffer(domain, pack)
    b = domain.update.b
    assert isinstance(b, Load)
    channel = [var(a) if domain.size(a) != number(1) else number(0) for a in ("g", "oc")]
    update = replace(domain.update, b=Load(made.name, (*channel, *b.index[1:])))
    buffers = tuple(made if x.name == domain.w else x for x in domain.buffers)
    return True, replace(domain, buffers=buffers, update=update, w=made.name)


def packed_buffer(domain: Domain, pack: Pack) -> Buffer:
    """The packed weight: dims g, oc and those of the weight, in the order of the pack line, whole blocks."""
    old = domain.buffer(domain.w)
    dims = ("g", "oc", *old.dims[1:])
    sizes = tuple((d, domain.size(d).const) for d in dims)
    present = {d for d, n in sizes if n > 1}
    parts = [(l.axis, l.step) for l in pack.parts if l.axis in present]
    for d in present:
        steps = [s for n, s in parts if n == d]
        if not steps or steps[-1] != 1 or any(a % b for a, b in zip(steps, steps[1:], strict=False)):
            text = f"'{pack}' does not say where every {d} lies."
            hint = f"Name {d} once, or in blocks that divide each other and end with '{d}'."
            raise ConvError.of(text, pack.span, hint=hint)
    if unknown := [l for l in pack.parts if l.axis not in dims]:
        raise ConvError.of(f"The weight has no axis '{unknown[0].axis}'.", unknown[0].span or pack.span)
    return Buffer(f"{domain.w}.packed", dims, old.dtype, "memory", Layout(tuple(parts), sizes), packed=True)


def pack_nest(domain: Domain, pack: Pack, lanes: int, gpu: bool = False) -> Nest:
    """The weight into its packed order, whole blocks filled with zeros: the pack line read as loops.

    On a GPU every element is moved by a thread of its own.
    """
    made = packed_buffer(domain, pack)
    assert made.layout
    sizes = {d: dimension_size(made, d) for d, _ in made.layout.parts}
    levels = [replace(l, kind="global" if gpu else "serial") for l in pack.parts if l.axis in sizes]
    parts = split(tuple(levels if gpu else by_vectors(levels, made, lanes)), sizes, gpu, "pack~")
    at = {d: parts.meaning.get(d, number(0)) for d in made.dims}
    old = domain.buffer(domain.w)
    channel = at["g"] * domain.size("oc").const + at["oc"]
    source = (channel, *(at[d] for d in made.dims[2:]))
    guards = [Guard(at[d], domain.size(d)) for d in made.dims if domain.size(d) != sizes.get(d, number(1))]
    body = (Store(Load(made.name, tuple(at[d] for d in made.dims)), Load(old.name, source, tuple(guards))),)
    return Nest(f"{domain.name}.pack", (old, made), nest_loops(body, parts.plans()))


def by_vectors(levels: list[Level], made: Buffer, lanes: int) -> list[Level]:
    """The fastest part by vectors, where it is a whole number of them."""
    assert made.layout
    fastest = made.layout.counts()[-1] if levels else 1
    if lanes == 1 or not isinstance(fastest, int) or fastest % lanes:
        return levels
    *outer, last = levels
    return [*outer, replace(last, step=lanes), replace(last, kind="simd")]


def check_blocks(parts: Split, buffer: Buffer, pack: Pack) -> None:
    """Every loop must stay inside a block or step by whole ones: nothing else has an offset that is affine."""
    assert buffer.layout
    for dim, block in buffer.layout.parts:
        for p in parts.of(dim):
            if block > 1 and p.step % block and not p.extent.terms and p.last >= block:
                text = f"'{p.token}' walks across the blocks of {block} that '{pack}' makes."
                raise ConvError.of(text, p.token.span or pack.span, hint=f"Step through it first: '{dim}/{block} … {dim}'.")
