"""The report's conclusions on energy, beside the model."""

from __future__ import annotations

from collections.abc import Iterator

from convjit.cost.energy_table import HOROWITZ
from convjit.study.dataflows import joules
from convjit.study.finding import Finding, finding, unmeasured
from convjit.study.sections.cost import Costs
from convjit.study.sections.tradeoff import TradeOff


def energy(costs: Costs, rows: TradeOff | None) -> Iterator[Finding]:
    """What the table says, and what it makes of the kernels."""
    claim = "A multiplication of 16-bit floats takes 6 times the energy, and 6 times the area, of one of 8-bit integers."
    energies = HOROWITZ.multiplication("f16").value / HOROWITZ.multiplication("i8").value
    areas = HOROWITZ.area_of_multiplication("f16").value / HOROWITZ.area_of_multiplication("i8").value
    figure = f"By the table of the model: {energies:.2f} times the energy, {areas:.2f} times the area ({HOROWITZ.source})."
    yield finding(claim, "§5.2.3", figure, round(energies) == 6 and round(areas) == 6)
    yield _against_gpu(costs, rows)


def _against_gpu(costs: Costs, rows: TradeOff | None) -> Finding:
    claim = "INT16 with AVX takes less energy than a GPU with f32."
    modelled = [(c.name, c.target, c.cost.picojoules) for c in (rows.costs if rows else ()) if c.name.startswith("i16")]
    cpu = min((m for m in modelled if m[1].startswith("cpu")), key=lambda m: m[2], default=None)
    gpu = next((c.best(c.rows[0].target) for c in costs.comparisons if c.rows[0].target.startswith("cuda")), None)
    if cpu is None or gpu is None or gpu.cost is None:
        return unmeasured(claim, "§5.2.4", "The model has no kernel of one of them.")
    figure = (
        f"Modelled with one table for both: {cpu[0]} on {cpu[1]} {joules(cpu[2])}, f32 on {gpu.target} ({gpu.dataflow}) "
        f"{joules(gpu.cost.picojoules)}."
    )
    return finding(claim, "§5.2.4", figure, cpu[2] < gpu.cost.picojoules)
