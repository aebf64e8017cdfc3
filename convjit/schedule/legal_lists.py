"""What a line may say of a list: which loops it walks, what stands beside it, and what is packed for it."""

from __future__ import annotations

from collections.abc import Iterator

from convjit.errors import Diagnostic
from convjit.machine.machine import Machine
from convjit.schedule.line import LIST, listed, loops, stages, sums
from convjit.schedule.operands import pack_of, zero_left
from convjit.schedule.schedule import Level, Pack, Phase
from convjit.spec.conv import ConvSpec

Found = Iterator[Diagnostic]


def lists(spec: ConvSpec, phase: Phase, machine: Machine) -> Found:
    """Loops of kind `list`, and the lines that they need."""
    if not listed(phase):
        for pack in phase.packs:
            if by_list(pack):
                text = f"'{pack}': the line has no loops that a list walks."
                yield Diagnostic(text, pack.span, hints=(f"Write 'c:{LIST} kh:{LIST} kw:{LIST}' in the line.",))
        return
    if machine.kind != "cpu":
        return  # there is no such kind of loop
    yield from walked(spec, phase)
    yield from beside(spec, phase)
    yield from packed(spec, phase)


def moved(spec: ConvSpec, phase: Phase) -> Found:
    """An input moved by 128 and a weight that `compute` quantises: the sums that this is taken off by are of stored weights."""
    x = pack_of(phase.packs, spec.input.name)
    if listed(phase) and x and spec.computes_integers and zero_left(spec, phase.packs):
        text = f"'{x}': what 'compute' makes of the input is not moved by 128 for a list."
        yield Diagnostic(text, x.span, hints=(f"Pack both operands as {spec.compute.dtype if spec.compute else 'i8'}, or as i16.",))


def by_list(pack: Pack) -> bool:
    """Whether the line says `pack w: list`."""
    return [l.axis for l in pack.parts] == [LIST]


def walked(spec: ConvSpec, phase: Phase) -> Found:
    """One run of loops over the sum, in tiles that are all as long."""
    own = [l for l in loops(phase) if l.kind == LIST]
    summed = [l for l in own if l.axis in sums(spec)] or own
    first = next(i for i, l in enumerate(phase.items) if l is summed[0])
    apart = [l for l in summed if l not in phase.items[first : first + len(summed)]]
    for l in own:
        if l.axis not in sums(spec):
            text = f"'{l}': a list walks what is summed, and {l.axis} is not."
            yield Diagnostic(text, l.span, hints=(f"A list walks {', '.join(sorted(sums(spec)))}.",))
    for l in apart:
        yield Diagnostic(f"'{l}': the loops that a list walks stand side by side.", l.span, hints=(f"Put it beside '{summed[0]}'.",))
    if all(size(spec, l.axis) == 1 for l in own):
        yield Diagnostic(f"'{own[0]}': there is one weight to walk, and no list.", own[0].span, hints=("Walk it by a loop.",))
    for l in own:
        yield from whole(spec, phase, l)


def size(spec: ConvSpec, axis: str) -> int:
    """Of an axis that is summed."""
    return dict(zip([f"k{a.lower()}" for a in spec.spatial], spec.kernel_size, strict=True)).get(axis, spec.ic_per_group)


def whole(spec: ConvSpec, phase: Phase, level: Level) -> Found:
    """Tiles of an axis outside a list divide it: every row is as long."""
    length = size(spec, level.axis)
    for l in loops(phase)[: loops(phase).index(level)]:
        if l.axis != level.axis:
            continue
        if length % l.step:
            text = f"'{l}': tiles that a list walks divide their axis, and {length} is no multiple of {l.step}."
            yield Diagnostic(text, l.span, hints=(f"Choose a divisor of {length}.",))
        length = l.step


def beside(spec: ConvSpec, phase: Phase) -> Found:
    """What else the line has."""
    own = [l for l in loops(phase) if l.kind == LIST]
    after = phase.items[phase.items.index(own[-1]) :]
    for s in stages(phase):
        if s.tensor != spec.output.name:
            text = f"'{s}': with a list nothing but the output is staged."
            yield Diagnostic(text, s.span, hints=("The input is packed with its borders already.",))
        elif s in after:
            text = f"'{s}': sums stay in registers while a list is walked."
            yield Diagnostic(text, s.span, hints=(f"Put it to the left of '{own[0]}'.",))
    for l in loops(phase):
        if l.tap:
            yield Diagnostic(f"'{l}': a list says where taps lie, so no tile is walked by position.", l.span)
        if l.kind == "simd" and l.axis in ("n", "g"):
            text = f"'{l}': with a list positions or output channels lie in lanes."
            yield Diagnostic(text, l.span, hints=("Put ow or oc in lanes.",))
        if l.axis in sums(spec) and l.kind not in (LIST, "dot", "unroll") and l in after:
            text = f"'{l}': what a list's block holds of the sum is written out."
            yield Diagnostic(text, l.span, hints=(f"Write '{l.axis}:unroll'.",))
    for f in phase.fuses:
        yield Diagnostic(f"'{f}': with a list no axes are fused.", f.span)
    for p in phase.prefetches:
        yield Diagnostic(f"'{p}': with a list nothing is asked for ahead.", p.span)


def packed(spec: ConvSpec, phase: Phase) -> Found:
    """The list, and the input with its borders."""
    x, w = (pack_of(phase.packs, t.name) for t in (spec.input, spec.weight))
    place = next(l for l in loops(phase) if l.kind == LIST)
    if w is None or not by_list(w):
        name = spec.weight.name
        text = f"'{w}': the order of '{name}' is that of its list." if w else f"'{place}' needs a list of '{name}'."
        yield Diagnostic(text, (w.span if w else None) or place.span, hints=(f"Write 'pack {name}: {LIST}'.",))
    if x is None:
        order = " ".join(a.lower() for a in ("N", "C", *spec.spatial))
        text = f"'{place}' reads the input by one offset for each weight, so it must be packed, with its borders."
        yield Diagnostic(text, place.span, hints=(f"Write 'pack {spec.input.name}: {order}'.",))
        return
    if open_ := next((a for a, n in zip(spec.spatial, spec.in_size, strict=True) if n is None), ""):
        text = f"'{place}': {open_} is open, and borders are copied to places that must be known."
        yield Diagnostic(text, place.span, hints=("Walk the taps by loops.",))
    if spec.batch != 1 and x.parts and x.parts[0].axis != "n":
        yield Diagnostic(f"'{x}': images lie one behind the other for a list.", x.span, hints=("Put n first.",))
    yield from blocks(spec, phase, x)


def blocks(spec: ConvSpec, phase: Phase, pack: Pack) -> Found:
    """Every axis once; channels in the blocks that the list steps over, and positions sorted by what stride leaves of them."""
    walked = {l.axis: l.step for l in loops(phase) if l.kind == LIST}
    known = ["n", "c", *(a.lower() for a in spec.spatial)]
    for l in pack.parts:
        if l.axis not in known:
            yield Diagnostic(f"The input has no axis '{l.axis}'.", l.span or pack.span, notes=(f"It has {', '.join(known)}.",))
    for axis in known:
        steps = [l.step for l in pack.parts if l.axis == axis]
        deep = walked.get("c", 1) if axis == "c" else stride(spec, axis)
        if steps == [1] or (not steps and axis_size(spec, axis) == 1):
            continue
        if axis == "c" and steps == [deep, 1]:
            continue
        if axis in strides(spec) and steps == [1, deep] and all(l.kind == LIST for l in loops(phase) if l.axis == f"k{axis}"):
            continue
        hint = f"Name {axis} once" + (f", or 'c/{deep} … c'" if axis == "c" and deep > 1 else "")
        hint += f", or '{axis} … {axis}/{deep}' with {axis}'s taps in the list" if axis in strides(spec) and deep > 1 else ""
        yield Diagnostic(f"'{pack}' does not say where every {axis} lies for a list.", pack.span, hints=(f"{hint}.",))
    rest = spec.ic_per_group % walked.get("c", 1)
    if rest and spec.groups > 1:
        text = f"'c/{walked['c']}:{LIST}': the {spec.ic_per_group} channels of a group are no whole blocks, and the next group follows."
        place = next(l for l in loops(phase) if l.kind == LIST and l.axis == "c")
        yield Diagnostic(text, place.span, hints=("Walk single channels.",))


def strides(spec: ConvSpec) -> dict[str, int]:
    """The strides along space."""
    return {a.lower(): s for a, s in zip(spec.spatial, spec.stride, strict=True)}


def stride(spec: ConvSpec, axis: str) -> int:
    """Along an axis of space; 1 along others."""
    return strides(spec).get(axis, 1)


def axis_size(spec: ConvSpec, axis: str) -> int | None:
    """Of the input."""
    return spec.input.size(axis.upper())
