"""Schedules for GPUs: what a block works on, what its threads keep, what is shared. f32 through fused multiply-adds,
bytes through dot products of four channels where those are neighbours."""

from __future__ import annotations

from math import prod

from convjit.dtypes import bits
from convjit.errors import ConvError
from convjit.machine.machine import Machine
from convjit.schedule.gpu_loops import channels, dot, inside, rows, run, summed, taps, unrolled, whole_run
from convjit.schedule.matrix import matrix
from convjit.schedule.schedule import Item, Level, Pack, Phase, Stage
from convjit.spec.conv import ConvSpec

SHARED_PLAIN = 48 * 1024
"""Bytes of shared memory that every block may have."""


def output_stationary(spec: ConvSpec, machine: Machine) -> Phase:
    """The kind of kernel that suits the shape."""
    k = summed(spec, machine)
    if spec.open_sizes:
        return open_axes(spec, k)
    if spec.ic_per_group == spec.oc_per_group == 1:
        return depthwise(spec)
    if spec.groups > 1 and spec.ic_per_group <= 8 and spec.oc_per_group <= 8:
        return small_groups(spec, k)
    weights = prod(spec.kernel_size) * spec.in_channels * spec.out_channels * 4
    if spec.groups == 1 and spec.in_channels <= 4 and weights <= SHARED_PLAIN and spec.out_channels >= 8:
        return few_channels(spec, k)
    if spec.ic_per_group < 4 or spec.ic_per_group * prod(spec.kernel_size) < 16 or spec.oc_per_group < 8:
        return direct(spec, k)
    return matrix(spec, machine, k)


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


def small_groups(spec: ConvSpec, k: int) -> Phase:
    """A group and a small square of pixels for each thread."""
    *outer, column = rows(spec)
    *deep, across = taps(spec)
    loops = [*map(Level, deep), *unrolled(across)] if spec.ic_per_group > k > 1 else unrolled(*deep, across)
    tall = [Level(outer[-1], 2, "global")] if outer else []
    items: tuple[Item, ...] = (
        Level("n", 1, "global"), *(Level(r, 1, "global") for r in outer[:-1]), *tall, Level(column, 2, "global"),
        Level("g", 1, "global"), Stage(spec.output.name), *loops, Stage(spec.input.name),
        Stage(spec.weight.name), Level("c", k, "unroll"), *unrolled(*outer[-1:], column, "oc"), *dot(k),
    )  # fmt: skip
    return Phase(items, packs=(Pack(spec.weight.name, (*map(Level, taps(spec)), Level("g"), *channels(k))),))


def few_channels(spec: ConvSpec, k: int) -> Phase:
    """A first layer: all weights in shared memory, a run of pixels and eight channels for each thread."""
    *outer, column = rows(spec)
    *deep, across = taps(spec)
    wide = 8 if spec.out_channels >= 32 else 4
    half = max(4, -(-spec.out_channels // 8) * 4)
    items: tuple[Item, ...] = (
        Level("n", 1, "global"), *(Level(r, 1, "global") for r in outer), Level(column, wide, "global"),
        Stage(spec.weight.name, "shared"), Stage(spec.output.name), *map(Level, deep), *unrolled(across),
        Level("c", k, "unroll"), Stage(spec.input.name), Stage(spec.weight.name), *unrolled(column),
        Level("oc", half, "unroll"), Level("oc", 4, "global"), *unrolled("oc"), *dot(k),
    )  # fmt: skip
    pack = Pack(spec.weight.name, (*map(Level, taps(spec)), *channels(k)))
    return Phase(items, packs=(pack,), launch=(("threads", 128),))


def direct(spec: ConvSpec, k: int) -> Phase:
    """Two pixels and up to four channels for each thread, nothing shared: works for every shape."""
    *outer, column = rows(spec)
    own, step = min(4, spec.oc_per_group), whole_run(spec, k)
    items: tuple[Item, ...] = (
        Level("n", 1, "global"), *(Level(r, 1, "global") for r in outer), Level(column, 2, "global"),
        Level("g", 1, "global"), Level("oc", own, "global"), Stage(spec.output.name), *map(Level, taps(spec)),
        Level("c", step), Stage(spec.input.name), Stage(spec.weight.name), *inside(step, k),
        *unrolled(column, "oc"), *dot(k),
    )  # fmt: skip
    pack = Pack(spec.weight.name, (Level("g"), *map(Level, taps(spec)), *channels(k)))
    return Phase(items, packs=(pack,))


def open_axes(spec: ConvSpec, k: int) -> Phase:
    """Sizes known only at the call: a block for each step of an open axis, its threads over the channels."""
    sizes = dict(zip(rows(spec), spec.out_size, strict=True))
    known = [a for a, s in sizes.items() if s is not None]
    inner = [Level(known[-1], 2, "block")] if known else []
    outer = [Level(a, 1, "block") for a in rows(spec) if a not in known[-1:]]
    across, step = 4 * min(256, -(-spec.oc_per_group // 4)), whole_run(spec, k)
    items: tuple[Item, ...] = (
        Level("n", 1, "block"), *outer, *inner, Level("g", 1, "block"), Level("oc", across, "block"), Level("oc", 4, "thread"),
        Stage(spec.output.name), *map(Level, taps(spec)), Level("c", step), Stage(spec.input.name),
        Stage(spec.weight.name), *inside(step, k), *unrolled(*known[-1:], "oc"), *dot(k),
    )  # fmt: skip
    pack = Pack(spec.weight.name, (Level("g"), *map(Level, taps(spec)), *channels(k)))
    return Phase(items, packs=(pack,))


def input_stationary(spec: ConvSpec, machine: Machine) -> Phase:
    """A block keeps a tile of the input with its halo in shared memory; its threads run over the output channels."""
    refuse_open(spec, "input_stationary", spec.out_size)
    *outer, column = rows(spec)
    tall = [Level(outer[-1], 4, "block")] if outer else []
    beside = [Level(outer[-1], 1, "thread")] if outer else []
    box = halo(spec, {**({outer[-1]: 4} if outer else {}), column: 8})
    k = summed(spec, machine)
    step, element = run(spec, k), bits(spec.input.dtype) // 8
    deep = next(d for d in (256, 128, 64, 32, 16, 8, 4) if d == 4 or box * d * element <= SHARED_PLAIN)
    deep = min(max(deep, step), -(-spec.ic_per_group // step) * step)
    own = 4 if spec.oc_per_group >= 4 else 1
    across = own * min(64, -(-spec.oc_per_group // own))
    items: tuple[Item, ...] = (
        Level("n", 1, "block"), *(Level(r, 1, "block") for r in outer[:-1]), *tall, Level(column, 8, "block"),
        Level("g", 1, "block"), Level("oc", across, "block"), Stage(spec.output.name), Level("c", deep),
        Stage(spec.input.name, "shared"), *beside, Level("oc", own, "thread"), *map(Level, taps(spec)),
        Level("c", step), Stage(spec.input.name), Stage(spec.weight.name), *inside(step, k),
        *unrolled(column, "oc"), *dot(k),
    )  # fmt: skip
    return Phase(items, packs=(fours(spec, step, k),))


def fours(spec: ConvSpec, step: int, k: int) -> Pack:
    """The weight in whole blocks of channels that are read together, four output channels side by side."""
    blocks = [Level("c", step), Level("c", k)] if step > k else [Level("c", k)]
    inner = [Level("oc", 4), Level("oc"), *([Level("c")] if k > 1 else [])]
    return Pack(spec.weight.name, (Level("g"), *map(Level, taps(spec)), *blocks, *inner))


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
    k = summed(spec, machine)
    step, own, wide = run(spec, k), 4 if spec.oc_per_group >= 4 else 1, 4
    tall = [Level(outer[-1], 4, "block")] if outer else []
    walk = [Level(outer[-1])] if outer else []
    across = own * min(128, -(-spec.oc_per_group // own))
    items: tuple[Item, ...] = (
        Level("n", 1, "block"), *(Level(r, 1, "block") for r in outer[:-1]), *tall, Level("g", 1, "block"),
        Level("oc", across, "block"), Level("oc", own, "thread"), *map(Level, taps(spec)), Level("c", step),
        Stage(spec.weight.name), *walk, Level(column, wide), Stage(spec.output.name), Stage(spec.input.name),
        *inside(step, k), *unrolled(column, "oc"), *dot(k),
    )  # fmt: skip
    return Phase(items, packs=(fours(spec, step, k),))
