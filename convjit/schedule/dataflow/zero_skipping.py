"""Zero skipping: the weights that are not 0 are walked by a list, one output channel after the other.

A weight meets a tile of output pixels, which lie in lanes and stay in registers; the input is copied with its borders, pixels
side by side, so that tap and channel are one offset (the direct sparse convolution of Park et al., "Faster CNNs with Direct
Sparse Convolutions and Guided Pruning", ICLR 2017). The sums of a group of output channels are collected in scratch memory
where they are stored channels last, or where channels of the input are taken block by block, so that a block stays in
the first cache.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

from convjit.dtypes import bits
from convjit.errors import ConvError
from convjit.machine.machine import Machine
from convjit.schedule.facts import Facts
from convjit.schedule.line import LIST
from convjit.schedule.schedule import Item, Level, Pack, Phase, Schedule, Stage
from convjit.spec.conv import ConvSpec

CHANNELS = 32
"""Output channels whose sums are collected in scratch memory."""
CLOSE = 30 * 1024
"""Bytes of a block of input channels: it shares the first cache with the sums and the list."""
SHORT = 144
"""Weights of a row of a block, zeros counted, from which on walking it costs more than beginning."""


@dataclass(frozen=True)
class Tile:
    """Pixels in registers: `axis` in lanes, `vectors` of them, times `rows` along `across` ("" where there is no such axis).
    `deep` numbers of neighbouring channels are summed up by an instruction."""

    axis: str
    lanes: int
    vectors: int
    across: str
    rows: int
    deep: int

    @property
    def sums(self) -> int:
        """Registers."""
        return self.vectors * self.rows

    def tiles_along(self, facts: Facts) -> int:
        """Tiles of a row."""
        return -(-space(facts)[self.axis] // (self.lanes * self.vectors))

    def tiles(self, facts: Facts) -> int:
        """Tiles of an image."""
        other = prod(n for a, n in space(facts).items() if a not in (self.axis, self.across))
        return other * self.tiles_along(facts) * (-(-space(facts)[self.across] // self.rows) if self.across else 1)


def space(facts: Facts) -> dict[str, int]:
    """The output's positions."""
    return {f"o{l}": facts.sizes[f"o{l}"] for l in facts.letters}


def tile(facts: Facts) -> Tile:
    """As many rows as the registers hold, or fewer where only then a block of channels stays in the first cache."""
    most = largest(facts)
    size = space(facts)[most.across] if most.across else 1
    fewer = (replace(most, rows=-(-size // tiles)) for tiles in range(-(-size // most.rows), size + 1))
    return next((t for t in fewer if fits(facts, t)), most)


def largest(facts: Facts) -> Tile:
    """The axis that fills vectors best, whole rows of it where they fit into the registers, and several of them."""
    spec, machine = facts.spec, facts.machine
    alone = max(space(facts).values()) == 1  # no lanes, and products are summed up in lanes only
    deep = 1 if alone else max((k for r in machine.rows_for(spec.types) if whole_blocks(spec, k := r.role("k"))), default=1)
    widths = sorted({r.role("n") for r in machine.rows_for(spec.types) if r.role("k") == deep})
    most = max(widths, default=1)

    def width(size: int) -> int:
        return min((n for n in widths if n >= size), default=most)

    def filled(axis: str) -> float:
        size = space(facts)[axis]
        lanes = width(size)
        return size / (-(-size // lanes) * lanes) * lanes / most

    axis = max(reversed(space(facts)), key=filled)
    lanes = width(space(facts)[axis])
    rows = [r for r in machine.rows_for(spec.types, lanes) if r.role("k") == deep]
    room = max(1, machine.vector_registers - 2 - min((r.spare for r in rows), default=0))
    whole = -(-space(facts)[axis] // lanes)
    vectors = whole if whole <= room else -(-whole // -(-whole // room))
    others = [a for a in space(facts) if a != axis and space(facts)[a] > 1]
    across = others[-1] if others and vectors == whole else ""
    size = space(facts)[across] if across else 1
    count = min(size, room // vectors)
    return Tile(axis, lanes, vectors, across, -(-size // -(-size // count)), deep)


def whole_blocks(spec: ConvSpec, deep: int) -> bool:
    """Whether channels can be taken so many at a time: those of each group on their own."""
    return spec.ic_per_group >= deep and (spec.groups == 1 or spec.ic_per_group % deep == 0)


def block(facts: Facts, t: Tile) -> int:
    """Channels of the input that are taken at a time: a divisor of all, so that every row of the list is as long."""
    return max(fits(facts, t), default=facts.spec.ic_per_group)


def fits(facts: Facts, t: Tile) -> list[int]:
    """The divisors that stay in the first cache, and whose rows of the list are worth beginning."""
    spec = facts.spec
    letter = {"": -1, **{f"o{l}": i for i, l in enumerate(facts.letters)}}

    def reach(axis: str, count: int) -> int:
        place = letter[axis]
        return spec.stride[place] * (count - 1) + spec.dilation[place] * (spec.kernel_size[place] - 1) + 1

    rows = prod(reach(f"o{l}", t.rows if f"o{l}" == t.across else 1) for l in facts.letters if f"o{l}" != t.axis)
    row = reach(t.axis, t.lanes * t.vectors) * bits(spec.input.dtype) // 8
    least, most = -(-SHORT // prod(spec.kernel_size)), CLOSE // (rows * row)
    return [n for n in range(t.deep, spec.ic_per_group + 1, t.deep) if spec.ic_per_group % n == 0 and least <= n <= most]


def near(spec: ConvSpec, axis: str) -> bool:
    """Whether an axis of positions lies fastest in the output."""
    return spec.output.axes[-1] == axis.upper()


def on_cpu(spec: ConvSpec, machine: Machine) -> Schedule:
    """The schedule. Raises ConvError where a list cannot walk the weight."""
    if why := impossible(spec):
        text = f"The dataflow zero_skipping cannot be realised here: {why}"
        raise ConvError.of(text, spec.place("dataflow"), hint="The nearest is output_stationary.")
    facts = Facts(spec, machine)
    t = tile(facts)
    channels = block(facts, t)
    items = (*tiles(facts, t), *outputs(spec, facts, t, channels), *entries(facts, t))
    return Schedule((Phase(items, packs=packs(spec, facts, t)),), "zero_skipping", reasons(facts, t, channels))


def tiles(facts: Facts, t: Tile) -> list[Item]:
    """The loops over tiles of pixels; workers share the two slowest axes."""
    steps = {a: t.rows if a == t.across else 1 for a in space(facts) if a != t.axis}
    kinds = ["thread", "thread", "serial"]
    along = [Level(t.axis, t.vectors * t.lanes)] if t.tiles_along(facts) > 1 else []
    return [Level("n"), Level("g"), *(Level(a, n, k) for (a, n), k in zip(steps.items(), kinds, strict=False)), *along]


def outputs(spec: ConvSpec, facts: Facts, t: Tile, channels: int) -> list[Item]:
    """The loops over output channels, and where their sums are; between them the blocks of input channels."""
    name, collected = spec.output.name, min(CHANNELS, spec.oc_per_group)
    blocks = [Level("c", channels)] if channels < spec.ic_per_group else []
    if not blocks and (near(spec, t.axis) or collected == 1):
        return [Level("oc", 1, "thread"), Stage(name)]
    order = (Level("oc"), *(Level(a) for a in space(facts) if a != t.axis), Level(t.axis))
    return [Level("oc", collected, "thread"), Stage(name, "scratch", copy=order), *blocks, Level("oc"), Stage(name)]


def entries(facts: Facts, t: Tile) -> list[Item]:
    """The list, and what one entry meets."""
    walked = [Level("c", t.deep, LIST), *(Level(k, 1, LIST) for k in facts.taps)]
    across = [Level(t.across, 1, "unroll")] if t.across and t.rows > 1 else []
    lanes = [Level(t.axis, t.lanes, "unroll"), Level(t.axis, 1, "simd")] if t.lanes > 1 else [Level(t.axis, 1, "unroll")]
    return [*walked, *across, *lanes, *([Level("c", 1, "dot")] if t.deep > 1 else [])]


def packs(spec: ConvSpec, facts: Facts, t: Tile) -> tuple[Pack, ...]:
    """The list, and the input: channels outside, the axis that lies in lanes inside."""
    others = [l for l in facts.letters if f"o{l}" != t.axis]
    last = [Level("c")] if t.deep > 1 else []
    stride = spec.stride[facts.letters.index(t.axis[1:])]
    phases = [Level(t.axis[1:])] if stride > 1 else []
    order = (Level("n"), Level("c", t.deep), *map(Level, others), *phases, Level(t.axis[1:], stride), *last)
    return Pack(spec.weight.name, (Level(LIST),)), Pack(spec.input.name, order)


def reasons(facts: Facts, t: Tile, channels: int) -> tuple[str, ...]:
    """Why it is so."""
    first = f"a weight meets {t.sums} vectors of {t.lanes} outputs along {t.axis}"
    more = f"; {channels} channels of the input at a time stay in the first cache" if channels < facts.spec.ic_per_group else ""
    return (first + more,)


def impossible(spec: ConvSpec) -> str:
    """Why a list cannot walk the weight; "" where it can."""
    if any(size is None for size in spec.out_size):
        return "a size along space is open, and borders are copied to places that must be known."
    if spec.ic_per_group * prod(spec.kernel_size) == 1:
        return "every output has one product."
    return ""


BY_KIND = {"cpu": on_cpu}
