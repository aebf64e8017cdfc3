"""Shares of zeros of the quantised tensors, as the report counts them in its figure 3 and its experiment with S = 1."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from convjit import dtypes
from convjit.study.clock import Clock
from convjit.study.forms import BEST
from convjit.study.layer import Layer, layer
from convjit.study.page import Figure, Section, Side, Table, Text
from convjit.study.part import Found, NotApplicable, Part, Shown, Subject, Tell
from convjit.study.plots import Axis, bars, svg
from convjit.study.real import real_form
from convjit.study.sections.calibration import REPORT, TRUNCATES, Calibration
from convjit.study.sheet import Sheet
from convjit.study.show import power
from convjit.study.sparsity import Sparsity, sparsity_of
from convjit.study.vcurve import rounding_of

TITLE = "Zeros"

REPORT_EXPONENTS = {"i32": 19, "i16": 7, "i8": 0}
"""The N of the report's input scales 2^N."""

OWN, ONE = "own", "S = 1"

DEFINITIONS = """
Shares of quantised numbers that are zero, counted exactly. A zero of the input is counted three ways: among its own numbers;
with the padding of the convolution; and as the report counts, with as many more positions along each axis as the kernel has.
"""


@dataclass(frozen=True)
class Count:
    """Zeros of one type by two scales; `kind` says whose scales they are."""

    kind: str
    rounding: str
    sparsity: Sparsity


@dataclass(frozen=True)
class Line:
    """A count as a row of numbers."""

    kind: str
    rounding: str
    dtype: str
    scale_x: float
    scale_w: float
    zeros_x: int
    of_x: int
    padded_zeros_x: int
    padded_of_x: int
    report_zeros_x: int
    report_of_x: int
    zeros_w: int
    of_w: int
    zeros_y: int
    of_y: int


@dataclass(frozen=True)
class Zeros:
    """All counts."""

    counts: tuple[Count, ...]

    def of(self, kind: str, dtype: str) -> Sparsity | None:
        """The count of a type with the scales of that kind."""
        return next((c.sparsity for c in self.counts if (c.kind, c.sparsity.dtype) == (kind, dtype)), None)

    @property
    def lines(self) -> tuple[Line, ...]:
        """As rows of numbers."""
        return tuple(_line(c) for c in self.counts)


def compute(subject: Subject, found: Found, clock: Clock, tell: Tell) -> Zeros:
    """At the scales that calibration found, at the report's, and of i16 at an input scale of 1."""
    spec = subject.spec
    if not dtypes.is_float(spec.input.dtype):
        raise NotApplicable(f"the tensors of '{spec.name}' are integers already; the table of tensors has their zeros.")
    form = real_form(spec, subject.given, "f32")
    data = layer(form.spec, *(form.given[t.name] for t in (spec.input, spec.weight)))
    calibration = found.of(Calibration)
    own = {d: pairs[BEST] for d, pairs in calibration.scales.items()} if calibration else {}
    return Zeros(tuple(_counts(data, own, subject.ratio, rounding_of(spec), tell)))


def _counts(
    data: Layer, own: dict[str, tuple[float, float]], ratio: float, rounding: str, tell: Tell
) -> Iterator[Count]:
    wanted = [(OWN, dtype, *scales, rounding) for dtype, scales in own.items()]
    wanted += [(REPORT, d, 2.0**n, 2.0**n * ratio, TRUNCATES) for d, n in REPORT_EXPONENTS.items()]
    wanted += [(ONE, "i16", 1.0, ratio, TRUNCATES)]
    for kind, dtype, x, w, rounds in wanted:
        tell(f"{dtype}, {kind}")
        yield Count(kind, rounds, sparsity_of(data, dtype, x, w, rounds))


def show(subject: Subject, found: Found, result: Zeros) -> Shown:
    """Figure and table."""
    header = ("scales", "type", "scale of x, w", "input", "input, padded", "input, as the report", "weight", "output")
    rows = [
        (c.kind, s.dtype, f"{power(s.scale_x)}, {power(s.scale_w)}", *map(str, (s.bare, s.padded, s.report, s.weight, s.output)))
        for c in result.counts
        for s in [c.sparsity]
    ]
    note = f"Scales: {OWN}, those that calibration found; report, those of the report; {ONE}, an input scale of 1."
    figures = {f"zeros_{kind}": _bars(result, kind) for kind in (OWN, REPORT) if result.of(kind, "i16")}
    captions = {f"zeros_{OWN}": "At the scales that calibration found.", f"zeros_{REPORT}": "At the report's scales."}
    drawn = [Figure(svg(figure), captions[name], "Bars of the share of zeros for each type") for name, figure in figures.items()]
    table = Table(header, rows, "Zeros among the quantised numbers (counted).", note)
    section = Section(TITLE, (Text(DEFINITIONS), Side(drawn), table))
    return Shown(section, {"sparsity": Sheet.of(Line, result.lines)}, figures)


def _bars(result: Zeros, kind: str) -> object:
    found = [s for dtype in REPORT_EXPONENTS if (s := result.of(kind, dtype))]
    values = {
        "input, as the report": [s.report.share for s in found],
        "weight": [s.weight.share for s in found],
        "output": [s.output.share for s in found],
    }
    return bars([s.dtype for s in found], values, "type", Axis("share of zeros", "0 to 1"), f"Zeros, {kind} scales")


def _line(c: Count) -> Line:
    s = c.sparsity
    pairs = (number for z in (s.bare, s.padded, s.report, s.weight, s.output) for number in (z.zeros, z.of))
    return Line(c.kind, c.rounding, s.dtype, s.scale_x, s.scale_w, *pairs)


PART = Part(TITLE, 0.05, compute, show)
