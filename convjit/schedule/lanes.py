"""Which loop of the output lies in a vector's lanes: the choices that a spec offers, and what it costs to feed each."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from convjit.schedule.facts import Facts

STORE = 0.3
"""Cycles that the store of a whole vector adds: most of it is hidden behind the multiply-adds."""

CROWDED = 6.0
"""How much slower stores are whose lines push each other out of the first cache."""


ACROSS = 5.0
"""Cycles more for a vector in a tile whose run of outputs is not whole parts of a vector: the runs of all later tiles then
lie across lines."""


@dataclass(frozen=True)
class Lanes:
    """`loops` are those in lanes and how much of each, slowest first: (("g", 2), ("oc", 4)).

    `x` and `y` say how the input is read and the output written: `one` place for all lanes, `neighbours`, every
    `second`, `within` one short run that is shuffled, or `apart`.
    """

    loops: tuple[tuple[str, int], ...]
    x: str
    y: str

    @property
    def width(self) -> int:
        """Lanes."""
        return prod(n for _, n in self.loops)

    @property
    def axis(self) -> str:
        """The loop that is stepped through by whole vectors."""
        return self.loops[0][0]

    @property
    def inner(self) -> tuple[str, ...]:
        """Loops that lie in the lanes as a whole."""
        return tuple(loop for loop, _ in self.loops[1:])

    @property
    def moves_x(self) -> bool:
        """Whether the input moves along the loop that is stepped."""
        return self.axis != "oc"

    @property
    def moves_w(self) -> bool:
        """Whether the weight moves along it."""
        return self.axis in ("g", "oc")

    @property
    def x_cost(self) -> float:
        """Loads that a vector of the input takes."""
        return {"one": 1.0, "neighbours": 1.0, "second": 3.5, "within": 2.0}.get(self.x, 1.5 * self.width)

    def summed(self, facts: Facts) -> int:
        """Channels of which one instruction sums up the products: neighbours in memory, output channels in lanes."""
        spec = facts.spec
        if self.axis != "oc" or self.inner or facts.sizes["c"] < 2 or facts.step(spec.input, "c") != 1:
            return 1
        return max((r.role("k") for r in facts.machine.rows_for(spec.types, self.width)), default=1)

    def spare(self, facts: Facts) -> int:
        """Registers that a product takes beside its sum: it is of one instruction more for each."""
        rows = facts.machine.rows_for(facts.spec.types, self.width)
        return next((r.spare for r in rows if r.role("k") == self.summed(facts)), 0)

    def crossing(self, facts: Facts) -> float:
        """Lines that a load of the input touches: with taps, vectors of columns begin anywhere, those of channels where a
        line does."""
        if self.axis in ("g", "oc") or facts.spec.kernel_size[-1] == 1:
            return 1.0
        return 1.0 + min(1.0, self.width * facts.element / facts.machine.cache("L1").line)

    def vectors(self, facts: Facts) -> int:
        """How many of them the stepped loop is."""
        size = facts.pixels.get(self.axis, facts.sizes.get(self.axis, 1))
        return -(-size // self.loops[0][1])

    def needs_register(self, x_is_held: bool) -> bool:
        """Whether the operand that changes with every multiply-add is one number for all lanes, which only AVX-512
        can read from memory inside it."""
        return not self.moves_w if x_is_held else self.x in ("one", "within", "second")

    def store_cost(self, facts: Facts, counts: tuple[tuple[str, int], ...]) -> float:
        """Cycles that the store of one vector of sums adds, in a tile with these counts of other loops."""
        if self.y == "neighbours" or self.width == 1:
            return STORE
        output = facts.spec.output
        beside = next((n for loop, n in counts if facts.step(output, loop) == 1), 1)
        part = 16 // facts.element
        run = min(part, beside)
        cost = STORE * self.width / run * (1 if run > 1 else 4) + (1.0 if run > 1 else 0.0)
        cost += ACROSS if run > 1 and beside % run else 0.0
        apart = facts.step(output, self.loops[-1][0]) * facts.element
        return cost * (CROWDED if apart % 4096 == 0 and self.width > 8 // (run * facts.element // 16 + 1) else 1.0)


def choices(facts: Facts) -> list[Lanes]:
    """Every way to fill lanes; without vector instructions they are one wide, and only name the loop."""
    found = [*channels(facts), *(along(facts, loop) for loop, n in facts.pixels.items() if usable(facts, loop, n))]
    if facts.in_pairs:
        found = [lanes for lanes in found if lanes.summed(facts) > 1]
    return found or [Lanes((("oc", 1),), "one", "neighbours")]


def usable(facts: Facts, loop: str, size: int) -> bool:
    """Whether pixels can lie in lanes: side by side in the output, and of a known number."""
    return facts.lanes > 1 and size > 1 and loop not in facts.open and facts.step(facts.spec.output, loop) == 1


def channels(facts: Facts) -> list[Lanes]:
    """Output channels, groups, or both in lanes."""
    groups, oc = facts.sizes["g"], facts.sizes["oc"]
    found: list[Lanes] = []
    if oc > 1:
        found.append(Lanes((("oc", facts.width(oc)),), "one", stored(facts, "oc")))
    if groups > 1 and oc == 1:
        found.append(along(facts, "g"))
    if groups > 1 and 1 < oc < facts.lanes and facts.lanes % oc == 0:
        width = facts.width(groups * oc)
        if width % oc == 0 and width > oc:
            read = within(facts, width // oc)
            found.append(Lanes((("g", width // oc), ("oc", oc)), read, stored(facts, "oc")))
    return found


def along(facts: Facts, loop: str) -> Lanes:
    """One loop in lanes."""
    size = facts.pixels.get(loop, facts.sizes.get(loop, 1))
    step = facts.step(facts.spec.input, loop)
    read = {0: "one", 1: "neighbours", 2: "second"}.get(step, "apart")
    return Lanes(((loop, facts.width(size)),), read, stored(facts, loop))


def within(facts: Facts, groups: int) -> str:
    """How the channels of neighbouring groups are read: one run of lanes, if it is no longer than a vector."""
    run = groups * facts.step(facts.spec.input, "g")
    channels_last = facts.step(facts.spec.input, "c") == 1
    return "within" if channels_last and run <= facts.lanes and run & (run - 1) == 0 else "apart"


def stored(facts: Facts, loop: str) -> str:
    """How the lanes are written."""
    return "neighbours" if facts.step(facts.spec.output, loop) == 1 else "apart"
