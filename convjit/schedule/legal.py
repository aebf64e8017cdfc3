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
from convjit.schedule.legal_dots import copied, dots
from convjit.schedule.legal_lists import lists, moved
from convjit.schedule.legal_packs import pack_line, packs
from convjit.schedule.legal_stages import output, positions, staging
from convjit.schedule.line import LIST, axes, lane_count, listed, loops, stages, sums, tile
from convjit.schedule.operands import sum_type
from convjit.schedule.parts import NOTHING, PARTS, Proof, gives_back, known, products
from convjit.schedule.schedule import Level, Phase, Schedule
from convjit.spec.conv import ConvSpec

KINDS = {
    "cpu": ("serial", "unroll", "thread", "simd", "dot", LIST),
    "cuda": ("serial", "unroll", "block", "global", "warp", "lane", "thread", "dot"),
}
COPY_KINDS = {"cpu": ("serial", "unroll", "simd"), "cuda": ("serial", "unroll", "thread", "vec", "dot")}
LATER = {"m": "matrix roles", "n": "matrix roles", "k": "matrix roles", "group": "warp groups"}
WRITTEN_OUT = 6000
"""How many multiply-adds a body may hold once its loops are written out."""
LAUNCH = {"threads": "cuda", "min_blocks": "cuda"}
LAUNCH_LATER = ("persistent", "turns", "cluster")

Found = Iterator[Diagnostic]


def check(spec: ConvSpec, schedule: Schedule, machine: Machine, proof: Proof = NOTHING) -> None:
    """Raises ConvError with everything that is wrong, or Unavailable where the only fault is that it comes later.
    `proof`: what is known of the numbers that are multiplied, beyond what types and ranges say."""
    if len(schedule.phases) != 1 or schedule.phases[0].name:
        text = "A direct convolution has one phase, without a name."
        raise ConvError.of(text, dict(spec.places).get("dataflow"), hint="Write one block: 'dataflow { … }'.")
    phase = schedule.phases[0]
    found = list(packs(spec, phase, machine))
    plain, sure = known(spec, phase.packs, proof, sum_type(spec, phase))
    exact = machine.exact(sure.pairs)
    found += dict.fromkeys(d for rule in RULES for d in rule(plain, phase, exact))
    found += [*in_parts(spec, plain, phase, sure), *moved(spec, phase)]
    wrong = [d for d in found if d.code != "later"]
    if wrong:
        raise ConvError(*wrong)
    if found:
        raise Unavailable(*found)


def in_parts(spec: ConvSpec, plain: ConvSpec, phase: Phase, proof: Proof) -> Found:
    """Parts of sums: of i32 or f64, and proved to fit."""
    own = [s for s in stages(phase) if s.tensor == spec.output.name]
    part = next((s for s in own if s.as_type), None)
    whole = next((s for s in own if s.level == "scratch"), None)
    registers = next((s for s in own if s.level == "registers"), None)
    inside = part if spec.accumulator == "i64" and not listed(phase) else registers
    if whole and (inside is None or own.index(inside) < own.index(whole)):
        text = f"'{whole}': sums in memory are added up from parts in registers, to their right."
        hint = "registers as i32" if spec.accumulator == "i64" else "registers"
        yield Diagnostic(text, whole.span, hints=(f"Put '[{spec.output.name}: {hint}]' inside.",))
    if part is None:
        return
    if spec.accumulator != "i64" or part.as_type not in PARTS:
        text = f"'{part}': sums of {spec.accumulator} have no parts of {part.as_type}."
        yield Diagnostic(text, part.span, notes=(f"Sums of i64 are added up from parts of {' or '.join(PARTS)}.",))
        return
    if whole is None and gives_back(spec, phase.packs):
        text = f"'{part}': what the zero point takes off taps outside the image is given back to whole sums."
        yield Diagnostic(text, part.span, hints=(f"Put '[{spec.output.name}: scratch]' outside.",))
    taps, channels = products(plain, phase, part)
    room = proof.room(part.as_type)
    if room.fits(channels, plain.ic_per_group) if taps == 1 else taps <= room.taps:
        return
    text = f"'{part}': the {taps * channels} products of a part are not proved to fit into {part.as_type}."
    note = f"Of one tap's channels {max(room.channels, room.chunk)} do, of whole taps {room.taps}."
    hint = "Declare the ranges ('x : i16 in -1000..1000 […]'), or make the parts smaller."
    yield Diagnostic(text, part.span, notes=(note,), hints=(hint,))


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
    known = sorted({r.role("n") for r in machine.rows_for(spec.types)})
    if count > 1 and count not in known and not any(d.axis in sums(spec) for d in own):
        names_ = " ".join(str(l) for l in own)
        text = f"'{names_}' make {count} lanes of {dtype}, and {machine.name} has no instruction of that width."
        widths = f"It multiplies and adds {', '.join(map(str, known))} at a time."
        hint = f"Walk {own[-1].axis} in steps of {machine.lanes(bits(dtype))} first."
        yield Diagnostic(text, own[-1].span, notes=(widths,), hints=(hint,))


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


Rule = Callable[[ConvSpec, Phase, Machine], Found]
RULES: tuple[Rule, ...] = (
    names, kinds, steps, threads, lanes, dots, copied, staging, output, positions, written_out, lines, lists,
)  # fmt: skip
