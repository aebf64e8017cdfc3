"""Products that one instruction sums up: how many it does, of which numbers, and how these are copied."""

from __future__ import annotations

from collections.abc import Iterator

from convjit.dtypes import bits
from convjit.errors import Diagnostic
from convjit.machine.machine import Machine
from convjit.schedule.line import LIST, lane_count, listed, loops, stages, tile
from convjit.schedule.schedule import Level, Phase, Stage
from convjit.spec.conv import ConvSpec

Found = Iterator[Diagnostic]


def dots(spec: ConvSpec, phase: Phase, machine: Machine) -> Found:
    """Products that one instruction sums up: as many as it does, of numbers that are neighbours."""
    own = [l for l in loops(phase) if l.kind == "dot"]
    if not own:
        return
    last, name = own[-1], spec.weight.name
    count = lane_count(spec, phase)
    known = sorted({r.role("k") for r in machine.rows_for(spec.types, count)} - {1})
    k = max(known, default=2)
    if len(own) > 1 or loops(phase)[-1] is not last or last.axis != "c":
        text = f"'{last}': a dot product is one loop, the innermost, over c."
        yield Diagnostic(text, last.span, hints=(f"Write 'c/{k}' and, at the end of the line, 'c:dot'.",))
        return
    if (summed := tile(spec, phase, last)) not in known:
        x, w, total = spec.types
        sums_ = f"{count} lanes of {total}" if count > 1 else total
        text = f"'{last}': {machine.name} has no instruction that sums {summed} products of {x} and {w} in {sums_}."
        listed = f"It sums {', '.join(map(str, known))} of them." if known else "It sums none of them."
        yield Diagnostic(text, last.span, notes=(listed,))
    order = next(([l.axis for l in p.parts] for p in phase.packs if p.tensor == name), None)
    inside = {spec.input.name: spec.input.axes[-1] == "C", name: (order or [spec.weight.axes[-1]])[-1] in ("c", "IC", LIST)}
    for tensor in (t for t, near in inside.items() if not near):
        text = f"'{last}': the numbers of a dot product are neighbours in memory, and the channels of {tensor} are not."
        yield Diagnostic(text, last.span, hints=(f"Pack it: 'pack {name}: … c/{k} oc c'.",) if tensor == name else ())
    if machine.kind == "cpu":
        yield from in_lanes(spec, phase, last, spec.ic_per_group % (summed or 1), order is not None)


def in_lanes(spec: ConvSpec, phase: Phase, last: Level, rest: int, packed: bool) -> Found:
    """What a CPU's vectors of sums do not have yet."""
    if rest and not listed(phase) and (not packed or any(l.kind == "simd" and l.axis != "oc" for l in loops(phase))):
        text = f"'{last}': {spec.ic_per_group} channels leave a rest, which needs a packed weight and output channels in lanes."
        yield Diagnostic(text, last.span, code="later")
    if any(s.tensor == spec.input.name for s in stages(phase)):
        yield Diagnostic(f"'{last}': a dot product of a staged input is not implemented yet.", last.span, code="later")


def in_words(spec: ConvSpec, phase: Phase, stage: Stage) -> bool:
    """Whether a copy moves words of four bytes: numbers that a dot product sums up, and that lie together in them."""
    if not any(l.kind == "dot" for l in loops(phase)) or (stage.copy and stage.copy[-1].kind != "dot"):
        return False
    pack = next((p.parts for p in phase.packs if p.tensor == stage.tensor), ())
    blocks = [l.step for l in pack if l.axis == "c" and l.step > 1]
    run = blocks[-1] if blocks else spec.ic_per_group
    return all(n * bits(spec.input.dtype) % 32 == 0 for n in (run, stage.pad))


def copied(spec: ConvSpec, phase: Phase, machine: Machine) -> Found:
    """Words in a copy's own line: those that the line's dot product reads."""
    line = next((l for l in loops(phase) if l.kind == "dot"), None)
    for s in stages(phase):
        own = [l for l in s.copy if l.kind == "dot"]
        if not own:
            continue
        last = own[-1]
        walked = [l.step for l in s.copy if line and l.axis == line.axis]
        if not line or len(own) > 1 or s.copy[-1] is not last or walked[-2:] != [tile(spec, phase, line), 1]:
            text = f"'{last}': a copy moves whole words, as a dot product of the line reads them."
            hint = "Write 'c/4:thread' and, at the end of the copy's line, 'c:dot'."
            yield Diagnostic(text, last.span, hints=(hint,))
