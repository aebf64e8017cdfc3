"""The schedule of a spec on a CPU, from rules: which loop lies in lanes, the register tile, the order around it."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from convjit.machine.machine import Machine
from convjit.schedule import spread
from convjit.schedule.facts import FUSED, Facts
from convjit.schedule.lanes import Lanes, choices
from convjit.schedule.order import around
from convjit.schedule.rolled import CHANNELS, Columns, Rolled
from convjit.schedule.schedule import Schedule
from convjit.schedule.tile import WAYS, Counts, Tile, pieces
from convjit.spec.conv import ConvSpec

COPIED_FROM = 32
"""Channels from which it pays to copy pixels whose channels lie apart."""


LONG = 90
"""Multiply-adds written out in all of a kernel's bodies from which compiling takes some 60 ms …"""

SHORTER = 0.75
"""… so that a tile with this part of them …"""

NEARLY = 1.04
"""… is preferred where it takes at most so many times the cycles."""


def default(spec: ConvSpec, machine: Machine) -> Schedule:
    """The schedule whose tile takes the fewest cycles by the machine's data; nearly so if that saves much code."""
    facts = Facts(spec, machine)
    tiles = sorted(candidates(facts), key=lambda t: (t.cycles, t.acc))
    best = tiles[0]
    most = written(facts, best)
    if most > LONG and not best.spread:
        near = [t for t in tiles if t.cycles <= NEARLY * best.cycles and written(facts, t) <= SHORTER * most]
        if near:
            less, times = near[0].cycles / best.cycles - 1, most / written(facts, near[0])
            reason = f"the tile of the fewest cycles ({less:.1%} less) would have {times:.1f} times the code to compile"
            schedule = around(facts, near[0])
            return replace(schedule, reasons=(*schedule.reasons, reason))
    return around(facts, best)


def written(facts: Facts, t: Tile) -> int:
    """About how many multiply-adds all bodies of a kernel have: borders and the rest of the channels get their own."""
    vectors = sum(n for n, _ in pieces(t.lanes.vectors(facts), t.vectors))
    taps = prod(facts.sizes[tap] for tap in t.spread)
    return spread.bodies(facts, t.lanes, t.vectors, t.counts, t.spread) * vectors * prod(n for _, n in t.counts) * taps


def candidates(facts: Facts) -> list[Tile]:
    """Every register tile that is worth a thought."""
    found: list[Tile] = []
    for lanes in choices(facts):
        written = spread.tiles(facts, lanes) if spread.suits(facts, lanes) else []
        found += written or rolled(facts, lanes)
    return found


def rolled(facts: Facts, lanes: Lanes) -> list[Tile]:
    """Tiles whose sum runs in rolled loops: vectors of the lanes times a run of pixels or of channels."""
    found = shaped(facts, lanes, Rolled(facts, lanes))
    shapes = [(t.vectors, t.counts) for t in found]
    many = facts.sizes[facts.taps[-1]]
    few = lanes.vectors(facts) == 1 or (facts.sizes["c"] <= CHANNELS and many <= 3)
    if few and many > 1 and not facts.in_pairs and (lanes.axis == "oc" or lanes.x == "within") and FUSED not in facts.pixels:
        found += [t for t in shaped(facts, lanes, Columns(facts, lanes)) if alone(facts, t)]
    return found + copying(facts, lanes, shapes)


def alone(facts: Facts, t: Tile) -> bool:
    """Whether the tile is a run of columns."""
    return all(loop == f"o{facts.letters[-1]}" for loop, _ in t.counts)


def shaped(facts: Facts, lanes: Lanes, maker: Rolled) -> list[Tile]:
    """Every shape that has room and fills the pipelines just so, or the registers."""
    most = facts.machine.vector_registers
    shapes: list[tuple[int, Counts]] = []
    for counts in (c for loop, size in beside(facts, lanes).items() for c in runs(facts, loop, size)):
        for vectors in useful(lanes.vectors(facts), most):
            if not maker.fits(vectors, counts):
                break
            shapes.append((vectors, counts))
    largest = max((sums(*shape) for shape in shapes), default=0)
    enough = min(largest, facts.machine.fma_latency * facts.machine.fma_per_cycle)
    wanted = [sums(*shape) for shape in shapes]
    return [
        maker.tile(*shape)
        for shape, n in zip(shapes, wanted, strict=True)
        if n >= enough and (n <= 1.5 * enough or n >= 0.6 * largest)
    ]


def sums(vectors: int, counts: Counts) -> int:
    """Registers that a shape's sums take."""
    return vectors * prod(n for _, n in counts)


def copying(facts: Facts, lanes: Lanes, shapes: list[tuple[int, Counts]]) -> list[Tile]:
    """The same tiles over a copy of some pixels, where the channels of a pixel lie far apart."""
    spec, along = facts.spec, facts.strip
    if not along or facts.step(spec.input, "c") == 1 or facts.sizes["c"] < COPIED_FROM:
        return []
    maker = Rolled(facts, lanes)
    room = facts.machine.cache("L2").bytes // 2
    pixel = facts.sizes["c"] * facts.step(spec.input, along) * facts.element
    largest = max((sums(*shape) for shape in shapes), default=0)
    found = []
    for vectors, counts in shapes:
        own = vectors * lanes.width if lanes.axis == along else dict(counts).get(along, 1)
        chunk = strip(facts, own)
        alone = all(loop in (along, "oc") for loop, _ in counts)
        if chunk and alone and chunk * pixel <= room and sums(vectors, counts) >= 0.7 * largest:
            found.append(maker.tile(vectors, counts, chunk))
    return found


def strip(facts: Facts, own: int) -> int:
    """How many pixels a strip for tiles of so many has: of fused ones about a line, of a row's the tile or a short row."""
    size = facts.pixels[facts.strip]
    if facts.strip != FUSED:
        return size if size <= WAYS else own if 2 * own > WAYS else 0
    chunk = own * max(1, 16 // own)
    return chunk if chunk % facts.lanes == 0 else 0


def runs(facts: Facts, loop: str, size: int) -> list[Counts]:
    """A run of a loop, or whole rows of pixels beside each other."""
    most = facts.machine.vector_registers
    found: list[Counts] = [((loop, n),) if n > 1 else () for n in useful(size, most)]
    rows = [r for r in facts.pixels if loop == f"o{facts.letters[-1]}" and r in ("od", "oh")]
    if rows and size <= most // 2 and not facts.open & {loop, rows[-1]}:
        counts = useful(facts.pixels[rows[-1]], most // size)
        found += [((rows[-1], n), *(((loop, size),) if size > 1 else ())) for n in counts if n > 1]
    return found


def useful(size: int, most: int) -> list[int]:
    """The lengths that cut a loop into so and so many tiles of nearly equal length, shortest first."""
    several = {-(-size // tiles) for tiles in range(1, min(size, 4 * most) + 1)}
    return sorted(n for n in several | {1, *range(2, 9)} if n <= min(most, size))


def beside(facts: Facts, lanes: Lanes) -> dict[str, int]:
    """The loops that a tile may take a run of, besides the lanes: pixels where channels are in lanes, and the other way."""
    if lanes.moves_x and lanes.axis != "g":
        return {"oc": facts.sizes["oc"]}
    column = f"o{facts.letters[-1]}"
    wanted = [loop for loop in facts.pixels if loop in (FUSED, column)]
    short = [loop for loop, n in facts.pixels.items() if n > facts.pixels.get(wanted[0] if wanted else "", 1)]
    return {loop: facts.pixels[loop] for loop in dict.fromkeys([*wanted, *short])} or {"n": 1}
