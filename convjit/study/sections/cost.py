"""Traffic, energy and dataflows: what a call moves and computes, by the model, and what the machine itself says of energy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from convjit.cost.energy_table import HOROWITZ
from convjit.errors import ConvError
from convjit.spec.unsupported import uncalibrated
from convjit.study.clock import Clock
from convjit.study.dataflows import Comparison, Row, compare, joules
from convjit.study.forms import reason, with_scales
from convjit.study.joules import why_not
from convjit.study.page import Code, Figure, Item, Section, Side, Table, Text
from convjit.study.part import Found, NotApplicable, Part, Shown, Subject, Tell
from convjit.study.plots import bars, svg
from convjit.study.sections.calibration import Calibration
from convjit.study.sections.tradeoff import TradeOff
from convjit.study.sheet import Sheet
from convjit.study.show import energy_axis

TITLE = "Traffic, energy and dataflows"
GPU = "cuda:sm_80"
"""The GPU whose kernels are modelled where there is none: nothing is run for a model."""

MOST = 4e9
"""Operations of a layer up to which a GPU's nests are walked for the model."""

DEFINITIONS = f"""
Accesses and operations are counted in the loop nests that are compiled, exactly: they equal what the interpreter counts.
Bytes that pass between hardware caches are modelled (`docs/energy.md`). Energy is modelled: operations and accesses, each
times its figure in a table of {HOROWITZ.name} ({HOROWITZ.source}). It compares kernels; it is not what this machine draws.
"""


@dataclass(frozen=True)
class Share:
    """Modelled energy of a type on a target at one level (arithmetic, instructions, registers, caches, memory)."""

    dtype: str
    target: str
    level: str
    picojoules: float


@dataclass(frozen=True)
class Costs:
    """The dataflows side by side on each target, why others are missing, and the energy of the types."""

    comparisons: tuple[Comparison, ...]
    missing: tuple[str, ...]
    shares: tuple[Share, ...]
    left_out: tuple[str, ...]
    no_meter: str


def compute(subject: Subject, found: Found, clock: Clock, tell: Tell) -> Costs:
    """The best CPU here and a GPU, then the types of the trade-off."""
    calibration = found.of(Calibration)
    spec = with_scales(replace(subject.spec, algorithm="auto", error=None), calibration.scales if calibration else {})
    spec = replace(spec, compute=None) if uncalibrated(spec) else spec
    cpu = [m.name for m in subject.hosts.here if m.kind == "cpu"][-1]
    gpu = next((m.name for m in subject.hosts.here if m.kind == "cuda"), GPU)
    made, missing, late = [], [], []
    for target in (cpu, gpu):
        if target != cpu and (clock.left <= 0 or (spec.operations or 0) > MOST):
            late.append(f"{TITLE}: dataflows on {target}")
            continue
        tell(f"dataflows on {target}")
        try:
            made.append(compare(spec, (target,)))
        except ConvError as error:
            missing.append(f"{target}: {reason(error)}")
    rows = found.of(TradeOff)
    costs = rows.costs if rows else ()
    if not made and not costs:
        raise NotApplicable(" ".join(missing))
    shares = [Share(c.name, c.target, level, p) for c in costs for level, p in c.cost.by_level().items()]
    return Costs(tuple(made), tuple(missing), tuple(shares), tuple(late), why_not())


def show(subject: Subject, found: Found, result: Costs) -> Shown:
    """For each target the dataflows, drawn and in sentences; then the types."""
    drawings = {f"dataflows_{_file(c.rows[0].target)}": _levels(c.rows) for c in result.comparisons}
    figures = [Figure(svg(d), "Modelled energy by level.", "Stacked bars of energy for each dataflow") for d in drawings.values()]
    items: list[Item] = [Text(DEFINITIONS), Side(figures)]
    for comparison in result.comparisons:
        caption = f"{comparison.rows[0].target}: what each dataflow does (counted), and its energy (modelled)."
        header, totals = comparison.totals()
        there = [line for line, row in zip(totals, comparison.rows, strict=True) if row.cost]
        items += [Table(header, there, caption), Text("\n".join(f"- {r}" for r in comparison.reasons))]
    items += [Text("\n".join(f"- {line}" for line in result.missing))] if result.missing else []
    if result.shares:
        drawings["energy_types"] = types = _types(result.shares)
        caption = "Modelled energy of every type, by level, on the best target of the CPU."
        items += [Figure(svg(types), caption, "Stacked bars of energy for each type"), _table(result.shares)]
    meter = f"Measured energy: {result.no_meter}." if result.no_meter else "Measured energy stands in the table of the trade-off."
    items += [Text(meter), Code("convjit explain FILE", "Shows the accesses of one kernel")]
    return Shown(Section(TITLE, items), _sheets(result), drawings, summary=_summary(result), left_out=result.left_out)


def _sheets(result: Costs) -> dict[str, Sheet]:
    tables = [comparison.table() for comparison in result.comparisons]
    sheets = {"energy": Sheet.of(Share, result.shares)}
    if tables:
        sheets["traffic"] = Sheet(tables[0][0], tuple(row for _, rows in tables for row in rows))
        totals = [comparison.totals() for comparison in result.comparisons]
        sheets["dataflows"] = Sheet(totals[0][0], tuple(row for _, rows in totals for row in rows))
    return sheets


def _levels(rows: Sequence[Row]) -> object:
    """Energy of each dataflow, level upon level."""
    there = [row for row in rows if row.cost]
    levels = dict.fromkeys(level for row in there if row.cost for level in row.cost.by_level())
    axis, unit = energy_axis(max(row.cost.picojoules for row in there if row.cost))
    values = {level: [row.cost.by_level().get(level, 0.0) / unit for row in there if row.cost] for level in levels}
    names = [row.dataflow.removesuffix("_stationary") for row in there]
    return bars(names, values, "stationary", axis, f"Dataflows on {rows[0].target}", stacked=True)


def _types(shares: Sequence[Share]) -> object:
    target = _best(shares)
    names = list(dict.fromkeys(s.dtype for s in shares if s.target == target))
    found = {(s.dtype, s.level): s.picojoules for s in shares if s.target == target}
    levels = dict.fromkeys(level for _, level in found)
    axis, unit = energy_axis(max(sum(found.get((n, level), 0.0) for level in levels) for n in names))
    values = {level: [found.get((name, level), 0.0) / unit for name in names] for level in levels}
    return bars(names, values, "type", axis, f"Types on {target}", stacked=True)


def _table(shares: Sequence[Share]) -> Table:
    levels = list(dict.fromkeys(s.level for s in shares))
    found = {(s.dtype, s.target, s.level): s.picojoules for s in shares}
    pairs = list(dict.fromkeys((s.dtype, s.target) for s in shares))
    rows = [
        (*pair, joules(sum(found.get((*pair, level), 0.0) for level in levels)),
         *(joules(found[(*pair, level)]) if (*pair, level) in found else None for level in levels))
        for pair in pairs
    ]  # fmt: skip
    return Table(("type", "target", "all", *levels), rows, "Energy of a call by level (modelled).")


def _best(shares: Sequence[Share]) -> str:
    """The CPU's target that the least energy is modelled for; the GPU's where there is nothing else."""
    total: dict[str, float] = {}
    for share in shares:
        total[share.target] = total.get(share.target, 0.0) + share.picojoules
    return min(total, key=lambda target: (target.startswith("cuda"), total[target]))


def _file(target: str) -> str:
    return target.replace(":", "_")


def _summary(result: Costs) -> tuple[str, ...]:
    return tuple(
        f"{c.rows[0].target}: {best.dataflow} takes the least energy, {joules(best.cost.picojoules)} (modelled)."
        for c in result.comparisons
        if (best := c.best(c.rows[0].target)).cost
    )


PART = Part(TITLE, 0.15, compute, show)
