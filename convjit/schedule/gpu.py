"""Schedules for GPUs: what a block works on, what its threads keep, what is shared. f32 through fused multiply-adds.

The numbers behind the rules were measured on one GPU of compute capability 9.0 with 132 multiprocessors; what they
say of others is that tiles of this size use their registers and shared memory, not that they are the best there.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from convjit.dtypes import bits
from convjit.errors import ConvError
from convjit.machine.machine import Machine
from convjit.schedule.schedule import Fuse, Item, Level, Pack, Phase, Stage
from convjit.spec.conv import ConvSpec

SHARED_PLAIN = 48 * 1024
"""Bytes of shared memory that every block may have."""


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


def taps(spec: ConvSpec) -> list[str]:
    """kh kw, as many as there are."""
    return [f"k{a.lower()}" for a in spec.spatial]


def rows(spec: ConvSpec) -> list[str]:
    """oh ow, as many as there are."""
    return [f"o{a.lower()}" for a in spec.spatial]


def unrolled(*axes: str) -> list[Level]:
    """Loops that are written out."""
    return [Level(a, 1, "unroll") for a in axes]


def output_stationary(spec: ConvSpec, machine: Machine) -> Phase:
    """The kind of kernel that suits the shape."""
    if spec.open_sizes:
        return open_axes(spec)
    if spec.ic_per_group == spec.oc_per_group == 1:
        return depthwise(spec)
    if spec.groups > 1 and spec.ic_per_group <= 8 and spec.oc_per_group <= 8:
        return small_groups(spec)
    weights = prod(spec.kernel_size) * spec.in_channels * spec.out_channels * 4
    if spec.groups == 1 and spec.in_channels <= 4 and weights <= SHARED_PLAIN and spec.out_channels >= 8:
        return few_channels(spec)
    if spec.ic_per_group < 4 or spec.ic_per_group * prod(spec.kernel_size) < 16 or spec.oc_per_group < 8:
        return direct(spec)
    return matrix(spec, machine)


def matrix(spec: ConvSpec, machine: Machine) -> Phase:
    """Implicit GEMM: pixels times channels, both operands staged in a ring, a register tile for each thread."""
    pixels = (spec.batch or 1) * prod(s or 1 for s in spec.out_size)
    tile = min(TILES, key=lambda t: cost(t, pixels, spec, machine))
    deep = 16 if spec.ic_per_group > 8 else 8 if spec.ic_per_group > 4 else 4
    ring, by = (3, "cp.async") if machine.sm >= 80 and bits(spec.input.dtype) >= 32 else (2, "loads")
    x, w, y = spec.input.name, spec.weight.name, spec.output.name
    line = copy_line(spec, tile, deep)
    items: tuple[Item, ...] = (
        Level("g", 1, "block"), Level("p", tile.pixels, "block"), Level("oc", tile.channels, "block"), Stage(y),
        *(Level(k) for k in taps(spec)), Level("c", deep),
        Stage(x, "shared", ring, pad=4, by=by, copy=line), Stage(w, "shared", ring, by=by),
        Level("p", tile.warp_pixels, "warp"), Level("oc", tile.warp_channels, "warp"), Level("c", 4, "unroll"),
        Stage(x), Level("p", 8, "unroll"), Level("p", 1, "lane"), *unrolled("c"),
        Stage(w), Level("oc", 16, "unroll"), Level("oc", 4, "lane"), *unrolled("oc"),
    )  # fmt: skip
    pack = Pack(w, (Level("g"), Level("oc", tile.channels), *map(Level, taps(spec)), Level("c", deep), Level("c"), Level("oc")))
    launch = (("min_blocks", tile.min_blocks),) if tile.min_blocks else ()
    return Phase(items, packs=(pack,), fuses=(Fuse("p", ("n", *rows(spec))),), launch=launch)


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


def depthwise(spec: ConvSpec) -> Phase:
    """Four channels and a small square of pixels for each thread, nothing shared."""
    *outer, column = rows(spec)
    vector = 4 if spec.groups % 4 == 0 else 1
    tall = [Level(outer[-1], 2, "global")] if outer else []
    items: tuple[Item, ...] = (
        Level("n", 1, "global"), *(Level(r, 1, "global") for r in outer[:-1]), *tall, Level(column, 2, "global"),
        Level("g", vector, "global"), Stage(spec.output.name), *unrolled(*taps(spec)), Stage(spec.input.name),
        Stage(spec.weight.name), *unrolled(*outer[-1:], column, "g"),
    )  # fmt: skip
    return Phase(items, packs=(Pack(spec.weight.name, (*map(Level, taps(spec)), Level("g"))),))


def small_groups(spec: ConvSpec) -> Phase:
    """A group and a small square of pixels for each thread."""
    *outer, column = rows(spec)
    tall = [Level(outer[-1], 2, "global")] if outer else []
    items: tuple[Item, ...] = (
        Level("n", 1, "global"), *(Level(r, 1, "global") for r in outer[:-1]), *tall, Level(column, 2, "global"),
        Level("g", 1, "global"), Stage(spec.output.name), *unrolled(*taps(spec)), Stage(spec.input.name),
        Stage(spec.weight.name), *unrolled("c", *outer[-1:], column, "oc"),
    )  # fmt: skip
    return Phase(items, packs=(Pack(spec.weight.name, (*map(Level, taps(spec)), Level("g"), Level("c"), Level("oc"))),))


def few_channels(spec: ConvSpec) -> Phase:
    """A first layer: all weights in shared memory, a run of pixels and eight channels for each thread."""
    *outer, column = rows(spec)
    *deep, across = taps(spec)
    wide = 8 if spec.out_channels >= 32 else 4
    half = max(4, -(-spec.out_channels // 8) * 4)
    items: tuple[Item, ...] = (
        Level("n", 1, "global"), *(Level(r, 1, "global") for r in outer), Level(column, wide, "global"),
        Stage(spec.weight.name, "shared"), Stage(spec.output.name), *map(Level, deep), *unrolled(across, "c"),
        Stage(spec.input.name), Stage(spec.weight.name), *unrolled(column), Level("oc", half, "unroll"),
        Level("oc", 4, "global"), *unrolled("oc"),
    )  # fmt: skip
    pack = Pack(spec.weight.name, (*map(Level, taps(spec)), Level("c"), Level("oc")))
    return Phase(items, packs=(pack,), launch=(("threads", 128),))


def direct(spec: ConvSpec) -> Phase:
    """Two pixels and up to four channels for each thread, nothing shared: works for every shape."""
    *outer, column = rows(spec)
    channels = min(4, spec.oc_per_group)
    items: tuple[Item, ...] = (
        Level("n", 1, "global"), *(Level(r, 1, "global") for r in outer), Level(column, 2, "global"),
        Level("g", 1, "global"), Level("oc", channels, "global"), Stage(spec.output.name), *map(Level, taps(spec)),
        Level("c"), Stage(spec.input.name), Stage(spec.weight.name), *unrolled(column, "oc"),
    )  # fmt: skip
    pack = Pack(spec.weight.name, (Level("g"), *map(Level, taps(spec)), Level("c"), Level("oc")))
    return Phase(items, packs=(pack,))


def open_axes(spec: ConvSpec) -> Phase:
    """Sizes known only at the call: a block for each step of an open axis, its threads over the channels."""
    sizes = dict(zip(rows(spec), spec.out_size, strict=True))
    known = [a for a, s in sizes.items() if s is not None]
    inner = [Level(known[-1], 2, "block")] if known else []
    outer = [Level(a, 1, "block") for a in rows(spec) if a not in known[-1:]]
    across = 4 * min(256, -(-spec.oc_per_group // 4))
    items: tuple[Item, ...] = (
        Level("n", 1, "block"), *outer, *inner, Level("g", 1, "block"), Level("oc", across, "block"), Level("oc", 4, "thread"),
        Stage(spec.output.name), *map(Level, taps(spec)), Level("c"), Stage(spec.input.name), Stage(spec.weight.name),
        *unrolled(*known[-1:], "oc"),
    )  # fmt: skip
    pack = Pack(spec.weight.name, (Level("g"), *map(Level, taps(spec)), Level("c"), Level("oc")))
    return Phase(items, packs=(pack,))


def input_stationary(spec: ConvSpec, machine: Machine) -> Phase:
    """A block keeps a tile of the input with its halo in shared memory; its threads run over the output channels."""
    refuse_open(spec, "input_stationary", spec.out_size)
    *outer, column = rows(spec)
    tall = [Level(outer[-1], 4, "block")] if outer else []
    inside = [Level(outer[-1], 1, "thread")] if outer else []
    box = halo(spec, {**({outer[-1]: 4} if outer else {}), column: 8})
    deep = next(d for d in (256, 128, 64, 32, 16, 8, 4) if d == 4 or box * d * 4 <= SHARED_PLAIN)
    deep = min(deep, -(-spec.ic_per_group // 4) * 4)
    channels = 4 if spec.oc_per_group >= 4 else 1
    across = channels * min(64, -(-spec.oc_per_group // channels))
    items: tuple[Item, ...] = (
        Level("n", 1, "block"), *(Level(r, 1, "block") for r in outer[:-1]), *tall, Level(column, 8, "block"),
        Level("g", 1, "block"), Level("oc", across, "block"), Stage(spec.output.name), Level("c", deep),
        Stage(spec.input.name, "shared"), *inside, Level("oc", channels, "thread"), *map(Level, taps(spec)),
        Level("c", 4), Stage(spec.input.name), Stage(spec.weight.name), *unrolled("c", column, "oc"),
    )  # fmt: skip
    pack = Pack(spec.weight.name, (Level("g"), *map(Level, taps(spec)), Level("c", 4), Level("c"), Level("oc", 4), Level("oc")))
    return Phase(items, packs=(pack,))


def refuse_open(spec: ConvSpec, dataflow: str, sizes: tuple[int | None, ...]) -> None:
    """A dataflow whose blocks need to know these sizes."""
    if None in sizes:
        text = f"The dataflow {dataflow} cannot be realised on a GPU for open sizes ({', '.join(spec.open_sizes)})."
        note = "Its blocks work on tiles, and how many there are is fixed when the kernel is made."
        hint = "Give the sizes, or use output_stationary, which takes open ones."
        raise ConvError.of(text, dict(spec.places).get("dataflow"), note=note, hint=hint)


def halo(spec: ConvSpec, tile: dict[str, int]) -> int:
    """Pixels of the input that a tile of the output reads."""
    n = 1
    for axis, k, s, d in zip(rows(spec), spec.kernel_size, spec.stride, spec.dilation, strict=True):
        n *= (tile.get(axis, 1) - 1) * s + (k - 1) * d + 1
    return n


def weight_stationary(spec: ConvSpec, machine: Machine) -> Phase:
    """Each thread keeps a few weights and runs over all pixels of its block's rows; the output is visited again."""
    refuse_open(spec, "weight_stationary", (spec.batch, *spec.out_size))
    *outer, column = rows(spec)
    channels = 4 if spec.oc_per_group >= 4 else 1
    tall = [Level(outer[-1], 4, "block")] if outer else []
    walk = [Level(outer[-1])] if outer else []
    wide = 4
    across = channels * min(128, -(-spec.oc_per_group // channels))
    items: tuple[Item, ...] = (
        Level("n", 1, "block"), *(Level(r, 1, "block") for r in outer[:-1]), *tall, Level("g", 1, "block"),
        Level("oc", across, "block"), Level("oc", channels, "thread"), *map(Level, taps(spec)), Level("c", 4),
        Stage(spec.weight.name), *walk, Level(column, wide), Stage(spec.output.name), Stage(spec.input.name),
        *unrolled("c", column, "oc"),
    )  # fmt: skip
    pack = Pack(spec.weight.name, (Level("g"), *map(Level, taps(spec)), Level("c", 4), Level("c"), Level("oc", 4), Level("oc")))
    return Phase(items, packs=(pack,))
