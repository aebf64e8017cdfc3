"""The register tile of a CPU kernel: which sums are kept in registers at a time, chosen by what a turn of it costs.

A turn multiplies the tile once: `acc` fused multiply-adds, of which the machine starts so many in a cycle, each needing
its sum from the turn before (latency). It loads the operands that the tile needs. Whatever takes longest is the cost,
so a tile that is too small waits, one that is cut badly by the sizes wastes turns, and one that has more sums than
registers is not considered. The same count serves dense, grouped and depthwise convolutions, channels first or last.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, prod

from convjit.schedule.facts import Facts
from convjit.schedule.lanes import Lanes

SWITCH = 2.0
"""Cycles between two tiles: stores, new zeros, loops; as few as that where the tile just fills the pipelines …"""

SWITCH_MORE = 6.0
"""… and so many more for every two sums beyond."""

SWITCH_MOST = 25.0

PART_BYTES = 4096
"""Addresses that differ by a multiple of this lie in the same few lines of the first cache: its ways hold 8 of them."""

WAYS = 8


@dataclass(frozen=True)
class Tile:
    """`vectors` of the lanes side by side, times `counts` of other loops: (("ow", 6),). `spread`: taps written out, ()
    where the sum's loops are all rolled. `cycles` for the whole convolution."""

    lanes: Lanes
    vectors: int
    counts: tuple[tuple[str, int], ...]
    spread: tuple[str, ...]
    cycles: float

    @property
    def acc(self) -> int:
        """Registers that hold sums."""
        return self.vectors * prod(n for _, n in self.counts)

    def count(self, loop: str) -> int:
        """How many of a loop."""
        return dict(self.counts).get(loop, 1)


def pieces(size: int, tile: int) -> list[tuple[int, int]]:
    """(length, how many) of the tiles that a loop is cut into."""
    whole, rest = divmod(size, tile)
    return [(n, times) for n, times in ((tile, whole), (rest, 1)) if n and times]


def switch(acc: int, facts: Facts) -> float:
    """Cycles from one tile to the next."""
    full = facts.machine.fma_latency * facts.machine.fma_per_cycle
    return min(SWITCH_MOST, SWITCH + SWITCH_MORE * max(0, acc - full) / 2)


def moves_x(loop: str) -> bool:
    """Whether the input moves along a loop of the output."""
    return loop != "oc"


def moves_w(loop: str) -> bool:
    """Whether the weight moves along a loop of the output."""
    return loop in ("g", "oc")


def elements(lanes: Lanes, vectors: int, counts: tuple[tuple[str, int], ...]) -> tuple[int, int]:
    """How many registers' worth of the input and of the weight a tile touches in a turn."""
    x = prod(n for loop, n in counts if moves_x(loop)) * (vectors if lanes.moves_x else 1)
    w = prod(n for loop, n in counts if moves_w(loop)) * (vectors if lanes.moves_w else 1)
    return x, w


def fits(facts: Facts, lanes: Lanes, vectors: int, counts: tuple[tuple[str, int], ...], spread: bool) -> bool:
    """Whether sums and operands have room in the registers."""
    acc = vectors * prod(n for _, n in counts)
    if spread:  # neighbours of the input live on from tap to tap
        return acc <= facts.registers // 2
    x, w = elements(lanes, vectors, counts)
    held, stream = (x, w) if x <= w else (w, x)
    if held == 1 and (facts.machine.masks or not lanes.needs_register(x <= w)):
        stream = 0  # read by the multiply-add itself
    spare = 1 if facts.registers > 16 or not facts.machine.vector_bits else 0  # without a fused one, the product
    return acc + held + min(stream, 1) + spare <= facts.registers


def turn(facts: Facts, lanes: Lanes, vectors: int, counts: tuple[tuple[str, int], ...], block: int) -> float:
    """Cycles of one turn of a rolled loop. `block`: bytes of the weight that tiles of this kind read again and again."""
    machine = facts.machine
    acc = vectors * prod(n for _, n in counts)
    x, w = elements(lanes, vectors, counts)
    loads = x * lanes.x_cost + w
    work = max(ceil(acc / machine.fma_per_cycle), machine.fma_latency, loads / machine.loads_per_cycle)
    stream = w * (lanes.width if lanes.moves_w else 1) * facts.element / machine.cache("L2").bandwidth
    far = block > machine.cache("L1").bytes // 2
    return max(work, stream if far else 0.0) + (0.1 * stream if far else 0.0) + 0.02 * (loads + w)


def crowded(facts: Facts, counts: tuple[tuple[str, int], ...]) -> float:
    """How much slower: lines of the input that push each other out of the first cache in every turn."""
    spec = facts.spec
    if facts.step(spec.input, "c") != 1:
        return 1.0
    for loop, n in counts:
        step = facts.step(spec.input, loop) * facts.element
        if moves_x(loop) and step and n * step // PART_BYTES and n > WAYS * max(1, PART_BYTES // gcd_power(step)):
            return 2.0
    return 1.0


def gcd_power(step: int) -> int:
    """The largest power of two that divides it, at most PART_BYTES."""
    return min(step & -step, PART_BYTES)


def rolled(facts: Facts, lanes: Lanes, vectors: int, counts: tuple[tuple[str, int], ...]) -> Tile:
    """A tile whose sum runs in rolled loops."""
    block = vectors * lanes.width * facts.depth * facts.element if lanes.moves_w else 0
    sizes = {loop: lanes.vectors(facts) if loop == lanes.axis else n for loop, n in outputs(facts, lanes).items()}
    cut = [(loop, pieces(sizes[loop], n)) for loop, n in ((lanes.axis, vectors), *counts)]
    outside = prod(n for loop, n in sizes.items() if loop not in dict(cut))
    total = 0.0
    for parts in combinations(cut):
        own = dict(parts)
        here = own.pop(lanes.axis)
        inner = tuple((loop, n) for loop, (n, _) in own.items())
        times = here[1] * prod(t for _, t in own.values())
        acc = here[0] * prod(n for _, n in inner)
        cost = facts.depth * turn(facts, lanes, here[0], inner, block)
        total += times * (cost + switch(acc, facts) + acc * lanes.store_cost(facts, inner))
    return Tile(lanes, vectors, counts, (), total * outside * crowded(facts, counts))


def outputs(facts: Facts, lanes: Lanes) -> dict[str, int]:
    """The loops of the output and their sizes."""
    sizes = {**facts.pixels, "g": facts.sizes["g"], "oc": facts.sizes["oc"]}
    return {loop: n for loop, n in sizes.items() if loop not in lanes.inner}


def combinations(cut: list[tuple[str, list[tuple[int, int]]]]) -> list[list[tuple[str, tuple[int, int]]]]:
    """Every choice of one piece for each loop."""
    found: list[list[tuple[str, tuple[int, int]]]] = [[]]
    for loop, parts in cut:
        found = [[*rest, (loop, part)] for rest in found for part in parts]
    return found
