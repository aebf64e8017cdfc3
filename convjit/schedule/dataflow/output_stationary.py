"""Output stationary: a tile of the output stays in registers while all its products are added."""

from __future__ import annotations

from convjit.dtypes import bits
from convjit.machine.machine import Machine
from convjit.schedule.schedule import Level, Pack, Phase, Schedule, Stage
from convjit.spec.conv import ConvSpec


def schedule(spec: ConvSpec, machine: Machine) -> Schedule:
    """The schedule for this machine."""
    return dense(spec, machine)


def dense(spec: ConvSpec, machine: Machine) -> Schedule:
    """Channels in lanes, a run of pixels beside each other."""
    lanes = machine.lanes(bits(spec.accumulator))
    taps = [Level(f"k{a.lower()}") for a in spec.spatial]
    *rows, columns = [f"o{a.lower()}" for a in spec.spatial]
    wide = min(2, -(-spec.oc_per_group // lanes)) if lanes > 1 else 2
    block = wide * lanes if lanes > 1 else min(4, spec.oc_per_group)
    pixels = 6 if machine.vector_registers == 16 else 14
    tail = [Level("oc", lanes, "unroll"), Level("oc", 1, "simd")] if lanes > 1 else [Level("oc", 1, "unroll")]
    items = (
        Level("n"), Level("g"), Level("oc", block), *(Level(r) for r in rows), Level(columns, pixels),
        Stage(spec.output.name), *taps, Level("c"), Level(columns, 1, "unroll"), *tail,
    )  # fmt: skip
    pack = Pack(spec.weight.name, (Level("g"), Level("oc", block), *taps, Level("c"), Level("oc")))
    return Schedule((Phase(items, packs=(pack,)),), "output_stationary")
