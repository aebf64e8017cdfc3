"""What stages of a line may say: levels, copies, and tiles that are walked by position."""

from __future__ import annotations

from collections.abc import Iterator

from convjit.dtypes import bits
from convjit.errors import Diagnostic
from convjit.machine.machine import Machine
from convjit.schedule.legal_dots import in_words
from convjit.schedule.line import stages
from convjit.schedule.schedule import Level, Phase, Stage
from convjit.spec.conv import ConvSpec

Found = Iterator[Diagnostic]


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
        output = s.tensor == spec.output.name
        later = {"as": "" if output else s.as_type, "swizzle": s.swizzle, "by": s.by if s.by not in ("loads", "cp.async") else ""}
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
        if s.by == "cp.async" and machine.kind == "cuda" and small and not in_words(spec, phase, s):
            hint = "Leave 'by cp.async' out: small elements are copied through registers, in a ring of 2."
            yield Diagnostic(f"'{s}': cp.async copies 4, 8 or 16 bytes, an element of {s.tensor} is smaller.", s.span, hints=(hint,))
        if output and s.level == "scratch" and s.copy:
            yield from sums_in_order(spec, s)
        if output and (s.level not in ("registers", "scratch") or (s.level == "scratch" and s.as_type)):
            yield Diagnostic(f"'{s}': the output is staged in registers, and its sums in scratch.", s.span, code="later")


def sums_in_order(spec: ConvSpec, stage: Stage) -> Found:
    """`[y: scratch | oc oh ow]`: an order in memory, each axis once."""
    known = [a.lower() for a in spec.output.axes]
    names = [l.axis for l in stage.copy]
    for l in stage.copy:
        if l.axis not in known or l.step > 1 or l.kind != "serial" or l.tap or names.count(l.axis) > 1:
            text = f"'{stage}': '{l}' is no place in an order of the output's axes."
            yield Diagnostic(text, l.span or stage.span, hints=(f"Name {', '.join(known)}, each at most once.",))


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
