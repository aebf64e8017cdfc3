"""Which loop lies in the lanes of a vector, for dataflows that have no cost to weigh: channels, or groups, or none."""

from __future__ import annotations

from dataclasses import dataclass

from convjit.dtypes import bits
from convjit.machine.machine import Machine
from convjit.schedule.schedule import Level
from convjit.spec.conv import ConvSpec


@dataclass(frozen=True)
class Vectors:
    """`axis` lies in `lanes`, `count` vectors side by side; with one lane nothing does and the loop is written out."""

    axis: str
    lanes: int
    count: int

    @property
    def block(self) -> int:
        """How far one step of the outer loop goes."""
        return self.lanes * self.count

    def outer(self, kind: str = "serial") -> Level:
        """The loop over blocks."""
        return Level(self.axis, self.block, kind)

    def inner(self) -> list[Level]:
        """The loops inside a block."""
        if self.lanes == 1:
            return [Level(self.axis, 1, "unroll")] if self.count > 1 else []
        beside = [Level(self.axis, self.lanes, "unroll")] if self.count > 1 else []
        return [*beside, Level(self.axis, 1, "simd")]


def vectors(spec: ConvSpec, machine: Machine, count: int) -> Vectors:
    """Output channels where they fill half a vector, else groups where those do; `count` vectors if there are so many."""
    lanes = machine.lanes(bits(spec.accumulator))
    for axis, size in (("oc", spec.oc_per_group), ("g", spec.groups)):
        if lanes > 1 and size * 2 >= lanes:
            return Vectors(axis, lanes, min(count, -(-size // lanes)))
    return Vectors("oc", 1, min(count, spec.oc_per_group))


def channel_loops(spec: ConvSpec, v: Vectors, kind: str = "thread") -> list[Level]:
    """The loops over groups and blocks of channels, shared by workers."""
    other = "g" if v.axis == "oc" else "oc"
    return [Level(other), v.outer(kind)]
