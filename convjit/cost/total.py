"""What a call costs: accesses and operations (exact), bytes between caches and energy (modelled)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from convjit.cost.caches import CacheFlow, cache_flows
from convjit.cost.energy import Share, shares
from convjit.cost.energy_table import HOROWITZ, EnergyTable
from convjit.cost.operations import Operations, operations
from convjit.cost.predict import predict
from convjit.cost.sizes import open_sizes
from convjit.cost.traffic import Flow, Traffic, flows, rows
from convjit.machine.machine import Machine
from convjit.nest.counts import Counts
from convjit.nest.ir import Nest
from convjit.nest.visit import written
from convjit.spec.conv import ConvSpec

WARP = 32
"""Threads of a GPU that share an instruction."""

CONSTANT = ("weight", "bias", "param")
"""Tensors that `bind` takes: what is made of them alone is made once."""


class Compiled(Protocol):
    """What is asked of a compilation."""

    @property
    def spec(self) -> ConvSpec:
        """The convolution."""

    @property
    def machine(self) -> Machine:
        """Where it runs."""

    @property
    def nests(self) -> tuple[Nest, ...]:
        """What runs, in order."""


@dataclass(frozen=True)
class Cost:
    """Of one call. Exact: `flows` (accesses per tensor and level that the nest names) and `operations`. Modelled:
    `between` (bytes between hardware caches) and `shares` (energy, in picojoules)."""

    flows: tuple[Flow, ...]
    operations: Operations
    between: tuple[CacheFlow, ...]
    shares: tuple[Share, ...]

    @property
    def picojoules(self) -> float:
        """Modelled energy of the call."""
        return sum(share.picojoules for share in self.shares)

    @property
    def bytes(self) -> int:
        """Modelled bytes from and to DRAM."""
        return sum(f.bytes for f in self.between if f.outer == "memory")

    def by_level(self) -> dict[str, float]:
        """Picojoules of arithmetic, instructions, and every level."""
        total: dict[str, float] = {}
        for share in self.shares:
            total[share.level] = total.get(share.level, 0.0) + share.picojoules
        return total


def cost(
    compilation: Compiled,
    sizes: Mapping[str, int] | None = None,
    bound: bool = True,
    table: EnergyTable = HOROWITZ,
    known: Mapping[str, Counts] | None = None,
) -> Cost:
    """Of a call with these open sizes (default: those that `explain` shows), weights, biases and params bound beforehand
    or not. Each kernel of the call begins with empty caches. `known` are counts by the names of nests, where they have
    been predicted for these sizes already."""
    sizes = {**open_sizes(compilation.spec), **(sizes or {})}
    sizes = {name: n for name, n in sizes.items() if name in compilation.spec.open_sizes}
    nests = called(compilation) if bound else compilation.nests
    machine, every = compilation.machine, Counts()
    found: list[Traffic] = []
    between: list[CacheFlow] = []
    for nest in nests:
        counts = (known or {}).get(nest.name) or predict(nest, sizes)
        every.add(counts)
        found += rows(nest, counts)
        between += cache_flows(nest, machine, sizes)
    registers = frozenset(b.name for nest in nests for b in nest.buffers if b.level == "registers")
    work = operations(every, registers, WARP if machine.kind == "cuda" else 1)
    across, levels = joined(between), flows(found)
    return Cost(levels, work, across, shares(work, levels, across, machine, table))


def called(compilation: Compiled) -> tuple[Nest, ...]:
    """The nests that a call runs when everything constant is bound: not those that read such tensors alone."""
    spec = compilation.spec
    known = {t.name for t in spec.arguments if t.role in CONSTANT}
    late = []
    for nest in compilation.nests:
        given = {b.name for b in nest.buffers if b.level == "memory"}
        made = written(nest.body)
        if given - made <= known and spec.output.name not in made:
            known |= made
        else:
            late.append(nest)
    return tuple(late)


def joined(between: Iterable[CacheFlow]) -> tuple[CacheFlow, ...]:
    """Of all nests together."""
    total: dict[tuple[str, str, str], CacheFlow] = {}
    for f in between:
        key = f.tensor, f.inner, f.outer
        before = total.get(key, CacheFlow(*key, 0, 0))
        total[key] = CacheFlow(*key, before.read + f.read, before.written + f.written)
    return tuple(total.values())
