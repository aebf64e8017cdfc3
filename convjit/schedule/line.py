"""What can be read off the line of a phase: its loops and stages, how far each goes, and how many lanes it makes."""

from __future__ import annotations

from math import prod

from convjit.schedule.schedule import Level, Phase, Stage
from convjit.spec.conv import ConvSpec

LIST = "list"
"""The kind of loops that a list of the weight's blocks walks, and the word for that order in its pack line."""


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


def listed(phase: Phase) -> bool:
    """Whether a list walks the weight."""
    return any(l.kind == LIST for l in loops(phase))


def lane_count(spec: ConvSpec, phase: Phase) -> int:
    """Lanes of the line's vectors; an open size counts as 1, and an axis of size 1 has no loop, so no lanes."""
    return prod(tile(spec, phase, l) or 1 for l in loops(phase) if l.kind == "simd" and size(spec, phase, l.axis) != 1)


def tile(spec: ConvSpec, phase: Phase, level: Level) -> int | None:
    """How far an innermost loop goes: the step of the loop around it, or the axis; None where that is open."""
    own = [l for l in loops(phase) if l.axis == level.axis]
    place = own.index(level)
    return own[place - 1].step if place else size(spec, phase, level.axis)


def size(spec: ConvSpec, phase: Phase, axis: str) -> int | None:
    """How long an axis is, or a fused one; None where that is open."""
    if axis in axes(spec):
        return axes(spec)[axis]
    fused = [axes(spec).get(a, 1) for f in phase.fuses for a in f.axes]
    return None if None in fused else prod(s or 1 for s in fused)
