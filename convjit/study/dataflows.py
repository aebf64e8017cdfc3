"""The named dataflows on one layer, side by side: what each moves, what that costs, and why one suits the layer.

Accesses and operations are exact, bytes between caches and energy are modelled (`convjit.cost`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

from convjit import dtypes
from convjit.cost.sizes import open_sizes
from convjit.cost.total import Cost, cost
from convjit.errors import ConvError
from convjit.machine.registry import get
from convjit.nest.points import all_sizes
from convjit.pipeline import Compilation
from convjit.spec.conv import ConvSpec

WORDS = ("output_stationary", "weight_stationary", "input_stationary", "row_stationary")
TARGETS = ("cpu:avx2", "cuda:sm_80")
OUTSIDE = ("memory", "scratch", "shared")
"""Levels outside the registers that a nest names."""
CORE = ("arithmetic", "instructions", "registers")
"""What takes energy besides memory."""


@dataclass(frozen=True)
class Row:
    """A dataflow on a target: its cost, or why there is none."""

    target: str
    dataflow: str
    cost: Cost | None
    refused: str = ""

    def moved(self, tensor: str) -> int:
        """Bytes of a tensor that pass between registers and what is outside."""
        found = self.cost.flows if self.cost else ()
        return sum(f.bytes for f in found if f.tensor == tensor and f.level in OUTSIDE)


@dataclass(frozen=True)
class Comparison:
    """All rows of a layer, the bytes of its tensors by role, and a sentence for each row that says what dominates it and
    for each target which dataflow suits it."""

    spec: ConvSpec
    tensors: Mapping[str, int]
    rows: tuple[Row, ...]
    reasons: tuple[str, ...]

    def best(self, target: str) -> Row:
        """The dataflow with the least modelled energy."""
        return min(taken(self.rows, target), key=energy)

    def table(self) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
        """Header and rows, as texts: one row for each dataflow, target, tensor and level."""
        header = ("target", "dataflow", "tensor", "level", "loads", "stores", "elements", "bytes", "modelled")
        return header, tuple(line for row in self.rows for line in lines(row))

    def totals(self) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
        """Header and rows, as texts: one row for each dataflow and target."""
        header = ("target", "dataflow", "multiply-adds", "instructions", "bytes outside registers", "bytes of DRAM",
                  "energy", "of which memory")  # fmt: skip
        return header, tuple(total(row, self.tensors) for row in self.rows)


def compare(
    spec: ConvSpec, targets: Sequence[str] = TARGETS, words: Sequence[str] = WORDS, sizes: Mapping[str, int] | None = None
) -> Comparison:
    """Every dataflow on every target, weights bound beforehand. Seconds. `sizes` are the open sizes. Raises ConvError where
    a target does not take the spec at all."""
    sizes = {**open_sizes(spec), **(sizes or {})}
    rows = tuple(row(spec, target, word, sizes) for target in targets for word in words)
    for target in targets:
        if not taken(rows, target):
            refusals = "; ".join(dict.fromkeys(r.refused for r in rows if r.target == target))
            raise ConvError.of(f"No dataflow of {spec.name} can be had on {target}.", note=refusals)
    tensors = bytes_of(spec, sizes)
    reasons = [reason(r, tensors) for r in rows]
    return Comparison(spec, tensors, rows, (*reasons, *(verdict(rows, target, tensors) for target in targets)))


def row(spec: ConvSpec, target: str, word: str, sizes: Mapping[str, int]) -> Row:
    """One of them."""
    try:
        return Row(target, word, cost(Compilation(replace(spec, dataflow=word), get(target)), sizes))
    except ConvError as error:
        return Row(target, word, None, error.diagnostics[0].message)


def bytes_of(spec: ConvSpec, sizes: Mapping[str, int]) -> dict[str, int]:
    """Of input, weight and output."""
    nest = Compilation(replace(spec, dataflow="auto"), get("cpu:scalar")).nests[-1]
    known = all_sizes(nest, {name: n for name, n in sizes.items() if name in spec.open_sizes})
    every = (spec.input, spec.weight, spec.output)
    shapes = {t.name: [known[a] if s is None else s for a, s in zip(t.axes, t.sizes, strict=True)] for t in every}
    return {t.name: prod(shapes[t.name]) * dtypes.bits(t.dtype) // 8 for t in every}


def taken(rows: Sequence[Row], target: str) -> list[Row]:
    """Those of a target that there are."""
    return [r for r in rows if r.target == target and r.cost]


def energy(row: Row) -> float:
    """In picojoules."""
    return row.cost.picojoules if row.cost else float("inf")


# --- why --------------------------------------------------------------------------------------------------------


def spent(row: Row) -> dict[str, dict[str, float]]:
    """Modelled picojoules: of every tensor by level, registers apart; and of registers, instructions, arithmetic."""
    found: dict[str, dict[str, float]] = {}
    for share in row.cost.shares if row.cost else ():
        where = found.setdefault(share.level if share.level in CORE else share.what, {})
        where[share.level] = where.get(share.level, 0.0) + share.picojoules
    return found


def reason(row: Row, tensors: Mapping[str, int]) -> str:
    """Which tensor's traffic dominates, where, and how often each tensor moves."""
    if row.cost is None:
        return f"{row.target} {row.dataflow}: {row.refused}"
    found = {t: levels for t, levels in spent(row).items() if t not in CORE}
    most, whole = max(found, key=lambda t: sum(found[t].values())), sum(sum(l.values()) for l in found.values())
    levels = found[most]
    often = ", ".join(f"{t} {row.moved(t) / n:.3g}" for t, n in tensors.items())
    return (
        f"{row.target} {row.dataflow}: {most} takes {sum(levels.values()) / whole:.0%} of the {joules(whole)} that memory "
        f"takes, most of it in {place(max(levels, key=levels.__getitem__))}. Bytes that pass between registers and what is "
        f"outside, for each byte of the tensor: {often}."
    )


def verdict(rows: Sequence[Row], target: str, tensors: Mapping[str, int]) -> str:
    """Which dataflow takes the least energy, and what the others pay for."""
    best, *others = sorted(taken(rows, target), key=energy)
    sizes = ", ".join(f"{t} {amount(n)}" for t, n in tensors.items())
    text = f"{target}: the tensors have {sizes}. {best.dataflow} takes the least modelled energy, {joules(energy(best))}."
    return " ".join([text, *(against(best, other) for other in others)])


def against(best: Row, other: Row) -> str:
    """What a dataflow pays and saves beside the best one: all that is a tenth of the difference or more."""
    mine, theirs = spent(best), spent(other)
    more = {t: sum(theirs.get(t, {}).values()) - sum(mine.get(t, {}).values()) for t in mine | theirs}
    least = (energy(other) - energy(best)) / 10
    parts = []
    for what, n in sorted(more.items(), key=lambda item: -item[1]):
        if abs(n) > least:
            level = farthest(mine.get(what, {}), theirs.get(what, {}))
            where = "" if what in CORE else f" (in {place(level)})"
            parts.append(f"{joules(abs(n))} {'more' if n > 0 else 'less'} for {what}{where}")
    ratio = f"{other.dataflow} takes {energy(other) / energy(best):.3g} times that"
    return f"{ratio}: {', '.join(parts)}." if parts else f"{ratio}."


def farthest(mine: Mapping[str, float], theirs: Mapping[str, float]) -> str:
    """The level at which they differ most."""
    return max({**mine, **theirs}, key=lambda level: abs(theirs.get(level, 0.0) - mine.get(level, 0.0)))


# --- texts ------------------------------------------------------------------------------------------------------


def lines(row: Row) -> list[tuple[str, ...]]:
    """Of the table."""
    name = row.target, row.dataflow
    if row.cost is None:
        return [(*name, "", row.refused, "", "", "", "", "")]
    found: list[tuple[str, ...]] = []
    for f in row.cost.flows:
        found.append((*name, f.tensor, f.level, str(f.loads), str(f.stores), str(f.elements), str(f.bytes), ""))
    for c in row.cost.between:
        found.append((*name, c.tensor, f"{c.inner} - {c.outer}", "", "", "", str(c.bytes), "modelled"))
    return found


def total(row: Row, tensors: Mapping[str, int]) -> tuple[str, ...]:
    """Of the table of totals."""
    if row.cost is None:
        return (row.target, row.dataflow, row.refused, "", "", "", "", "")
    c, levels = row.cost, row.cost.by_level()
    memory = sum(n for level, n in levels.items() if level not in CORE)
    outside = sum(row.moved(t) for t in tensors)
    return (
        row.target, row.dataflow, str(c.operations.multiply_adds), str(c.operations.instructions), str(outside),
        str(c.bytes), joules(c.picojoules), f"{memory / c.picojoules:.0%}",
    )  # fmt: skip


def place(level: str) -> str:
    """A level's name in a sentence."""
    return {"memory": "DRAM", "shared": "shared memory", "scratch": "scratch memory"}.get(level, level)


def amount(bytes_: float) -> str:
    """Bytes, in a unit that leaves few digits."""
    return scaled(bytes_, (("GB", 1e9), ("MB", 1e6), ("kB", 1e3), ("B", 1)))


def joules(picojoules: float) -> str:
    """Energy, likewise."""
    return scaled(picojoules, (("J", 1e12), ("mJ", 1e9), ("uJ", 1e6), ("nJ", 1e3), ("pJ", 1)))


def scaled(value: float, units: Sequence[tuple[str, float]]) -> str:
    """Three digits, in the first unit that is not larger; the last one for what is smaller than all."""
    unit, size = next((u for u in units if value >= u[1]), units[-1])
    return f"{value / size:.3g} {unit}"
