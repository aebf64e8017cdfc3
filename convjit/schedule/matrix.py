"""Implicit GEMM on a GPU: pixels times channels, tile by tile, both operands in shared memory.

The numbers behind the rules were measured on one GPU of compute capability 9.0 with 132 multiprocessors; what they
say of others is that tiles of this size use their registers and shared memory, not that they are the best there.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from convjit.dtypes import bits
from convjit.machine.machine import Machine
from convjit.schedule.gpu_loops import channels, dot, rows, taps, unrolled
from convjit.schedule.schedule import Fuse, Item, Level, Pack, Phase, Stage
from convjit.spec.conv import ConvSpec


@dataclass(frozen=True)
class Tile:
    """A block's tile of pixels and channels, the part of one warp, and how well its multiply-adds overlap their loads."""

    pixels: int
    channels: int
    warp_pixels: int
    warp_channels: int
    min_blocks: int
    efficiency: float


TILES = (
    Tile(64, 128, 64, 32, 3, 1.0),
    Tile(128, 64, 64, 32, 3, 0.97),
    Tile(64, 64, 64, 16, 4, 0.85),
    Tile(32, 64, 32, 16, 0, 0.6),
    Tile(32, 32, 16, 16, 0, 0.4),
)


def matrix(spec: ConvSpec, machine: Machine, k: int) -> Phase:
    """Implicit GEMM: pixels times channels, both operands staged in a ring, a register tile for each thread."""
    pixels = (spec.batch or 1) * prod(s or 1 for s in spec.out_size)
    tile = min(TILES, key=lambda t: cost(t, pixels, spec, machine))
    element, deep = bits(spec.input.dtype) // 8, depth(spec, k)
    words = element >= 4 or (k > 1 and spec.ic_per_group % k == 0)
    ring, by = (3, "cp.async") if machine.sm >= 80 and words else (2, "loads")
    pad = max(4, 16 // element)  # rows begin in different banks
    x, w, y = spec.input.name, spec.weight.name, spec.output.name
    line = copy_line(spec, tile, deep)
    items: tuple[Item, ...] = (
        Level("g", 1, "block"), Level("p", tile.pixels, "block"), Level("oc", tile.channels, "block"), Stage(y),
        *(Level(t) for t in taps(spec)), Level("c", deep),
        Stage(x, "shared", ring, pad=pad, by=by, copy=line), Stage(w, "shared", ring, by=by),
        Level("p", tile.warp_pixels, "warp"), Level("oc", tile.warp_channels, "warp"), Level("c", 4 * k, "unroll"),
        Stage(x), Level("p", 8, "unroll"), Level("p", 1, "lane"), Level("c", k, "unroll"),
        Stage(w), Level("oc", 16, "unroll"), Level("oc", 4, "lane"), *unrolled("oc"), *dot(k),
    )  # fmt: skip
    pack = Pack(w, (Level("g"), Level("oc", tile.channels), *map(Level, taps(spec)), Level("c", deep), *channels(k)))
    launch = (("min_blocks", tile.min_blocks),) if tile.min_blocks else ()
    return Phase(items, packs=(pack,), fuses=(Fuse("p", ("n", *rows(spec))),), launch=launch)


def depth(spec: ConvSpec, k: int) -> int:
    """Channels of a step through the ring: at most 16 times those that an instruction sums up, of words in two steps
    where one would do: without a loop so much is read ahead that registers spill (nvJitLink 13, sm_75 to sm_90a)."""
    many = -(-spec.ic_per_group // k)
    if k > 1 and prod(spec.kernel_size) == 1 and many <= 16:
        many = -(-many // 2)
    return k * (16 if many > 8 else 8 if many > 4 else 4)


def cost(tile: Tile, pixels: int, spec: ConvSpec, machine: Machine) -> float:
    """Rounds of blocks over the multiprocessors, times the work of one. A lonely block leaves its processor waiting."""
    blocks = -(-pixels // tile.pixels) * -(-spec.oc_per_group // tile.channels) * spec.groups
    rounds = -(-blocks // (machine.multiprocessors or 132))
    lonely = 1.5 if rounds == 1 else 1.0
    return rounds * tile.pixels * tile.channels / tile.efficiency * lonely


def copy_line(spec: ConvSpec, tile: Tile, deep: int) -> tuple[Level, ...]:
    """Neighbouring threads read neighbours in memory: pixels where a row is contiguous, else channels (derived)."""
    if spec.input.axes[-1] == "C":
        return ()
    threads = 32 * (tile.pixels // tile.warp_pixels) * (tile.channels // tile.warp_channels)
    across = max(1, threads // tile.pixels)
    if across >= deep:
        return (Level("c", 1, "thread"), Level("p", 1, "thread"))
    if across == 1:
        return (*unrolled("c"), Level("p", 1, "thread"))
    return (Level("c", across, "unroll"), Level("c", 1, "thread"), Level("p", 1, "thread"))
