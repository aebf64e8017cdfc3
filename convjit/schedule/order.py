"""The lines around a register tile: which loops run outside it and in which order, what is packed, what workers share."""

from __future__ import annotations

from math import prod

from convjit.schedule.facts import FUSED, Facts
from convjit.schedule.lanes import Lanes
from convjit.schedule.schedule import Fuse, Item, Level, Pack, Phase, Schedule, Stage
from convjit.schedule.tile import Tile

SHARED_FROM = 30_000
"""Cycles of work from which workers share it: waking one costs some ten thousand."""

CHANNELS = 8
"""Channels at a time where they lie far apart: their lines of the input stay in the first cache for all taps."""


def around(facts: Facts, tile: Tile) -> Schedule:
    """The whole schedule."""
    inner = sums(facts, tile)
    items: list[Item] = [*outer(facts, tile), Stage(facts.spec.output.name), *inner, *written(tile)]
    pack = Pack(facts.spec.weight.name, packed(facts, tile, inner))
    fuses = (Fuse(FUSED, facts.fused),) if facts.fused else ()
    phase = Phase(tuple(items), packs=(pack,), fuses=fuses)
    return Schedule((phase,), "output_stationary", reasons(facts, tile))


# --- outside the registers


def outer(facts: Facts, tile: Tile) -> list[Level]:
    """The loops over tiles; those that workers share are the outermost of their axes."""
    sizes = {**facts.pixels, "g": facts.sizes["g"], "oc": facts.sizes["oc"]}
    steps = {loop: step_of(tile, loop) for loop in sizes if loop not in tile.lanes.inner}
    order = [loop for loop in loops_in_order(facts, tile) if loop in steps]
    found = [Level(loop, steps[loop]) for loop in order if sizes[loop] > 1 or loop in facts.open]
    block = pixel_block(facts, tile) if order[0] == FUSED else 0
    if block:
        found.insert(0, Level(FUSED, block))
    if tile.cycles < SHARED_FROM:
        return found
    return shared(found, sizes)


def step_of(tile: Tile, loop: str) -> int:
    """How far a tile reaches along a loop."""
    if loop == tile.lanes.axis:
        return tile.vectors * dict(tile.lanes.loops)[loop]
    return tile.count(loop)


def loops_in_order(facts: Facts, tile: Tile) -> list[str]:
    """Outermost first. Where taps are written out memory is walked in order; else a block of the weight stays in the
    caches while pixels pass by, or pixels stay while the weight does, if that reads less."""
    pixels = list(facts.pixels)
    if tile.spread:
        if tile.lanes.axis in ("g", "oc"):
            return [*pixels, "oc", "g"] if tile.lanes.axis == "g" else [*pixels, "g", "oc"]
        return ["n", "g", "oc", *(p for p in pixels if p != "n")] if "n" in pixels else ["g", "oc", *pixels]
    if pixels_stay(facts, tile):
        *rows, column = pixels
        return ["g", *rows, "oc", column] if column != FUSED else [*rows, "g", column, "oc"]
    return ["g", "oc", *pixels]


def pixels_stay(facts: Facts, tile: Tile) -> bool:
    """Whether the input, read once for every block of channels, would come from far away too often."""
    machine = facts.machine
    blocks = -(-facts.sizes["oc"] // step_of(tile, "oc"))
    weight = facts.sizes["oc"] * facts.depth * facts.element
    image = facts.spec.input.elements or 0
    image = image * facts.element // facts.sizes["g"]
    room = machine.cache("L2").bytes // 2
    far = image * (blocks - 1) / machine.cache("L3").bandwidth * facts.sizes["g"]
    return image > room >= weight and far > tile.cycles / 4


def pixel_block(facts: Facts, tile: Tile) -> int:
    """Pixels that stay in the first cache while all channels pass by: whole tiles."""
    row = facts.sizes["c"] * facts.element
    room = facts.machine.cache("L1").bytes // 2 // row
    step = tile.count(FUSED)
    return max(1, room // step) * step


def shared(found: list[Level], sizes: dict[str, int]) -> list[Level]:
    """Workers share images, rows, groups and blocks of channels: the outermost loop of each axis that has several tiles.
    A row is not cut into columns, nor what lies inside the columns, unless nothing else is there."""
    column = next((i for i, l in enumerate(found) if l.axis == "ow"), len(found))
    several = [i for i, l in enumerate(found) if sizes[l.axis] > l.step and l.axis not in (o.axis for o in found[:i])]
    chosen = [i for i in several if i < column] or several[:1]
    return [Level(l.axis, l.step, "thread") if i in chosen else l for i, l in enumerate(found)]


# --- the sum, and what is written out


def sums(facts: Facts, tile: Tile) -> list[Level]:
    """The loops over products: in the order in which the input lies in memory."""
    taps = [t for t in facts.taps if facts.sizes[t] > 1]
    if tile.spread:
        rolled = [Level(t) for t in taps if t not in tile.spread]
        return rolled
    deep = facts.sizes["c"]
    if deep == 1 or facts.step(facts.spec.input, "c") == 1 or not taps:
        return [*map(Level, taps), Level("c")]
    if deep <= CHANNELS:
        return [Level("c"), *map(Level, taps)]
    return [Level("c", CHANNELS), *map(Level, taps), Level("c")]


def written(tile: Tile) -> list[Level]:
    """The loops of the tile, innermost last: the operand with fewer values is the one that is held."""
    lanes = tile.lanes
    own = [Level(loop, 1, "unroll") for loop, n in tile.counts if n > 1]
    step = dict(lanes.loops)[lanes.axis]
    if lanes.width == 1:
        return [*spread_taps(tile, own), Level(lanes.axis, 1, "unroll")]
    vectors = [Level(lanes.axis, step, "unroll")] if tile.vectors > 1 else []
    tail = [Level(loop, 1, "simd") for loop, _ in lanes.loops]
    return [*spread_taps(tile, [*own, *vectors]), *tail]


def spread_taps(tile: Tile, own: list[Level]) -> list[Level]:
    """Taps that are written out, and the tile's own loops: rows of taps, channels, then columns of the tile by taps."""
    if not tile.spread:
        return own
    taps = [Level(t, 1, "unroll") for t in tile.spread]
    deep = [Level("c", 1, "unroll")]
    if tile.lanes.x == "within":
        return [*taps[:-1], *deep, *own, taps[-1]]
    return [*taps, *deep, *own]


def packed(facts: Facts, tile: Tile, inner: list[Level]) -> tuple[Level, ...]:
    """The weight in the order in which the tile reads it."""
    loops = [Level(l.axis, l.step) for l in inner]
    named = {l.axis for l in loops}
    loops += [Level(t) for t in (*facts.taps, "c") if t not in named]
    lanes: Lanes = tile.lanes
    if lanes.moves_w:
        block = step_of(tile, lanes.axis)
        other = "oc" if lanes.axis == "g" else "g"
        head = [] if other in lanes.inner else [Level(other)]
        tail = [Level(loop) for loop, _ in lanes.loops]
        return tuple([*head, Level(lanes.axis, block), *loops, *tail]) if block > 1 else tuple([*head, *tail, *loops])
    count = tile.count("oc")
    block_ = [Level("oc", count)] if count > 1 else []
    return tuple([Level("g"), *block_, *loops, Level("oc")])


# --- why


def reasons(facts: Facts, tile: Tile) -> tuple[str, ...]:
    """What was decided, for people."""
    lanes, machine = tile.lanes, facts.machine
    named = " x ".join(f"{n} of {loop}" for loop, n in lanes.loops)
    found = [f"{named} lie in the {lanes.width} lanes of a vector"] if lanes.width > 1 else []
    shape = " x ".join([*(f"{n} {loop}" for loop, n in tile.counts), f"{tile.vectors} vectors"])
    found.append(f"a tile of {shape} keeps {tile.acc} of {machine.vector_registers} registers busy")
    if facts.fused:
        found.append(f"{'.'.join(facts.fused)} lie side by side in memory and are walked as one loop")
    share = facts.operations / lanes.width / machine.fma_per_cycle / max(tile.cycles, 1.0)
    found.append(f"by its count of instructions it reaches {min(share, 1.0):.0%} of the machine's multiply-adds")
    return tuple(found)


def footprint(facts: Facts) -> int:
    """Bytes of the packed weight."""
    return prod((facts.sizes["g"], facts.sizes["oc"], facts.depth, facts.element))
