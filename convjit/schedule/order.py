"""The lines around a register tile: which loops run outside it and in which order, what is packed, what workers share."""

from __future__ import annotations

from convjit.schedule.facts import FUSED, Facts
from convjit.schedule.lanes import Lanes
from convjit.schedule.schedule import Fuse, Item, Level, Pack, Phase, Prefetch, Schedule, Stage
from convjit.schedule.spread import by_position
from convjit.schedule.tile import WAYS, Tile, crowd

SHARED_FROM = 30_000
"""Cycles of work from which workers share it: waking one costs some ten thousand."""

ROWS = 8
"""Rows of a large image that stay close while all blocks of channels pass by."""

FEW = 2
"""Vectors of a row of the image that are walked one after another, all rows under each."""

PREFETCH = 8
"""Vectors of channels by which the weight is asked for ahead."""

DEEP, LONG = 4, 8
"""Channels that an instruction sums up, and turns of the innermost loop, from which two turns are written out."""

CHANNELS = 8
"""Channels at a time where they lie far apart: their lines of the input stay in the first cache for all taps."""


def around(facts: Facts, tile: Tile) -> Schedule:
    """The whole schedule."""
    inner = sums(facts, tile)
    pack = Pack(facts.spec.weight.name, packed(facts, tile, inner))
    turn = written(facts, tile)
    if twice(facts, tile):
        summed = tile.lanes.summed(facts)
        inner, turn = [*inner[:-1], Level("c", 2 * summed)], [Level("c", summed, "unroll"), *turn]
    items: list[Item] = [*outer(facts, tile), Stage(facts.spec.output.name), *inner, *turn]
    fuses = (Fuse(FUSED, facts.fused),) if facts.fused else ()
    phase = Phase(tuple(items), packs=(pack,), fuses=fuses, prefetches=ahead(facts, tile, inner))
    return Schedule((phase,), "output_stationary", reasons(facts, tile))


# --- outside the registers


def outer(facts: Facts, tile: Tile) -> list[Item]:
    """The loops over tiles; those that workers share are the outermost of their axes."""
    sizes = {**facts.pixels, "g": facts.sizes["g"], "oc": facts.sizes["oc"]}
    steps = {loop: tile.step(loop) for loop in sizes if loop not in tile.lanes.inner}
    order = [loop for loop in in_order(facts, tile) if sizes[loop] > 1 or loop in facts.open]
    found = [Level(loop, steps[loop]) for loop in order if loop in steps]
    rows = row_block(facts, tile)
    if rows:
        found.insert(next(i for i, l in enumerate(found) if l.axis in ("g", "oc")), Level(rows, ROWS))
    if tile.cycles >= SHARED_FROM or "n" in facts.open:
        found = shared(found, sizes, facts.open)
    if not tile.chunk:
        return [*found]
    copy: list[Item] = [Stage(facts.spec.input.name, "scratch")]
    place = next(i for i, l in enumerate(found) if l.axis == facts.strip)
    if found[place].step == tile.chunk:
        return [*found[: place + 1], *copy, *found[place + 1 :]]
    chunks = Level(facts.strip, tile.chunk, found[place].kind)
    return [*found[:place], chunks, *copy, *found[place + 1 :], Level(facts.strip, steps[facts.strip])]


def in_order(facts: Facts, tile: Tile) -> list[str]:
    """Outermost first. Where taps are written out memory is walked in order. Else
    a block of the weight stays in the caches while pixels pass by; or, without taps, a few pixels
    stay in the first while all of the weight passes from the second."""
    pixels = list(facts.pixels)
    before = [p for p in pixels if p == "n"]
    after = [p for p in pixels if p != "n"]
    if tile.deep:
        if tile.lanes.axis not in ("g", "oc"):
            return [*before, "g", "oc", *columns_first(facts, tile, after)]
        inner = ["oc", "g"] if tile.lanes.axis == "g" else ["g", "oc"]
        return [*pixels, *inner]
    if tile.lanes.x == "within":
        return [*pixels, "g", "oc"]  # the groups of a pixel lie side by side
    if tile.chunk or (FUSED in pixels and pixels_stay(facts)):
        along = facts.strip if tile.chunk else FUSED
        return ["g", *(p for p in pixels if p != along), along, "oc"]
    return ["g", "oc", *pixels]


def columns_first(facts: Facts, tile: Tile, pixels: list[str]) -> list[str]:
    """Columns that lie in lanes go outermost where they are a few vectors: each gets its mask and its border once,
    and rows of its own below. Where masks cost nothing, memory is better walked in order."""
    column = tile.lanes.axis
    alone = facts.machine.masks and not by_position(facts, tile.lanes, tile.counts, tile.spread)
    few = column in pixels and tile.lanes.vectors(facts) <= (1 if alone else FEW)
    return [column, *(p for p in pixels if p != column)] if few else pixels


def pixels_stay(facts: Facts) -> bool:
    """Whether the whole weight stays in the second cache, and the input does not."""
    room = facts.machine.cache("L2").bytes
    weight = facts.sizes["oc"] * facts.depth * facts.element
    return weight <= room and facts.image > room // 2


def row_block(facts: Facts, tile: Tile) -> str:
    """The rows that are walked a few at a time, all channels in turn, where the image is far larger than the caches."""
    rows = [p for p in facts.pixels if p in ("od", "oh")]
    far = facts.image > facts.machine.cache("L2").bytes and facts.sizes["oc"] > tile.step("oc")
    if tile.deep or not rows or not far or facts.depth == facts.sizes["c"] or tile.lanes.moves_x:
        return ""
    last = rows[-1]
    return last if facts.pixels[last] >= 4 * ROWS and tile.count(last) == 1 and last not in facts.open else ""


def shared(found: list[Level], sizes: dict[str, int], unknown: frozenset[str]) -> list[Level]:
    """Workers share images, rows, groups and blocks of channels: the outermost loop of each axis that has several tiles.
    A row is not cut into columns, nor what lies inside the columns, unless nothing else is there."""
    column = next((i for i, l in enumerate(found) if l.axis == "ow"), len(found))
    several = [i for i, l in enumerate(found) if sizes[l.axis] > l.step or l.axis in unknown]
    several = [i for i in several if found[i].axis not in (o.axis for o in found[:i])]
    chosen = [i for i in several if i < column] or several[:1]
    return [Level(l.axis, l.step, "thread") if i in chosen else l for i, l in enumerate(found)]


# --- the sum, and what is written out


def sums(facts: Facts, tile: Tile) -> list[Level]:
    """The loops over products: in the order in which the input lies in memory."""
    taps = [t for t in facts.taps if facts.sizes[t] > 1 and t not in tile.spread]
    if tile.deep:
        return [Level(t) for t in taps]
    deep = facts.sizes["c"]
    if deep == 1 or facts.step(facts.spec.input, "c") == 1 or not taps:
        return [*map(Level, taps), Level("c", tile.lanes.summed(facts))]
    block = CHANNELS
    while block > 2 and crowd(facts.step(facts.spec.input, "c") * facts.element, block) > WAYS // 2:
        block //= 2
    if deep <= block:
        return [Level("c"), *map(Level, taps)]
    return [Level("c", block), *map(Level, taps), Level("c")]


def twice(facts: Facts, tile: Tile) -> bool:
    """Whether two turns of the innermost sum are written out: where a core starts hardly more instructions than the tile has
    (another thread has half of it), the loop's own count."""
    summed, deep = tile.lanes.summed(facts), facts.sizes["c"]
    room = 4 * tile.acc <= 3 * facts.registers  # or LLVM moves sums through memory
    return facts.machine.masks and room and summed >= DEEP and deep % (2 * summed) == 0 and deep >= LONG * summed


def written(facts: Facts, tile: Tile) -> list[Level]:
    """The loops of the tile, innermost last: the operand with fewer values is the one that is held."""
    lanes = tile.lanes
    own = [Level(loop, 1, "unroll") for loop, n in tile.counts if n > 1]
    step = dict(lanes.loops)[lanes.axis] if lanes.width > 1 else 1
    vectors = [Level(lanes.axis, step, "unroll")] if tile.vectors > 1 or lanes.width == 1 else []
    if tile.spread and not tile.deep:
        own += [Level(t, 1, "unroll") for t in tile.spread]
    held_last = [*own, *vectors] if tile.spread or tile.vectors * tile.vectors <= tile.acc else [*vectors, *own]
    tail = [Level(loop, 1, "simd") for loop, _ in lanes.loops] if lanes.width > 1 else []
    dot = [Level("c", 1, "dot")] if lanes.summed(facts) > 1 else []
    return [*spread_taps(facts, tile, held_last), *tail, *dot]


def spread_taps(facts: Facts, tile: Tile, own: list[Level]) -> list[Level]:
    """Taps that are written out, and the tile's own loops: rows of taps, channels, then columns of the tile by taps. By
    position: rows of the input, columns of taps, channels, then the taps of a row."""
    if not tile.deep:
        return own
    taps = [Level(t, 1, "unroll") for t in tile.spread]
    deep = [Level("c", 1, "unroll")]
    if by_position(facts, tile.lanes, tile.counts, tile.spread):
        ((rows, _),) = tile.counts
        tap = f"k{rows[1:]}"
        vectors = [l for l in own if l.axis != rows]
        return [Level(rows, 1, "unroll", tap), *(t for t in taps if t.axis != tap), *deep, Level(tap, 1, "unroll"), *vectors]
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
        block = tile.step(lanes.axis)
        other = "oc" if lanes.axis == "g" else "g"
        head = [] if other in lanes.inner else [Level(other)]
        tail, dot = [Level(loop) for loop, _ in lanes.loops], [Level("c")] * (lanes.summed(facts) > 1)
        if block == 1:
            return tuple([*head, *tail, *loops, *dot])
        return tuple([*head, Level(lanes.axis, block), *loops, *tail, *dot])
    count = tile.count("oc")
    block_ = [Level("oc", count)] if count > 1 else []
    return tuple([Level("g"), *block_, *loops, Level("oc")])


def ahead(facts: Facts, tile: Tile, inner: list[Level]) -> tuple[Prefetch, ...]:
    """Ask for the weight ahead where it streams by: once for each line, so where a vector is a line, or where it comes
    from far away."""
    machine = facts.machine
    if tile.lanes.x == "within" and far(facts, tile):
        rows = [l for l in inner if l.axis in facts.taps[:-1]]
        return (Prefetch(facts.spec.input.name, rows[-1], 1),) if rows else ()
    loops = [l for l in inner if l.axis == "c"]
    if tile.deep or not tile.lanes.moves_w or len(loops) != 1 or facts.sizes["c"] < 2 * PREFETCH:
        return ()
    turns = loops[0].step // tile.lanes.summed(facts)
    if turns > 1 and len(inner) > 1:
        return ()  # with taps the processor asks by itself; each request takes the place of another instruction
    block = tile.step(tile.lanes.axis) * facts.depth * facts.element
    near = block <= machine.cache("L1").bytes // 2
    whole = facts.sizes["g"] * facts.sizes["oc"] * facts.depth * facts.element
    line = tile.lanes.width * tile.lanes.summed(facts) * facts.element >= machine.cache("L2").line
    near_enough = machine.cache("L3").bytes // 2 if tile.lanes.spare(facts) else machine.cache("L2").bytes
    wanted = (line and not near) or whole > near_enough  # a request takes the place of another instruction
    return (Prefetch(facts.spec.weight.name, loops[0], PREFETCH // turns),) if wanted else ()


def far(facts: Facts, tile: Tile) -> bool:
    """Whether the input comes from behind the second cache in vectors that are lines, pixel by pixel: the row after
    the one that is multiplied is asked for, which is the next row of outputs' last."""
    machine = facts.machine
    whole = tile.lanes.width * facts.element >= machine.cache("L2").line
    return whole and facts.image * facts.sizes["g"] > machine.cache("L2").bytes


# --- why


def reasons(facts: Facts, tile: Tile) -> tuple[str, ...]:
    """What was decided, for people."""
    lanes, machine = tile.lanes, facts.machine
    named = " x ".join(f"{n} of {loop}" for loop, n in lanes.loops)
    found = [f"{named} lie in the {lanes.width} lanes of a vector"] if lanes.width > 1 else []
    if lanes.summed(facts) > 1:
        found.append(f"an instruction sums up the products of {lanes.summed(facts)} neighbouring channels")
    shape = " x ".join([*(f"{n} {loop}" for loop, n in tile.counts), f"{tile.vectors} vectors"])
    found.append(f"a tile of {shape} keeps {tile.acc} of {machine.vector_registers} registers busy")
    if facts.fused:
        found.append(f"{'.'.join(facts.fused)} lie side by side in memory and are walked as one loop")
    share = facts.operations / lanes.width / lanes.summed(facts) / machine.fma_per_cycle / max(tile.cycles, 1.0)
    found.append(f"by its count of instructions it reaches {min(share, 1.0):.0%} of the machine's multiply-adds")
    return tuple(found)
