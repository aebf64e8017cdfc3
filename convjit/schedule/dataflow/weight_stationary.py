"""Weight stationary: a few weights stay in registers while all pixels pass; the output is visited again and again."""

from __future__ import annotations

from math import prod

from convjit.machine.machine import Machine
from convjit.schedule import gpu
from convjit.schedule.schedule import Item, Level, Pack, Phase, Schedule, Stage
from convjit.schedule.vectors import Vectors, channel_loops, vectors
from convjit.spec.conv import ConvSpec


def on_cpu(spec: ConvSpec, machine: Machine) -> Schedule:
    """As many weights as leave room for one pixel's sums: all taps where one channel is summed, else some channels."""
    v = vectors(spec, machine, 2)
    room = machine.vector_registers // 2
    taps = [f"k{a.lower()}" for a in spec.spatial]
    pixels = [Level("n"), *(Level(f"o{a.lower()}") for a in spec.spatial)]
    all_taps = spec.ic_per_group == 1 and prod(spec.kernel_size) * v.count <= room
    deep = max(1, min(spec.ic_per_group, room // v.count))
    if all_taps:
        outside, inside = [], [Level(k, 1, "unroll") for k in taps]
    else:
        outside, inside = [*(Level(k) for k in taps), Level("c", deep)], [Level("c", 1, "unroll")]
    items: tuple[Item, ...] = (
        *channel_loops(spec, v), *outside, Stage(spec.weight.name), *pixels, Stage(spec.output.name), *inside, *v.inner(),
    )  # fmt: skip
    kept = prod(spec.kernel_size) if all_taps else deep
    reason = f"{kept} x {v.count} vectors of weights stay in registers while {' '.join(map(str, pixels))} pass"
    return Schedule((Phase(items, packs=(pack(spec, v, taps),)),), "weight_stationary", (reason,))


def pack(spec: ConvSpec, v: Vectors, taps: list[str]) -> Pack:
    """In the order in which they are read."""
    other = "g" if v.axis == "oc" else "oc"
    return Pack(spec.weight.name, (Level(other), v.outer(), *map(Level, taps), Level("c"), Level(v.axis)))


def on_gpu(spec: ConvSpec, machine: Machine) -> Schedule:
    """Weights in the registers of each thread."""
    return Schedule((gpu.weight_stationary(spec, machine),), "weight_stationary")


BY_KIND = {"cpu": on_cpu, "cuda": on_gpu}
