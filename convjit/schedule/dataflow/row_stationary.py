"""Row stationary: a row of weights stays in registers and slides along rows of the input, adding to rows of the output
(Chen, Krishna, Emer, Sze: Eyeriss, ISSCC 2016, where each processing element does so; here one core's registers)."""

from __future__ import annotations

from convjit.machine.machine import Machine
from convjit.schedule.dataflow.weight_stationary import pack
from convjit.schedule.schedule import Item, Level, Phase, Schedule, Stage
from convjit.schedule.vectors import channel_loops, vectors
from convjit.spec.conv import ConvSpec


def on_cpu(spec: ConvSpec, machine: Machine) -> Schedule:
    """One row of taps of one input channel; a run of the output's row beside it."""
    v = vectors(spec, machine, 1)
    *deep, across = [f"k{a.lower()}" for a in spec.spatial]
    *outer, column = [f"o{a.lower()}" for a in spec.spatial]
    room = max(1, machine.vector_registers - spec.kernel_size[-1] * v.count - 2)
    width = spec.out_size[-1]
    run = max(1, min(room // v.count, 14, width or 14))
    items: tuple[Item, ...] = (
        *channel_loops(spec, v), Level("c"), *map(Level, deep), Stage(spec.weight.name), Level("n"), *map(Level, outer),
        Level(column, run), Stage(spec.output.name), Level(across, 1, "unroll"), Level(column, 1, "unroll"), *v.inner(),
    )  # fmt: skip
    reason = f"a row of {spec.kernel_size[-1]} weights stays in registers; {run} of {column} are added to beside it"
    return Schedule((Phase(items, packs=(pack(spec, v, [*deep, across]),)),), "row_stationary", (reason,))


BY_KIND = {"cpu": on_cpu}
