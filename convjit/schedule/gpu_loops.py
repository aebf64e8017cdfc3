"""Loops that schedules for GPUs have in common: taps, rows, and channels in the words that an instruction sums up."""

from __future__ import annotations

from convjit.machine.machine import Machine
from convjit.schedule.schedule import Level
from convjit.spec.conv import ConvSpec


def taps(spec: ConvSpec) -> list[str]:
    """kh kw, as many as there are."""
    return [f"k{a.lower()}" for a in spec.spatial]


def rows(spec: ConvSpec) -> list[str]:
    """oh ow, as many as there are."""
    return [f"o{a.lower()}" for a in spec.spatial]


def unrolled(*axes: str) -> list[Level]:
    """Loops that are written out."""
    return [Level(a, 1, "unroll") for a in axes]


def summed(spec: ConvSpec, machine: Machine) -> int:
    """Channels of which one instruction sums up the products: neighbours in memory. 1 where none does."""
    if spec.input.axes[-1] != "C" or spec.ic_per_group < 2:
        return 1
    return max((r.role("k") for r in machine.rows_for(spec.types, 1)), default=1)


def dot(k: int) -> list[Level]:
    """The loop over the channels that an instruction sums up, the last of a line."""
    return [Level("c", 1, "dot")] if k > 1 else []


def channels(k: int) -> list[Level]:
    """The order of a packed weight within a tap: words of summed channels, output channels side by side."""
    return [Level("c", k), Level("oc"), *([Level("c")] if k > 1 else [])]


def run(spec: ConvSpec, k: int) -> int:
    """Channels that a thread reads at a time, 16 bytes of words or four numbers, whatever lies behind the last."""
    return 4 if k == 1 else k * next(n for n in (1, 2, 4) if n == 4 or n * k >= spec.ic_per_group)


def whole_run(spec: ConvSpec, k: int) -> int:
    """The same where no more may be read than there is: as many words of 16 bytes as the channels are a multiple of."""
    return k * next(n for n in (4, 2, 1) if n == 1 or (k > 1 and spec.ic_per_group % (n * k) == 0))


def inside(step: int, k: int) -> list[Level]:
    """The loop through channels that are read at a time, word by word."""
    return [Level("c", k, "unroll")] if step > k else []
