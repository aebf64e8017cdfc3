"""What a schedule may say: every line that a user writes is checked before anything is built from it.

A refusal names the token, says why, and names what would do. All that is wrong is reported at once. What can only be
seen on the finished nest (shared memory, threads of a block) is checked by `nest.limits`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod

from convjit.dtypes import bits
from convjit.errors import ConvError, Diagnostic, Unavailable, did_you_mean
from convjit.machine.machine import Machine
from convjit.schedule.operands import kinds as known_types
from convjit.schedule.operands import multiplied, pack_of
from convjit.schedule.schedule import Level, Pack, Phase, Schedule, Stage
from convjit.spec.conv import ConvSpec
from convjit.spec.tensor import Tensor

KINDS = {
    "cpu": ("serial", "unroll", "thread", "simd", "dot"),
    "cuda": ("serial", "unroll", "block", "global", "warp", "lane", "thread"),
}
COPY_KINDS = {"cpu": ("serial", "unroll", "simd"), "cuda": ("serial", "unroll", "thread", "vec")}
LATER = {"dot": "dot products", "m": "matrix roles", "n": "matrix roles", "k": "matrix roles", "group": "warp groups"}
WRITTEN_OUT = 6000
"""How many multiply-adds a body may hold once its loops are written out."""
LAUNCH = {"threads": "cuda", "min_blocks": "cuda"}
LAUNCH_LATER = ("persistent", "turns", "cluster")

Found = Iterator[Diagnostic]


def check(spec: ConvSpec, schedule: Schedule, machine: Machine) -> None:
    """Raises ConvError with everything that is wrong, or Unavailable where the only fault is that it comes later."""
    if len(schedule.phases) != 1 or schedule.phases[0].name:
        text = "A direct convolution has one phase, without a name."
        raise ConvError.of(text, dict(spec.places).get("dataflow"), hint="Write one block: 'dataflow { … }'.")
    phase = schedule.phases[0]
    found = list(packs(spec, phase, machine))
    plain = multiplied(spec, phase.packs)
    found += dict.fromkeys(d for rule in RULES for d in rule(plain, phase, machine))
    wrong = [d for d in found if d.code != "later"]
    if wrong:
        raise ConvError(*wrong)
    if found:
        raise Unavailable(*found)


def packs(spec: ConvSpec, phase: Phase, machine: Machine) -> Found:
    """What operands are packed as: types that hold their numbers, and that the machine multiplies."""
    wrong = [d for tensor in (spec.input, spec.weight) for d in packed_as(spec, tensor, phase)]
    yield from wrong
    types = multiplied(spec, phase.packs).types
    if not wrong and not any(r.types == types for r in machine.rows):
        x, w, total = types
        text = f"{machine.name} has no instruction that multiplies {x} and {w} into {total}."
        yield Diagnostic(text, spec.place("dataflow"), hints=("Pack both operands as one type.",))


def packed_as(spec: ConvSpec, tensor: Tensor, phase: Phase) -> Found:
    """Whether one operand's type in memory holds what is multiplied."""
    known, pack = known_types(spec, tensor), pack_of(phase.packs, tensor.name)
    given = pack.as_type if pack else ""
    if given in known or (given == tensor.dtype and "" in known):
        return
    span = (pack.span if pack else None) or spec.place("dataflow")
    listed = ", ".join(k for k in known if k)
    if given:
        note = f"It may be {listed}." if listed else "Its type stays as it is."
        yield Diagnostic(f"'{pack}': {tensor.name} cannot be packed as {given}.", span, notes=(note,))
        return
    why = "its zero points are taken off there" if spec.compute is None else "its numbers are rounded there"
    hint = f"Write 'pack {tensor.name}: … as {known[0]}'."
    yield Diagnostic(f"The block must pack the {tensor.role} '{tensor.name}': {why}.", span, hints=(hint,))


def axes(spec: ConvSpec) -> dict[str, int | None]:
    """The loops of a convolution and their sizes (None: open)."""
    letters = [a.lower() for a in spec.spatial]
    sizes: dict[str, int | None] = {"n": spec.batch, "g": spec.groups, "oc": spec.oc_per_group, "c": spec.ic_per_group}
    sizes |= {f"o{l}": s for l, s in zip(letters, spec.out_size, strict=True)}
    return sizes | {f"k{l}": s for l, s in zip(letters, spec.kernel_size, strict=True)}


def sums(spec: ConvSpec) -> set[str]:
    """The axes that are added up."""
    return {"c", *(f"k{a.lower()}" for a in spec.spatial)}


def loops(phase: Phase) -> list[Level]:
    """The line's loops."""
    return [i for i in phase.items if isinstance(i, Level)]


def stages(phase: Phase) -> list[Stage]:
    """The line's stages."""
    return [i for i in phase.items if isinstance(i, Stage)]


def kinds(spec: ConvSpec, phase: Phase, machine: Machine) -> Found:
    """Every loop's kind must exist on this kind of machine."""
    yield from kinds_of(loops(phase), KINDS[machine.kind], machine)
    for stage in stages(phase):
        yield from kinds_of(list(stage.copy), COPY_KINDS[machine.kind], machine)


def kinds_of(levels: list[Level], known: tuple[str, ...], machine: Machine) -> Found:
    """One line's."""
    for l in levels:
        if l.kind in known:
            continue
        note = f"On {machine.name} a loop of this line is {', '.join(known)}."
        if l.kind in LATER:
            text = f"'{l}': {LATER[l.kind]} are not implemented yet."
            yield Diagnostic(text, l.span, notes=(note,), code="later")
        elif any(l.kind in every for every in (*KINDS.values(), *COPY_KINDS.values())):
            yield Diagnostic(f"'{l}': there is no kind '{l.kind}' on {machine.name}.", l.span, notes=(note,))
        else:
            hint = did_you_mean(l.kind, known)
            yield Diagnostic(f"'{l}': there is no kind '{l.kind}'.", l.span, notes=(note,), hints=hint)


def names(spec: ConvSpec, phase: Phase, machine: Machine) -> Found:
    """Axes of the line: those of the convolution, and the fused one."""
    known = {*axes(spec), *(f.name for f in phase.fuses)}
    fused = {a for f in phase.fuses for a in f.axes}
    for l in loops(phase):
        if l.axis not in known:
            listed = f"The axes are {', '.join(a for a in sorted(known))}."
            yield Diagnostic(f"There is no axis '{l.axis}' here.", l.span, notes=(listed,), hints=did_you_mean(l.axis, known))
        elif l.axis in fused:
            yield Diagnostic(f"'{l}': {l.axis} is part of a fused axis and has no loop of its own.", l.span)
        if l.step < 1:
            yield Diagnostic(f"'{l}': a step is at least 1.", l.span)
    for f in phase.fuses:
        if f.name in axes(spec):
            text = f"'{f}': {f.name} is an axis of the convolution; a fused axis needs a name of its own."
            yield Diagnostic(text, f.span, hints=("Call it 'p'.",))


def steps(spec: ConvSpec, phase: Phase, machine: Machine) -> Found:
    """Every axis is walked down: no loop steps further than the one around it."""
    sizes = axes(spec)
    for axis in dict.fromkeys(l.axis for l in loops(phase)):
        own = [l for l in loops(phase) if l.axis == axis]
        for outer, inner in zip(own, own[1:], strict=False):
            if inner.step > outer.step and sizes.get(axis, 2) != 1:
                text = f"'{inner}' steps further than '{outer}' around it goes."
                yield Diagnostic(text, inner.span, hints=(f"Step by {outer.step} or less.",))
        for l in own[:-1]:
            if l.kind == "simd":
                text = f"'{l}': lanes are the innermost loop of their axis."
                yield Diagnostic(text, l.span, hints=(f"Write '{axis}/{machine.lanes(32)}' and '{axis}:simd'.",))


def threads(spec: ConvSpec, phase: Phase, machine: Machine) -> Found:
    """Whoever shares work must not share a sum."""
    parallel = {"thread", "block", "global", "warp", "lane"}
    for l in loops(phase):
        if l.kind in parallel and l.axis in sums(spec):
            text = f"'{l}': {l.axis} is summed, and its parts would be added to one output at the same time."
            yield Diagnostic(text, l.span, hints=("Share an axis of the output: n, g, oc, oh, ow …",))
    used = {l.kind for l in loops(phase)}
    if "global" in used and used & {"block", "warp", "lane", "thread"}:
        wrong = next(l for l in loops(phase) if l.kind in ("block", "warp", "lane", "thread"))
        text = f"'{wrong}': a line with global threads has no other blocks or threads."
        yield Diagnostic(text, wrong.span)


def lanes(spec: ConvSpec, phase: Phase, machine: Machine) -> Found:
    """Lanes must be as many as an instruction has, and hold outputs."""
    own = [l for l in loops(phase) if l.kind == "simd"]
    for l in own:
        if l.axis in sums(spec):
            text = f"'{l}': {l.axis} is summed; lanes hold outputs beside each other."
            yield Diagnostic(text, l.span, hints=("Put an axis of the output in lanes: oc, g or ow.",))
        elif tile(spec, phase, l) is None:
            text = f"'{l}': its size is known only at the call, and lanes are a number."
            hint = f"Step through it first: '{l.axis}/{machine.lanes(bits(spec.accumulator))} … {l.axis}:simd'."
            yield Diagnostic(text, l.span, hints=(hint,))
    if not own or machine.kind != "cpu":
        return
    count, dtype = lane_count(spec, phase), spec.accumulator
    known = sorted({r.role("n") for r in machine.rows if r.types == spec.types})
    if count > 1 and count not in known and not any(d.axis in sums(spec) for d in own):
        names_ = " ".join(str(l) for l in own)
        text = f"'{names_}' make {count} lanes of {dtype}, and {machine.name} has no instruction of that width."
        listed = f"It multiplies and adds {', '.join(map(str, known))} at a time."
        hint = f"Walk {own[-1].axis} in steps of {machine.lanes(bits(dtype))} first."
        yield Diagnostic(text, own[-1].span, notes=(listed,), hints=(hint,))


def lane_count(spec: ConvSpec, phase: Phase) -> int:
    """Lanes of the line's vectors; an open size counts as 1."""
    return prod(tile(spec, phase, l) or 1 for l in loops(phase) if l.kind == "simd")


def dots(spec: ConvSpec, phase: Phase, machine: Machine) -> Found:
    """Products that one instruction sums up: as many as it does, of numbers that are neighbours."""
    own = [l for l in loops(phase) if l.kind == "dot"]
    if not own or machine.kind != "cpu":
        return
    last, name = own[-1], spec.weight.name
    if len(own) > 1 or loops(phase)[-1] is not last or last.axis != "c":
        text = f"'{last}': a dot product is one loop, the innermost, over c."
        yield Diagnostic(text, last.span, hints=("Write 'c/2' and, at the end of the line, 'c:dot'.",))
        return
    count, summed = lane_count(spec, phase), tile(spec, phase, last)
    rows = (r for r in machine.rows if r.types == spec.types and r.role("n") == count)
    known = sorted({r.role("k") for r in rows} - {1})
    if summed not in known:
        x, w, total = spec.types
        text = f"'{last}': {machine.name} has no instruction that sums {summed} products of {x} and {w} in {count} lanes of {total}."
        listed = f"It sums {', '.join(map(str, known))} of them." if known else "It sums none of them."
        yield Diagnostic(text, last.span, notes=(listed,))
    order = next(([l.axis for l in p.parts] for p in phase.packs if p.tensor == name), None)
    inside = {spec.input.name: spec.input.axes[-1] == "C", name: (order or [spec.weight.axes[-1]])[-1] in ("c", "IC")}
    for tensor in (t for t, near in inside.items() if not near):
        text = f"'{last}': the numbers of a dot product are neighbours in memory, and the channels of {tensor} are not."
        yield Diagnostic(text, last.span, hints=(f"Pack it: 'pack {name}: … c/2 oc c'.",) if tensor == name else ())
    rest = spec.ic_per_group % (summed or 1)
    if rest and (order is None or any(l.kind == "simd" and l.axis != "oc" for l in loops(phase))):
        text = f"'{last}': {spec.ic_per_group} channels leave a rest, which needs a packed weight and output channels in lanes."
        yield Diagnostic(text, last.span, code="later")
    if any(s.tensor == spec.input.name for s in stages(phase)):
        yield Diagnostic(f"'{last}': a dot product of a staged input is not implemented yet.", last.span, code="later")


def tile(spec: ConvSpec, phase: Phase, level: Level) -> int | None:
    """How far an innermost loop goes: the step of the loop around it, or the axis; None where that is open."""
    own = [l for l in loops(phase) if l.axis == level.axis]
    place = own.index(level)
    if place:
        return own[place - 1].step
    if level.axis in axes(spec):
        return axes(spec)[level.axis]
    fused = [axes(spec).get(a, 1) for f in phase.fuses for a in f.axes]
    return None if None in fused else prod(s or 1 for s in fused)


def staging(spec: ConvSpec, phase: Phase, machine: Machine) -> Found:
    """Each tensor at each level once; levels and copies that exist."""
    seen: set[tuple[str, str]] = set()
    for s in stages(phase):
        if (s.tensor, s.level) in seen:
            yield Diagnostic(f"'{s}': {s.tensor} is staged there twice.", s.span)
        seen.add((s.tensor, s.level))
        if s.level != "registers" and (s.tensor, "registers") in seen:
            text = f"'{s}': {s.tensor} is in registers already, to the left; from there it is not copied to memory."
            yield Diagnostic(text, s.span, hints=(f"Put it to the left of '[{s.tensor}]'.",))
        later = {"as": s.as_type, "swizzle": s.swizzle, "by": s.by if s.by not in ("loads", "cp.async") else ""}
        for word in (w for w, value in later.items() if value):
            yield Diagnostic(f"'{s}': the detail '{word}' is not implemented yet.", s.span, code="later")
        if s.level in ("L1", "L2"):
            yield Diagnostic(f"'{s}': copies to {s.level} are not implemented yet.", s.span, code="later")
        if s.level == "registers" and (s.copy or s.ring > 1 or s.pad or s.by != "loads"):
            text = f"'{s}': registers have no address: no ring, no padding, no copy line, no other way to be filled."
            yield Diagnostic(text, s.span, hints=(f"Write '[{s.tensor}]'.",))
        if machine.kind == "cpu" and (s.ring > 1 or s.by == "cp.async"):
            yield Diagnostic(f"'{s}': rings and asynchronous copies belong to a GPU.", s.span)
        if s.by == "cp.async" and machine.kind == "cuda" and machine.sm < 80:
            hint = f"Leave 'by cp.async' out: {machine.name} copies through registers, in a ring of 2."
            yield Diagnostic(f"'{s}': cp.async needs sm_80 or newer.", s.span, hints=(hint,))
        small = next((bits(t.dtype) // 8 for t in (spec.input, spec.weight) if t.name == s.tensor), 4) < 4
        if s.by == "cp.async" and machine.kind == "cuda" and small:
            hint = "Leave 'by cp.async' out: small elements are copied through registers, in a ring of 2."
            yield Diagnostic(f"'{s}': cp.async copies 4, 8 or 16 bytes, an element of {s.tensor} is smaller.", s.span, hints=(hint,))
        if s.level != "registers" and s.tensor == spec.output.name:
            yield Diagnostic(f"'{s}': the output is staged in registers only, so far.", s.span, code="later")


def output(spec: ConvSpec, phase: Phase, machine: Machine) -> Found:
    """The sum needs registers."""
    name = spec.output.name
    if not any(s.tensor == name for s in stages(phase)):
        text = f"The output '{name}' is not staged: its sums need registers."
        hint = f"Put '[{name}]' before the loops whose part of it is kept."
        yield Diagnostic(text, phase.items[0].span, hints=(hint,))


def positions(spec: ConvSpec, phase: Phase, machine: Machine) -> Found:
    """{oh+kh}: a tile that is walked by input position."""
    geometry = dict(zip((a.lower() for a in spec.spatial), zip(spec.stride, spec.dilation, strict=True), strict=True))
    for place, item in enumerate(phase.items):
        if not isinstance(item, Level) or not item.tap:
            continue
        letter = item.axis[1:]
        later = [i for i in phase.items[place + 1 :] if isinstance(i, Level) and i.axis == item.tap]
        if item.tap != f"k{letter}" or item.axis != f"o{letter}":
            yield Diagnostic(f"'{item}': only {{oh+kh}}, {{ow+kw}} and {{od+kd}} are positions of the input.", item.span)
        elif geometry.get(letter, (1, 1)) != (1, 1):
            text = f"'{item}': a tile is walked by position only with stride 1 and dilation 1."
            yield Diagnostic(text, item.span, hints=(f"Walk it by '{item.axis}:unroll'.",))
        elif item.kind != "unroll" or not later or any(l.kind != "unroll" for l in later):
            text = f"'{item}': a tile walked by position is written out, and so are its taps, to its right."
            hint = f"Write '{{{item.axis}+{item.tap}}}:unroll … {item.tap}:unroll'."
            yield Diagnostic(text, item.span, hints=(hint,))


def written_out(spec: ConvSpec, phase: Phase, machine: Machine) -> Found:
    """The size of the code."""
    own = [l for l in loops(phase) if l.kind == "unroll"]
    open_ = next((l for l in own if tile(spec, phase, l) is None), None)
    if open_ is not None:
        text = f"'{open_}' is written out, but its size is known only at the call."
        yield Diagnostic(text, open_.span, hints=(f"Step through it first: '{open_.axis}/8 … {open_.axis}:unroll'.",))
        return
    count = prod(-(-(tile(spec, phase, l) or 1) // l.step) for l in own)
    if count > WRITTEN_OUT:
        text = f"The loops that are written out make {count} multiply-adds in a row; {WRITTEN_OUT} are allowed."
        worst = max(own, key=lambda l: -(-(tile(spec, phase, l) or 1) // l.step))
        yield Diagnostic(text, worst.span, hints=(f"Roll '{worst}', or step through {worst.axis} first.",))


def lines(spec: ConvSpec, phase: Phase, machine: Machine) -> Found:
    """The lines beside the loops."""
    for pack in phase.packs:
        yield from pack_line(pack)
    tensors = (spec.input.name, spec.weight.name)
    for p in phase.prefetches:
        if p.tensor not in tensors:
            yield Diagnostic(f"'{p}': only {' and '.join(tensors)} can be asked for ahead.", p.span)
        elif not any((l.axis, l.step, l.kind) == (p.loop.axis, p.loop.step, "serial") for l in loops(phase)):
            text = f"'{p}': the line has no rolled loop '{p.loop}'."
            yield Diagnostic(text, p.span, hints=("Name a serial loop of the line, with its step.",))
    for word, _ in phase.launch:
        if word in LAUNCH_LATER:
            span = dict(spec.places).get("dataflow")
            yield Diagnostic(f"'launch {word}' is not implemented yet.", span, code="later")
        elif LAUNCH.get(word) != machine.kind:
            known = [w for w, kind in LAUNCH.items() if kind == machine.kind]
            note = f"It may say {', '.join(known)}." if known else f"{machine.name} has no launch line."
            span = dict(spec.places).get("dataflow")
            yield Diagnostic(f"'launch {word}' says nothing on {machine.name}.", span, notes=(note,))


def pack_line(pack: Pack) -> Found:
    """A memory order has steps, no kinds."""
    for l in pack.parts:
        if l.kind != "serial" or l.tap:
            yield Diagnostic(f"'{l}': a pack line is an order in memory; its parts have no kind.", l.span or pack.span)


Rule = Callable[[ConvSpec, Phase, Machine], Found]
RULES: tuple[Rule, ...] = (
    names, kinds, steps, threads, lanes, dots, staging, output, positions, written_out, lines,
)  # fmt: skip
