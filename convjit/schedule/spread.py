"""Register tiles with the taps written out: depthwise and small groups, where a sum is too short for rolled loops.

A value of the input is loaded once and used by every tap that reaches it. Rolled loops over the kernel's rows keep the
code short; written out as well, they let rows of outputs share rows of the input.
"""

from __future__ import annotations

from math import prod

from convjit.schedule.facts import Facts
from convjit.schedule.lanes import Lanes
from convjit.schedule.tile import ISSUE, Counts, Tile, crowd, pieces

MOST = 4
"""Channels of a group that are written out."""

INSTANCES = 760
"""Multiply-adds in all of a kernel's bodies: beyond that compiling takes too long."""

SUMS = 8
"""Sums at a time: with more, what taps share no longer stays in registers beside them."""

SUMS_OF_ROWS = 4
"""The same where neighbouring columns lie in lanes and all taps are written out, but for images of few rows."""

ROWS = 16
"""Rows of a tile at most. Those of a tile that is walked by position take what they share one row at a time."""

SWITCH = 4.0
"""Cycles between two tiles."""

PASS = 3.0
"""Cycles that a rolled loop over rows of taps adds to each of them."""

QUEUED = 2.0
"""How much dearer a load that is hidden is than in rolled loops: few multiply-adds stand beside it."""

MISSED = 0.03
"""Cycles that a load takes longer for lines that share a place of the first cache, by the square of their number …"""

FREE = 3
"""… beyond so many …"""

MISSED_MOST = 8.0
"""… but no more than that."""

STREAMS, SPREAD_OUT = 5, 1.2
"""Rows of a far input that are read at a time before a tile slows down, and how much, where every second column is read."""


def suits(facts: Facts, lanes: Lanes) -> bool:
    """Whether the sum is short, and nothing but the taps reuses what is loaded."""
    deep = facts.sizes["c"]
    most = {"g": MOST, "oc": 0}.get(lanes.axis, 1)
    return deep <= most and facts.spec.groups > 1


def tiles(facts: Facts, lanes: Lanes) -> list[Tile]:
    """Every tile of rows and columns that the registers hold."""
    *rows, column = [f"o{l}" for l in facts.letters]
    if column not in facts.pixels:
        rows, column = [], next(iter(reversed(facts.pixels)))
    found = []
    most = min(SUMS, facts.registers // 2)
    if lanes.axis == column:
        few = few_tiles(facts, rows)
        shapes = [(r, v) for v in (1, 2, 4) for r in sorted({1, 2, 3, 4, 8} | few) if r * v <= most and (r == 1 or rows)]
        shapes += [(r, 1) for r in sorted(few) if r > most]
        options = [(v, ((rows[-1], r),) if r > 1 else ()) for r, v in shapes]
    else:
        shapes = [(r, c) for r in (1, 2, 4) for c in range(1, most + 1) if r * c <= most and (r == 1 or rows)]
        options = [(1, (*(((rows[-1], r),) if r > 1 else ()), (column, c))) for r, c in shapes]
    for vectors, counts in options:
        if all(n <= facts.pixels.get(loop, 1) for loop, n in counts):
            found += [tile for spread in spreads(facts) if (tile := measured(facts, lanes, vectors, counts, spread))]
    return found


def few_tiles(facts: Facts, rows: list[str]) -> set[int]:
    """All rows of a small image, or half of them."""
    size = facts.pixels[rows[-1]] if rows and rows[-1] not in facts.open else 1
    return {size // tiles for tiles in (1, 2) if size % tiles == 0 and size // tiles <= ROWS}


def rows_in(facts: Facts, counts: Counts) -> Counts:
    """What a tile has of rows."""
    return tuple((loop, n) for loop, n in counts if loop in [f"o{l}" for l in facts.letters[:-1]])


def by_position(facts: Facts, lanes: Lanes, counts: Counts, spread: tuple[str, ...]) -> bool:
    """Whether a tile's rows are walked by position: each row of the input is read, added to the sums that it meets, and done
    with. Where they are few, LLVM orders all products better."""
    rows = rows_in(facts, counts)
    if lanes.axis != f"o{facts.letters[-1]}" or len(rows) != 1 or f"k{rows[0][0][1:]}" not in spread:
        return False
    loop, many = rows[0]
    place = facts.letters.index(loop[1:])
    plain = (facts.spec.stride[place], facts.spec.dilation[place]) == (1, 1)
    return plain and many > facts.registers // 4 and facts.sizes[loop] % many == 0


def spreads(facts: Facts) -> list[tuple[str, ...]]:
    """Which taps are written out: the columns, or all."""
    *rows, column = facts.taps
    several = tuple(r for r in rows if facts.sizes[r] > 1)
    return [(column,), (*several, column)] if several else [(column,)]


def bodies(facts: Facts, lanes: Lanes, vectors: int, counts: Counts, spread: tuple[str, ...]) -> int:
    """Into how many bodies the borders cut the loops."""
    found = 1
    for place, letter in enumerate(facts.letters):
        loop, tap = f"o{letter}", f"k{letter}"
        tile = vectors * lanes.width if loop == lanes.axis else dict(counts).get(loop, 1)
        if tap not in spread and tile == 1:
            continue  # rolled taps are clipped
        step = facts.spec.stride[place] * tile
        cuts = [0 if tap in spread else min(p, facts.sizes[tap] - 1) for p in facts.spec.pad[place]]  # of rolled taps
        borders = sum(-(-p // step) * (1 + cut) for p, cut in zip(facts.spec.pad[place], cuts, strict=True))
        found *= min(1 + borders + bool(facts.sizes[loop] % tile), -(-facts.sizes[loop] // tile) * (1 + max(cuts)))
    overhang = lanes.axis in ("g", "oc") and facts.sizes[lanes.axis] % dict(lanes.loops)[lanes.axis]
    return found * (2 if overhang else 1)


def measured(
    facts: Facts, lanes: Lanes, vectors: int, counts: Counts, spread: tuple[str, ...]
) -> Tile | None:
    """The tile with its cycles; None where its code is too long."""
    acc = vectors * prod(n for _, n in counts)
    taps, deep = prod(facts.sizes[t] for t in spread), facts.sizes["c"]
    passes = prod(facts.sizes[t] for t in facts.taps if t not in spread)
    whole = bodies(facts, lanes, vectors, counts, spread) * acc * taps * deep
    if whole > INSTANCES and (acc > 4 or len(spread) > 1):
        return None
    position = by_position(facts, lanes, counts, spread)
    if acc > SUMS and not position:
        return None
    waiting = most_of_rows(facts, counts) if len(spread) > 1 and not position else 0
    if not lanes.moves_w and acc > 1 and not held(facts, acc, taps * deep, waiting):
        return None
    x = rows_of(facts, counts, spread) * columns_of(facts, lanes, vectors, counts) * deep
    w = taps * deep
    loads = x * lanes.x_cost * lanes.crossing(facts) + w
    shuffles = x if lanes.x in ("within", "second") else 0
    issue = (acc * taps * deep + x + w + shuffles) / ISSUE
    machine = facts.machine
    one = max(acc * taps * deep / machine.fma_per_cycle, loads / machine.loads_per_cycle, issue, machine.fma_latency)
    cost = passes * (one + QUEUED * machine.load_cost * loads + PASS + x * missed(facts, lanes, min(passes, 3) * x // deep))
    cost += SWITCH + acc * lanes.store_cost(facts, counts) + fetched(facts, lanes, counts)
    far = facts.image * facts.sizes["g"] > 2 * facts.machine.cache("L2").bytes
    if far and lanes.x == "second" and rows_of(facts, counts, spread) > STREAMS:
        cost *= SPREAD_OUT
    return Tile(lanes, vectors, counts, spread, cost * turns(facts, lanes, vectors, counts), deep=True)


def held(facts: Facts, acc: int, weights: int, most: int) -> bool:
    """Whether sums and weights, each of them a register of equal numbers, leave room; `most` sums at a time, and two thirds of
    the registers' weights, where the input waits in registers, too (0: it does not)."""
    room = acc <= most and 3 * weights <= 2 * facts.registers if most else True
    return room and acc + weights <= facts.registers - 2


def most_of_rows(facts: Facts, counts: Counts) -> int:
    """Sums of a tile that shares rows of the input among written out taps."""
    few = any(n in few_tiles(facts, [loop]) for loop, n in rows_in(facts, counts)[-1:])
    return facts.registers // 4 if few else SUMS_OF_ROWS


def fetched(facts: Facts, lanes: Lanes, counts: Counts) -> float:
    """Cycles of a tile for lines that the first cache no longer has: those of rows above, which are one row of tiles
    old, and those of columns where all channels of a tile are more than it holds."""
    machine, letters = facts.machine, facts.letters
    if lanes.axis != "g" or lanes.inner:
        return 0.0
    rows = prod(reach(facts, l, dict(counts).get(f"o{l}", 1)) for l in letters[:-1])
    many = dict(counts).get(f"o{letters[-1]}", 1)
    columns = reach(facts, letters[-1], many)
    held = rows * columns * facts.sizes["g"] * facts.sizes["c"] * facts.element <= machine.cache("L1").bytes // 2
    lines = rows * (min(columns, many * facts.spec.stride[-1]) if held else columns) * lanes.width * facts.sizes["c"] * facts.element
    return lines / machine.cache("L2").bandwidth


def missed(facts: Facts, lanes: Lanes, lines: int) -> float:
    """Cycles that a load takes longer where so many pixels, a power of two apart, push each other out of the first
    cache: as many as share a place of it, squared."""
    whole = lanes.width * facts.element >= facts.machine.cache("L1").line  # no neighbour comes back for the rest
    if lanes.axis != "g" or lanes.x != "neighbours" or whole:
        return 0.0
    step = facts.step(facts.spec.input, list(facts.pixels)[-1]) * facts.element
    together = crowd(step, lines)
    return min(MISSED_MOST, MISSED * together * together) if together > FREE else 0.0


def rows_of(facts: Facts, counts: Counts, spread: tuple[str, ...]) -> int:
    """Rows of the input that a pass over a tile reads."""
    found = 1
    for letter in facts.letters[:-1]:
        many, tap = dict(counts).get(f"o{letter}", 1), f"k{letter}"
        found *= reach(facts, letter, many) if tap in spread else many
    return found


def columns_of(facts: Facts, lanes: Lanes, vectors: int, counts: Counts) -> int:
    """Loads along a row; with columns in lanes every tap has its own."""
    letter = facts.letters[-1]
    if lanes.axis == f"o{letter}":
        return vectors * facts.sizes[f"k{letter}"]
    return reach(facts, letter, dict(counts).get(f"o{letter}", 1))


def reach(facts: Facts, letter: str, many: int) -> int:
    """Positions of the input under so many neighbouring outputs."""
    place = facts.letters.index(letter)
    kernel, stride = facts.sizes[f"k{letter}"], facts.spec.stride[place]
    dilation = facts.spec.dilation[place]
    apart = many * kernel
    return min(apart, (many - 1) * stride + (kernel - 1) * dilation + 1)


def turns(facts: Facts, lanes: Lanes, vectors: int, counts: Counts) -> float:
    """How many tiles there are; one that is cut takes nearly as much less time as it is shorter."""
    sizes = {**facts.pixels, "g": facts.sizes["g"], "oc": facts.sizes["oc"]}
    found = 1.0
    for loop, size in sizes.items():
        if loop in lanes.inner:
            continue
        tile = vectors if loop == lanes.axis else dict(counts).get(loop, 1)
        whole = lanes.vectors(facts) if loop == lanes.axis else size
        found *= sum(times * (0.25 + 0.75 * n / tile) for n, times in pieces(whole, tile))
    return found
