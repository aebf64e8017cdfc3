"""Input stationary: a tile of the input stays close while all that it contributes to is added.

Where stride and dilation are 1, in registers: the tile is walked by input position, and each position meets all its
taps. Else, or where the registers do not hold it, in scratch memory, whole for all taps and output channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import prod

from convjit.machine.machine import Machine
from convjit.schedule import gpu
from convjit.schedule.dataflow.weight_stationary import pack
from convjit.schedule.schedule import Item, Level, Pack, Phase, Schedule, Stage
from convjit.schedule.vectors import Vectors, vectors
from convjit.spec.conv import ConvSpec

SCRATCH = 24 * 1024
"""Bytes of a tile of the input in scratch memory: half of the smallest first-level cache."""


@dataclass(frozen=True)
class Tile:
    """Outputs along each spatial axis."""

    outputs: tuple[int, ...]
    positions: int

    @property
    def count(self) -> int:
        """Outputs of the tile."""
        return prod(self.outputs)


def on_cpu(spec: ConvSpec, machine: Machine) -> Schedule:
    """In registers where that is worth it, else in scratch memory."""
    v = vectors(spec, machine, 1)
    tile = register_tile(spec, machine, v)
    return by_position(spec, v, tile) if tile else in_scratch(spec, machine)


def register_tile(spec: ConvSpec, machine: Machine, v: Vectors) -> Tile | None:
    """The largest tile whose positions and sums fit into the registers; None where no position would serve two sums."""
    if {*spec.stride, *spec.dilation} != {1} or spec.open_sizes or prod(spec.kernel_size) == 1:
        return None
    choices = [[t for t in (1, 2, 3, 4) if (size or 1) % t == 0] for size in spec.out_size]
    tiles = []
    for outputs in product(*choices):
        positions = prod(t + k - 1 for t, k in zip(outputs, spec.kernel_size, strict=True))
        if positions + prod(outputs) + 2 <= machine.vector_registers:
            tiles.append(Tile(outputs, positions))
    best = max(tiles, key=lambda t: t.count, default=None)
    return best if best and best.count > 1 and v.axis == "oc" else None


def by_position(spec: ConvSpec, v: Vectors, tile: Tile) -> Schedule:
    """Every input position of the tile is in a register; all taps and channels that it meets follow."""
    axes = [(f"o{a.lower()}", f"k{a.lower()}", t) for a, t in zip(spec.spatial, tile.outputs, strict=True)]
    walked = [Level(o, 1, "unroll", k) for o, k, t in axes if t > 1]
    taps = [k for _, k, _ in axes]
    items: tuple[Item, ...] = (
        Level("n"), Level("g"), *(Level(o, t, "thread" if i == 0 else "serial") for i, (o, _, t) in enumerate(axes)),
        Level("c"), Stage(spec.input.name), v.outer(), Stage(spec.output.name), *walked,
        *(Level(k, 1, "unroll") for k in taps), *v.inner(),
    )  # fmt: skip
    order = (Level("g"), v.outer(), Level("c"), *map(Level, taps), Level("oc"))
    reason = f"{tile.positions} positions of the input stay in registers for {tile.count} outputs of every channel"
    return Schedule((Phase(items, packs=(Pack(spec.weight.name, order),)),), "input_stationary", (reason,))


def in_scratch(spec: ConvSpec, machine: Machine) -> Schedule:
    """A tile of the input with its halo, copied once for all taps and output channels."""
    v = vectors(spec, machine, 2)
    *outer, column = [f"o{a.lower()}" for a in spec.spatial]
    taps = [f"k{a.lower()}" for a in spec.spatial]
    tall = {o: min(4, size or 4) for o, size in zip(outer, spec.out_size[:-1], strict=True)}
    wide = min(12, spec.out_size[-1] or 12)
    run = max(1, min(wide, (machine.vector_registers - 3) // v.count - 1, 6))
    box = gpu.halo(spec, {**tall, column: wide})
    deep = max(1, min(spec.ic_per_group, SCRATCH // (4 * box)))
    groups, channels = (v.outer(), Level("oc")) if v.axis == "g" else (Level("g"), v.outer())
    items: tuple[Item, ...] = (
        Level("n"), groups, *(Level(o, t, "thread" if i == 0 else "serial") for i, (o, t) in enumerate(tall.items())),
        Level(column, wide, "serial" if outer else "thread"), Level("c", deep), Stage(spec.input.name, "scratch"),
        channels, *map(Level, outer), Level(column, run), Stage(spec.output.name), *map(Level, taps), Level("c"),
        Level(column, 1, "unroll"), *v.inner(),
    )  # fmt: skip
    reason = f"a tile of {box} pixels and {deep} channels of the input stays in scratch memory for all taps and channels"
    return Schedule((Phase(items, packs=(pack(spec, v, taps),)),), "input_stationary", (reason,))


def on_gpu(spec: ConvSpec, machine: Machine) -> Schedule:
    """A tile with its halo in shared memory; threads run over the output channels."""
    return Schedule((gpu.input_stationary(spec, machine),), "input_stationary")


BY_KIND = {"cpu": on_cpu, "cuda": on_gpu}
