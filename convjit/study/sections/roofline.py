"""The roofline: peaks and bandwidths measured, the kernels of the trade-off below them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from convjit.study.clock import Clock
from convjit.study.page import Figure, Section, Table, Text
from convjit.study.part import Found, NotApplicable, Part, Shown, Subject, Tell
from convjit.study.plots import Axis, Series, svg
from convjit.study.plots import roofline as draw
from convjit.study.roofline import KernelPoint, Roofline, measure, point
from convjit.study.sections.tradeoff import TradeOff
from convjit.study.sheet import Sheet
from convjit.study.show import percent, plural

TITLE = "Roofline"

INTENSITY = Axis("arithmetic intensity, modelled", "operations per byte of DRAM", "log")
RATE = Axis("performance, measured", "Gop/s", "log")

DEFINITIONS = """
Peaks are measured with multiply-add instructions on registers, bandwidths by reading blocks that fit a level (S. Williams,
A. Waterman, D. Patterson, Roofline, CACM 2009). A kernel's time is measured; the bytes of its intensity are modelled, and
begin with empty caches: where all tensors stay in a cache, a kernel may stand above the line of memory.
"""


@dataclass(frozen=True)
class Line:
    """A kernel: operations per second beside its roof, with all threads of the target."""

    name: str
    dtype: str
    target: str
    threads: int
    operations: int
    bytes: int
    seconds: float
    operations_per_second: float
    operations_per_byte: float
    share_of_roof: float | None


@dataclass(frozen=True)
class Roof:
    """What was measured, and the kernels."""

    roof: Roofline
    points: tuple[KernelPoint, ...]

    @property
    def lines(self) -> tuple[Line, ...]:
        """As rows of numbers."""
        at = self.roof.target, self.roof.threads
        return tuple(
            Line(p.name, p.dtype, *at, p.operations, p.bytes, p.seconds, p.rate, p.intensity, self.roof.share(p))
            for p in self.points
        )


def compute(subject: Subject, found: Found, clock: Clock, tell: Tell) -> Roof:
    """Of the best target of the CPU with all threads."""
    rows = found.of(TradeOff)
    if rows is None:
        raise NotApplicable("the trade-off has no times.")
    machine = [m for m in subject.hosts.here if m.kind == "cpu"][-1]
    here = [row for row in rows.measured if row.target == machine.name]
    threads = max((row.threads for row in here), default=1)
    chosen = [(row, cost) for row in here if row.threads == threads and (cost := rows.cost(row))]
    if not chosen:
        raise NotApplicable(f"there are no times on {machine.name}.")
    points = tuple(point(row.name, cost, row.seconds or 0.0) for row, cost in chosen)
    tell(f"peaks and bandwidths of {machine.name}")
    return Roof(measure(machine, threads, dict.fromkeys(p.dtype for p in points)), points)


def show(subject: Subject, found: Found, result: Roof) -> Shown:
    """The drawing and its table."""
    peaks = {f"peak {dtype}": peak.operations * 1e-9 for dtype, peak in result.roof.peaks.items()}
    bandwidths = {name: b * 1e-9 for name, b in result.roof.bandwidths.items()}
    kernels = [Series(p.name, [(p.intensity, p.rate * 1e-9)]) for p in result.points]
    where = f"{result.roof.target}, {plural(result.roof.threads, 'thread')}"
    least = min(peaks.values()) / max(bandwidths.values())
    drawing = draw(peaks, bandwidths, kernels, replace(INTENSITY, low=least / 2), RATE, where)
    header = ("kernel", "products of", "Gop/s", "op/byte", "of its roof")
    rows = [
        (line.name, line.dtype, f"{line.operations_per_second * 1e-9:.1f}", f"{line.operations_per_byte:.1f}", percent(line.share_of_roof))
        for line in result.lines
    ]
    roofs = [(name, f"{value:.1f} Gop/s") for name, value in peaks.items()]
    roofs += [(f"bandwidth {name}", f"{value:.1f} GB/s") for name, value in bandwidths.items()]
    section = Section(
        TITLE,
        (
            Text(DEFINITIONS), Figure(svg(drawing), f"Roofline of {where}.", "Roofline with a point for each type"),
            Table(header, rows, "Kernels below their roof.", "Operations: 2 for each product that is done; padding is skipped."),
            Table(("roof", "measured"), roofs, f"Peaks and bandwidths of {where} (measured)."),
        ),
    )  # fmt: skip
    return Shown(section, {"roofline": Sheet.of(Line, result.lines)}, {"roofline": drawing})


PART = Part(TITLE, 0.1, compute, show)
