"""What a tile of sums waits for from behind the first cache: lines of the input, of the weight and of the output."""

from __future__ import annotations

from math import prod

from convjit.schedule.facts import Facts
from convjit.schedule.lanes import Lanes
from convjit.schedule.tile import PAGE, WAYS, Counts, crowd, moves_w, moves_x

LINE = 1.3
"""Cycles for a line of the input that comes from the second cache, in no order that is fetched ahead."""

STREAMED = 0.25
"""The part of the weight's way from the third cache that is not hidden: it comes in order."""

PAGES = 48
"""Pages that can be read in turns without looking for them again."""


class Fetching:
    """Cycles for tiles with these lanes."""

    def __init__(self, facts: Facts, lanes: Lanes) -> None:
        self.facts, self.lanes, self.machine = facts, lanes, facts.machine

    def elements(self, vectors: int, counts: Counts) -> tuple[int, int]:
        """How many registers' worth of the input and of the weight a tile touches in a turn."""
        lanes = self.lanes
        x = prod(n for loop, n in counts if moves_x(loop)) * (vectors if lanes.moves_x else 1)
        return x, prod(n for loop, n in counts if moves_w(loop)) * (vectors if lanes.moves_w else 1)

    def lines(self, vectors: int, counts: Counts, chunk: int) -> float:
        """Cycles of a turn for lines of the input. Where channels lie apart every turn has lines of its own; they
        come from the second cache unless those of all channels stay in the first."""
        facts = self.facts
        if facts.step(facts.spec.input, "c") == 1 or facts.sizes["c"] == 1:
            return 0.0
        if chunk:
            return 0.25 * LINE * max(1.0, chunk * facts.step(facts.spec.input, facts.strip) * facts.element / 64)
        reach = [(loop, n) for loop, n in counts if moves_x(loop)]
        reach += [(self.lanes.axis, vectors * self.lanes.width)] if self.lanes.moves_x else []
        found = 1.0
        for loop, n in reach:
            span = (n - 1) * facts.step(facts.spec.input, loop) * facts.element
            found *= span / 64 + 1 if span < 64 * n else n
        rows, deep = prod(facts.spec.kernel_size[:-1]), facts.sizes["c"]
        pages = deep * min(1.0, facts.step(facts.spec.input, "c") * facts.element / PAGE)
        if deep * rows * (found + 0.5) * 64 <= facts.machine.cache("L1").bytes // 2 and pages <= PAGES:
            return 0.0
        return self.line() * found / facts.spec.kernel_size[-1]

    def line(self) -> float:
        """Cycles for a line of the input that is not in the first cache: in no order that is fetched ahead."""
        near = self.facts.image <= self.machine.cache("L2").bytes
        return LINE if near else self.machine.cache("L3").line / self.machine.cache("L3").bandwidth

    def weights(self, vectors: int, counts: Counts, chunk: int) -> float:
        """Cycles of a turn for weights that come from the third cache: all of them pass by once for every chunk."""
        facts, lanes = self.facts, self.lanes
        size = facts.sizes["oc"] * facts.depth * facts.element
        if not chunk or size <= self.machine.cache("L2").bytes:
            return 0.0
        own = vectors * lanes.width if lanes.axis == facts.strip else dict(counts).get(facts.strip, 1)
        _, w = self.elements(vectors, counts)
        fetched = w * (lanes.width if lanes.moves_w else 1) * facts.element
        return STREAMED * fetched / self.machine.cache("L3").bandwidth * own / chunk

    def scattered(self, vectors: int, counts: Counts) -> float:
        """Cycles of a tile for lines of the output, where channels lie in lanes and apart in memory: each is fetched
        before a part of it is written."""
        facts, lanes = self.facts, self.lanes
        output = facts.sizes["oc"] * prod(facts.pixels.values()) * facts.element
        if lanes.y == "neighbours" or lanes.axis != "oc" or output <= self.machine.cache("L2").bytes // 2:
            return 0.0
        return vectors * lanes.width * self.machine.cache("L3").line / self.machine.cache("L3").bandwidth

    def again(self, vectors: int, counts: Counts) -> float:
        """Cycles for an input that no near cache holds, of few channels, with pixels in lanes: each block of channels of
        the output walks it anew."""
        facts, lanes = self.facts, self.lanes
        far = facts.image > self.machine.cache("L2").bytes and facts.depth > facts.sizes["c"]
        if not far or not lanes.moves_x or lanes.axis == "g" or self.lines(vectors, counts, 0):
            return 0.0
        passes = -(-facts.sizes["oc"] // dict(counts).get("oc", 1))
        return self.machine.stream_shown * passes * facts.image / self.machine.cache("L3").bandwidth

    def crowded(self, counts: Counts) -> float:
        """How much slower: lines of the input that push each other out of the first cache in every turn."""
        facts = self.facts
        if facts.step(facts.spec.input, "c") != 1:
            return 1.0
        steps = [(facts.step(facts.spec.input, loop) * facts.element, n) for loop, n in counts if moves_x(loop)]
        return 2.0 if any(crowd(step, n) > WAYS for step, n in steps) else 1.0

    def copied(self, chunk: int) -> float:
        """Cycles of copying the input once, chunk by chunk."""
        if not chunk:
            return 0.0
        facts = self.facts
        rows = -(-facts.pixels[facts.strip] // chunk) * facts.sizes["c"] * facts.sizes["g"]
        rows *= prod(n for loop, n in facts.pixels.items() if loop != facts.strip)
        wide = (chunk - 1) * facts.step(facts.spec.input, facts.strip) + 1
        return rows * (3.0 * -(-wide // facts.lanes) + LINE * (wide * facts.element / 64 + 1))
