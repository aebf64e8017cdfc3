"""Below which share of numbers that are not 0 a list of a weight takes fewer cycles than all of it does.

A model: what a dense tile takes is what `defaults` compares tiles by; what a list takes are the figures below, in cycles, as
measured on a Zen 3 core (`python -m bench.sparsity`).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from convjit.machine.machine import Machine
from convjit.schedule.dataflow import zero_skipping
from convjit.schedule.defaults import candidates
from convjit.schedule.facts import Facts
from convjit.spec.conv import ConvSpec

EACH = 0.95
"""Of a vector of outputs, for one entry of a list: a multiply-add whose input may lie across two cache lines."""

ENTRY = 1.0
"""Of an entry besides: its place and its number are read."""

BEGIN = 25.0
"""Of a list: its ends are read, and a branch is mispredicted where it ends."""

COLLECTED = 1.5
"""Of a vector of sums that a list's are added to in scratch memory."""

APART = 1.3
"""How many times the modelled cycles all numbers take where a second instruction adds pairs of products to the sum: vpmaddwd."""

COPIED, COPIED_APART = 1.5, 4.0
"""Of a number of the input that is copied with its borders; the second where neighbouring channels stay together, and others not."""

STORED = 1.0
"""Of a number of the output whose channels are brought side by side."""


@dataclass(frozen=True)
class Cost:
    """Cycles: of all numbers; of lists without entries; of the entries, if none were left out. `run`: channels of an entry."""

    dense: float
    empty: float
    full: float
    run: int

    @property
    def break_even(self) -> float:
        """The share of runs that are not 0 below which a list takes less."""
        return float(min(1.0, max(0.0, (self.dense - self.empty) / self.full)))

    @property
    def of_numbers(self) -> float:
        """The share of numbers at which so many runs are not 0, where zeros lie anywhere."""
        return float(1.0 - (1.0 - self.break_even) ** (1 / self.run))


def cost(plain: ConvSpec, machine: Machine) -> Cost:
    """Of a convolution of plain tensors (as they are multiplied) on a CPU."""
    facts = Facts(plain, machine)
    t = zero_skipping.tile(facts)
    channels = zero_skipping.block(facts, t)
    rows = facts.sizes["n"] * plain.out_channels * t.tiles(facts)
    blocks = -(-plain.ic_per_group // channels)
    entries = -(-plain.ic_per_group // t.deep) * prod(plain.kernel_size)
    scratch = blocks > 1 or not zero_skipping.near(plain, t.axis)
    one = max(machine.fma_latency, t.sums * EACH + ENTRY)
    empty = rows * blocks * (BEGIN + (t.sums * COLLECTED if scratch else 0.0))
    moved = (COPIED if t.deep == 1 else COPIED_APART) * prod(size or 1 for size in plain.input.sizes)
    moved += STORED * prod(size or 1 for size in plain.output.sizes) if scratch else 0.0
    pairs = [r for r in machine.rows_for(plain.types) if r.role("k") == t.deep == 2]
    dense = min(c.cycles for c in candidates(facts)) * (APART if pairs and all(r.spare for r in pairs) else 1.0)
    return Cost(dense, empty + moved, rows * entries * one, t.deep)
