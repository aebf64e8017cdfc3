"""Energy of a call, modelled: operations and accesses, each times a figure of a table.

The table is of one process (45 nm) and of simple machines, so the sum says how kernels compare, not what this machine
draws. What is not counted: leakage, clocks, wires beyond those of the table, prefetching, and what is speculated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from convjit.cost.caches import CacheFlow
from convjit.cost.energy_table import HOROWITZ, OURS, EnergyTable, Figure, worst
from convjit.cost.operations import Operations
from convjit.cost.traffic import Flow
from convjit.machine.machine import Machine
from convjit.nest.functions import FUNCTIONS, steps

MULTIPLICATIONS: Mapping[str, int] = {"mul": 1, "fma": 1, "div": 4, "sqrt": 4}
"""Operations that count as so many multiplications (a division and a root by assumption); others as an addition."""

ARITHMETIC, INSTRUCTIONS = "arithmetic", "instructions"


@dataclass(frozen=True)
class Share:
    """A part of the energy: of which level ("arithmetic", "instructions", "registers", "L1", …), of what ("product i8", a
    tensor), picojoules, and how sure the figure behind it is."""

    level: str
    what: str
    picojoules: float
    origin: str


def shares(
    work: Operations,
    flows: Sequence[Flow],
    between: Sequence[CacheFlow],
    machine: Machine,
    table: EnergyTable = HOROWITZ,
) -> tuple[Share, ...]:
    """The parts of a call's energy."""
    found = [*arithmetic(work, table)]
    found.append(of(INSTRUCTIONS, "fetch, decode, control", work.instructions, table.overhead))
    found += [of(f.level if f.level != "memory" else nearest(machine), f.tensor, f.bytes, figure(f.level, machine, table))
              for f in flows if f.level != "memory" or machine.kind == "cpu"]  # fmt: skip
    found += [of(f.outer, f.tensor, f.bytes, figure(f.outer, machine, table, between=True)) for f in between]
    return tuple(share for share in found if share.picojoules)


def of(level: str, what: str, times: float, each: Figure) -> Share:
    """So many times."""
    return Share(level, what, times * each.value, each.origin)


def nearest(machine: Machine) -> str:
    """The cache that a CPU's accesses to memory meet first."""
    return machine.caches[0].name


def figure(level: str, machine: Machine, table: EnergyTable, between: bool = False) -> Figure:
    """Of a byte of a level: what is named scratch or memory lies in a CPU's first cache; shared memory is taken as a cache
    of its size."""
    if level == "registers":
        return table.register_byte
    if between and level == "memory":
        return table.memory_byte
    name = nearest(machine) if level in ("scratch", "memory") else level
    return table.cache_byte(machine.cache(name).bytes)


def arithmetic(work: Operations, table: EnergyTable) -> Iterator[Share]:
    """Of the convolution, and of what stands around it."""
    for dtype, n in work.multiplications.items():
        yield of(ARITHMETIC, f"product {dtype}", n, table.multiplication(dtype))
    for dtype, n in work.additions.items():
        yield of(ARITHMETIC, f"sum {dtype}", n, table.addition(dtype))
    for dtype, n in work.conversions.items():
        yield of(ARITHMETIC, f"conversion {dtype}", n, operation("convert", dtype, table))
    for (op, dtype), n in work.steps.items():
        yield of(ARITHMETIC, f"{op} {dtype}", n, operation(op, dtype, table))


def operation(op: str, dtype: str, table: EnergyTable) -> Figure:
    """Of one operation of an expression; of a function, of all its steps."""
    if op in FUNCTIONS:
        every = [operation(step.op, step.dtype, table) for step in steps(op, dtype)]
        return Figure(sum(f.value for f in every), worst(f.origin for f in every))
    dtype = "u8" if dtype == "i1" else dtype  # a comparison is a subtraction of whatever it compares; its bit says little
    added = table.addition(dtype)
    if op not in MULTIPLICATIONS:
        return Figure(added.value, added.origin if op in ("add", "sub") else OURS)
    multiplied, n = table.multiplication(dtype), MULTIPLICATIONS[op]
    value = multiplied.value * n + (added.value if op == "fma" else 0)
    return Figure(value, OURS if n > 1 else worst((multiplied.origin, added.origin)))
