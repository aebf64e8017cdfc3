"""What the turns of a tile cost: a choice is the tile that takes the fewest cycles.

A turn multiplies the tile once: `acc` fused multiply-adds, of which the machine starts so many in a cycle, each needing
its sum from the turn before (latency). It loads the operands that the tile needs. Whatever takes longest is the cost,
so a tile that is too small waits, one that is cut badly by the sizes wastes turns, and one that has more sums than
registers is not considered. The same count serves dense and grouped convolutions, channels first or last.
"""

from __future__ import annotations

from math import ceil, prod

from convjit.schedule.facts import Facts
from convjit.schedule.fetching import Fetching
from convjit.schedule.lanes import Lanes
from convjit.schedule.tile import ISSUE, Counts, Tile, pieces

SWITCH = 2.0
"""Cycles between two tiles: stores, new zeros, loops; as few as that where the tile just fills the pipelines …"""

SWITCH_MORE = 6.0
"""… and so many more for every two sums beyond …"""

SWITCH_MOST = 25.0
"""… but no more than that."""

FILLED = 0.1
"""The part of the weight's way from the second cache that is not hidden where it fills that cache."""

FILLED_APART = 0.6
"""The same where the channels of the input lie apart: their lines come from there, too."""

RESTART = 1.5
"""Cycles that a loop's start takes where it has few turns."""

CHANNELS = 8
"""Turns from which that is hidden."""

WRITTEN = 1.08
"""How much longer taps that are written out take than multiply-adds alone."""

COUNTED = 4.0
"""Instructions of a turn that count turns and make addresses."""

QUEUES = 0.95
"""The part of its loads that a machine does when it does nothing else."""


class Rolled(Fetching):
    """Tiles with these lanes whose sum runs in rolled loops. `taps` are written out in each turn, `turns` are left."""

    taps: tuple[str, ...] = ()

    def __init__(self, facts: Facts, lanes: Lanes) -> None:
        super().__init__(facts, lanes)
        sizes = {**facts.pixels, "g": facts.sizes["g"], "oc": facts.sizes["oc"], lanes.axis: lanes.vectors(facts)}
        self.sizes = {loop: n for loop, n in sizes.items() if loop not in lanes.inner}
        self.known: dict[tuple[int, Counts], float] = {}
        deep = -(-facts.sizes["c"] // lanes.summed(facts)) * prod(facts.spec.kernel_size)
        self.spare = lanes.spare(facts)
        self.turns = deep // prod(facts.sizes[t] for t in self.taps)

    # --- what fits

    def fits(self, vectors: int, counts: Counts) -> bool:
        """Whether sums and operands have room in the registers: one operand is held, the other streams by."""
        machine = self.machine
        x, w = self.elements(vectors, counts)
        held, stream = (x, 1) if x <= w else (w, 1)
        if held == 1 and (machine.masks or not self.lanes.needs_register(x <= w)):
            stream = 0  # read by the multiply-add itself
        spare = 3 if not machine.vector_bits else 1 if machine.vector_registers > 16 else 0  # not fused: products
        if stream and not self.lanes.needs_register(x <= w):
            spare += 1  # vectors that stream by are loaded before the ones before them are done with
        spare = max(spare, self.spare)
        return vectors * prod(n for _, n in counts) + held + stream + spare <= machine.vector_registers

    # --- what it costs

    def turn(self, vectors: int, counts: Counts, block: int, chunk: int) -> float:
        """Cycles of one turn. `block`: bytes of the weight that tiles of this kind read again and again."""
        key = vectors, counts
        if key in self.known:
            return self.known[key]
        facts, machine, lanes = self.facts, self.machine, self.lanes
        x, w = self.elements(vectors, counts)
        acc, loads = vectors * prod(n for _, n in counts), x * lanes.x_cost + w
        shuffled = 2 * x if machine.shuffle_for_fma and lanes.x == "second" else 0
        work = max(ceil((acc + shuffled) / machine.fma_per_cycle), machine.fma_latency, loads / machine.loads_per_cycle / QUEUES)
        if self.spare:  # a product takes several instructions, the last of them an addition: a core starts only so many
            work = max(work, (acc * (1 + self.spare) + loads + COUNTED) / ISSUE)
        level = "L2" if block <= 2 * machine.cache("L2").bytes else "L3"  # the least that such machines have
        deep = lanes.summed(facts)
        stream = w * deep * (lanes.width if lanes.moves_w else 1) * facts.element / machine.cache(level).bandwidth
        if block > machine.cache("L1").bytes // 2:
            shown = FILLED if facts.step(facts.spec.input, "c") == 1 else FILLED_APART
            work = max(work, stream) + shown * min(1.0, block / machine.cache("L2").bytes) * stream
        found = (
            work
            + machine.load_cost * (loads + w)
            + self.lines(vectors, counts, chunk)
            + self.weights(vectors, counts, chunk)
        )
        found = self.known[key] = found + self.restarts()
        return found

    def restarts(self) -> float:
        """Cycles of a turn for loops that begin again: few turns of the innermost one make many of them."""
        innermost = self.facts.sizes["c"] if self.facts.step(self.facts.spec.input, "c") == 1 else CHANNELS
        return RESTART / min(innermost, CHANNELS) if innermost < CHANNELS and self.turns > innermost else 0.0

    def switch(self, acc: int) -> float:
        """Cycles from one tile to the next."""
        full = self.machine.fma_latency * self.machine.fma_per_cycle
        return min(SWITCH_MOST, SWITCH + SWITCH_MORE * max(0, acc - full) / 2)

    def tile(self, vectors: int, counts: Counts, chunk: int = 0) -> Tile:
        """The tile with its cycles."""
        facts, lanes = self.facts, self.lanes
        self.known.clear() if chunk else None
        block = vectors * lanes.width * facts.depth * facts.element if lanes.moves_w else 0
        cut = [(loop, pieces(self.sizes[loop], n)) for loop, n in ((lanes.axis, vectors), *counts)]
        outside = prod(n for loop, n in self.sizes.items() if loop not in dict(cut))
        total = 0.0
        for parts in combinations(cut):
            here, *others = [n for n, _ in parts]
            inner = tuple((loop, n) for (loop, _), n in zip(counts, others, strict=True))
            acc = here * prod(others)
            cost = self.turns * self.turn(here, inner, block, chunk)
            store = acc * lanes.store_cost(facts, inner) + self.scattered(here, inner)
            total += prod(times for _, times in parts) * (cost + self.switch(acc) + store)
        cycles = total * outside * self.crowded(counts) + self.copied(chunk) + (self.again(vectors, counts) if not chunk else 0.0)
        return Tile(lanes, vectors, counts, self.taps, cycles, chunk)

class Columns(Rolled):
    """The same with the taps along a row written out: a value of the input is loaded once for all taps that reach it,
    and held until then. Worth it where loads are what takes long, or where there are few channels to loop over."""

    def __init__(self, facts: Facts, lanes: Lanes) -> None:
        self.taps = (facts.taps[-1],)
        super().__init__(facts, lanes)

    def fits(self, vectors: int, counts: Counts) -> bool:
        """Sums, and the weights of a row of taps; what is held of the input finds room beside them."""
        spare = 2 if self.machine.vector_registers > 16 else 0
        weights = vectors * self.facts.sizes[self.taps[0]]
        return vectors * prod(n for _, n in counts) + weights + spare <= self.machine.vector_registers

    def turn(self, vectors: int, counts: Counts, block: int, chunk: int) -> float:
        """Cycles of one turn: a row of taps."""
        facts, machine = self.facts, self.machine
        many = facts.sizes[self.taps[0]]
        pixels = prod(n for _, n in counts)
        reach = (pixels - 1) * facts.spec.stride[-1] + (many - 1) * facts.spec.dilation[-1] + 1
        loads = min(reach, pixels * many) * self.lanes.x_cost * (vectors if self.lanes.moves_x else 1) + vectors * many
        work = max(many * max(vectors * pixels / machine.fma_per_cycle, machine.fma_latency), 0.0)
        work = max(work, loads / machine.loads_per_cycle / QUEUES) * WRITTEN
        stream = vectors * many * self.lanes.width * facts.element / machine.cache("L2").bandwidth
        return work + machine.load_cost * loads + (0.1 * stream if block > machine.cache("L1").bytes // 2 else 0.0)


def combinations(cut: list[tuple[str, list[tuple[int, int]]]]) -> list[list[tuple[int, int]]]:
    """Every choice of one piece for each loop."""
    found: list[list[tuple[int, int]]] = [[]]
    for _, parts in cut:
        found = [[*rest, part] for rest in found for part in parts]
    return found
