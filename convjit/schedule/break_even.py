"""Below which share of numbers that are not 0 a list of a weight takes fewer cycles than all of it does.

A model: what a dense tile takes is what `defaults` compares tiles by; what a list takes are the figures below, in cycles, as
measured on a Zen 3 core with AVX2, and for vectors as long as a cache line on an Emerald Rapids core (`python bench/sparsity.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

from convjit.machine.machine import Machine
from convjit.schedule.dataflow import zero_skipping
from convjit.schedule.defaults import candidates
from convjit.schedule.facts import Facts
from convjit.schedule.packing import list_packs, whole_packs
from convjit.schedule.parts import NOTHING, Proof, known
from convjit.schedule.schedule import Pack
from convjit.spec.conv import ConvSpec

Packing = Callable[[ConvSpec, Machine, Proof], tuple[Pack, ...]]
"""How operands are packed for one of the ways."""

EACH = 0.95
"""Of a vector of outputs, for one entry of a list: a multiply-add whose input may lie across two cache lines."""

WIDE = 1.25
"""How much more that is of vectors as long as a cache line, most of which lie across two …"""

WIDE_REST, WIDE_DENSE = 1.3, 0.75
"""… how many times as long everything besides takes with them; and the part of its modelled cycles that a dense tile takes, since
these hide more than their comparison says."""

SURE = 0.9
"""The part of the modelled break-even density below which a list is taken: where both were measured, the model lay above by
at most a tenth."""

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
        """The share of runs that are not 0 below which a list surely takes less."""
        return float(min(1.0, max(0.0, SURE * (self.dense - self.empty) / self.full)))

    @property
    def of_numbers(self) -> float:
        """The share of numbers at which so many runs are not 0, where zeros lie anywhere."""
        return float(1.0 - (1.0 - self.break_even) ** (1 / self.run))


def cost(spec: ConvSpec, machine: Machine, proof: Proof = NOTHING) -> Cost:
    """Of a convolution on a CPU; both ways multiply numbers as they are best packed for them."""
    facts, whole = (_facts(spec, machine, proof, packs) for packs in (list_packs, whole_packs))
    t = zero_skipping.tile(facts)
    wide = t.lanes * t.deep * facts.element >= machine.cache("L1").line
    empty, full = of_lists(facts, t, WIDE if wide else 1.0)
    return Cost(of_all(whole) * (WIDE_DENSE if wide else 1.0), empty * (WIDE_REST if wide else 1.0), full, t.deep)


def _facts(spec: ConvSpec, machine: Machine, proof: Proof, packs: Packing) -> Facts:
    """Of the tensors as they are multiplied."""
    plain, sure = known(spec, packs(spec, machine, proof), proof)
    return Facts(plain, machine.exact(sure.pairs))


def of_all(facts: Facts) -> float:
    """Cycles of the best tile for all numbers."""
    rows = facts.machine.rows_for(facts.spec.types)
    deep = max((r.role("k") for r in rows), default=1)
    apart = deep == 2 and all(r.spare for r in rows if r.role("k") == deep)
    return min(c.cycles for c in candidates(facts)) * (APART if apart else 1.0)


def of_lists(facts: Facts, t: zero_skipping.Tile, wide: float) -> tuple[float, float]:
    """Cycles of lists without entries, and of the entries if none were left out; a vector of those takes `wide` times as long."""
    plain = facts.spec
    channels = zero_skipping.block(facts, t)
    rows = facts.sizes["n"] * plain.out_channels * t.tiles(facts)
    blocks = -(-plain.ic_per_group // channels)
    entries = -(-plain.ic_per_group // t.deep) * prod(plain.kernel_size)
    scratch = blocks > 1 or not zero_skipping.near(plain, t.axis)
    one = max(facts.machine.fma_latency, t.sums * EACH * wide + ENTRY)
    empty = rows * blocks * (BEGIN + (t.sums * COLLECTED if scratch else 0.0))
    moved = (COPIED if t.deep == 1 else COPIED_APART) * prod(size or 1 for size in plain.input.sizes)
    moved += STORED * prod(size or 1 for size in plain.output.sizes) if scratch else 0.0
    return empty + moved, rows * entries * one
