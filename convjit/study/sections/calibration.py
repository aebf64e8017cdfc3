"""Calibration: the V-curves of the integer types, and the scales that each method chooses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from convjit import dtypes
from convjit.spec.conv import ConvSpec
from convjit.spec.reference import reference
from convjit.study.calibrate import calibrate
from convjit.study.clock import Clock
from convjit.study.difference import nrmse
from convjit.study.forms import BEST, HALF, INTEGERS, Scales
from convjit.study.layer import Layer, layer
from convjit.study.methods import METHODS
from convjit.study.page import Figure, Item, Section, Side, Table, Text
from convjit.study.part import Found, NotApplicable, Part, Shown, Subject, Tell
from convjit.study.plots import Axis, Series, lines, svg
from convjit.study.real import real_form
from convjit.study.sheet import Sheet
from convjit.study.show import percent
from convjit.study.sweep import Swept, runs, sweep
from convjit.study.vcurve import DTYPES, Curve, Point, ratio_of, rounding_of

TITLE = "Calibration and V-curve"
OWN, REPORT = "own", "report"
"""Kinds of curves: the ratio of scales from the data, rounding as the spec says; and the report's ratio and rounding."""

ORDER = ("i16", "i8", "i32", "i4")
"""In which the curves are computed, as long as there is time."""

TRUNCATES = "toward_zero"
"""The report's rounding."""

SCALE = Axis("scale of the input", "integers per unit", "log2")
NRMSE = Axis("NRMSE", "share of range", "log")
SHARE = Axis("share of numbers", "0 to 1")

DEFINITIONS = """
The input is multiplied by 2^N, the weight by a ratio times 2^N; both are rounded to integers that saturate at the ends of
their type; the products are summed exactly, and the sum is divided by both scales. Too small a scale rounds numbers away
(the slope on the left of the V), too large a one clamps them (the wall on the right). `i4` is emulated: it saturates at -8 and 7.

Errors are against the convolution in float64. Everything here is computed exactly: another machine gives the same numbers.
"""


@dataclass(frozen=True)
class Choice:
    """What a method of calibration chose for a type, and the NRMSE that follows. `scale_w` is None where each output
    channel has its own."""

    dtype: str
    method: str
    per_channel: bool
    scale_x: float
    scale_w: float | None
    nrmse: float


@dataclass(frozen=True)
class Calibration:
    """Curves by kind, the choices of the methods, and what the time did not suffice for."""

    curves: tuple[tuple[str, Swept], ...]
    choices: tuple[Choice, ...]
    left_out: tuple[str, ...]

    def of(self, kind: str, dtype: str) -> Curve | None:
        """The curve of a type."""
        return next((s.curve for k, s in self.curves if (k, s.curve.dtype) == (kind, dtype)), None)

    @property
    def scales(self) -> dict[str, dict[str, Scales]]:
        """For each integer type that is computed in, those of the best point of its own curve; and, of the narrow ones, half
        of them."""
        found = {dtype: c.best for dtype in INTEGERS if (c := self.of(OWN, dtype))}
        best: dict[str, dict[str, Scales]] = {d: {BEST: (p.scale_x, p.scale_w)} for d, p in found.items()}
        halves = {d: {HALF: (p.scale_x / 2, p.scale_w / 2)} for d, p in found.items() if d != "i32"}
        return {d: pairs | halves.get(d, {}) for d, pairs in best.items()}


def compute(subject: Subject, found: Found, clock: Clock, tell: Tell) -> Calibration:
    """Curves first, for most of the time, then the methods."""
    spec = subject.spec
    if not dtypes.is_float(spec.input.dtype):
        raise NotApplicable(f"the tensors of '{spec.name}' are integers already, with the scales that they were made with.")
    form = real_form(spec, subject.given, "f32")
    x, w = (form.given[t.name] for t in (spec.input, spec.weight))
    data = layer(form.spec, x, w)
    most, curves = Clock(0.7 * clock.left), []
    for kind, dtype, ratio, rounding in _wanted(ratio_of(x, w), subject.ratio, rounding_of(spec)):
        tell(f"{dtype}, ratio {ratio:g}")
        curves.append((kind, sweep(data, dtype, ratio, rounding, most)))
    late = [f"{TITLE}: {s.curve.dtype}, ratio {s.curve.ratio:g}, N = {runs(s.missing)}" for _, s in curves if s.missing]
    choices = list(_choices(form.spec, data, clock, tell, late)) if spec.input.dtype == "f32" else []
    return Calibration(tuple(curves), tuple(choices), tuple(late))


def _wanted(own: float, report: float, rounding: str) -> list[tuple[str, str, float, str]]:
    """Kind, type, ratio and rounding of each curve, in the order in which they are computed."""
    return [(OWN, dtype, own, rounding) for dtype in ORDER] + [(REPORT, dtype, report, TRUNCATES) for dtype in ORDER]


def _choices(spec: ConvSpec, data: Layer, clock: Clock, tell: Tell, late: list[str]) -> Iterator[Choice]:
    """Of every method, for the whole weight and for each output channel; what there is no time for is added to `late`."""
    took: dict[str, float] = {}
    for method, dtype, per_channel in product(METHODS, ("i8", "i16"), (False, True)):
        name = f"{dtype}, {method}{', per output channel' * per_channel}"
        if clock.left <= took.get(method, 0.0):
            late.append(f"{TITLE}: {name}")
            continue
        tell(name)
        begun = clock.left
        made = calibrate(data.spec, data.x, data.w, method=method, dtype=dtype, per_channel=per_channel)
        assert made.compute is not None and isinstance(made.compute.scales, tuple)
        sx, sw = made.compute.scales
        error = nrmse(reference(made, data.x, data.w), data.wanted)
        took[method] = begun - clock.left
        yield Choice(dtype, method, per_channel, sx, sw if isinstance(sw, float) else None, error)


def show(subject: Subject, found: Found, result: Calibration) -> Shown:
    """The curves drawn, what bends them, the points as a table, and the methods."""
    drawings = {f"v_curve_{kind}": _curves(result, kind) for kind in (OWN, REPORT)}
    figures = [
        Figure(svg(drawings[f"v_curve_{kind}"]), f"{_kind(result, kind)} Rings: the least error.", "NRMSE over the input's scale")
        for kind in (OWN, REPORT)
    ]
    bends = {f"v_bends_{dtype}": _bends(curve) for dtype in ("i16", "i8") if (curve := result.of(OWN, dtype))}
    caption = "What is clamped and what becomes zero in {}; ratio from the data."
    shares = [
        Figure(svg(d), caption.format(n.removeprefix("v_bends_")), "Shares over the input's scale") for n, d in bends.items()
    ]
    items: list[Item] = [Text(DEFINITIONS), Side(figures), _best(result), Side(shares), *_methods(result)]
    records = [(k, s, p) for k, s in result.curves for p in s.curve.points]
    before: list[tuple[str, Sequence[object]]] = [
        ("kind", [k for k, _, _ in records]), ("dtype", [s.curve.dtype for _, s, _ in records]),
        ("ratio", [s.curve.ratio for _, s, _ in records]), ("rounding", [s.rounding for _, s, _ in records]),
    ]  # fmt: skip
    sheets = {
        "v_curve": Sheet.of(Point, [p for _, _, p in records], before),
        "calibration": Sheet.of(Choice, result.choices),
    }
    return Shown(Section(TITLE, items), sheets, {**drawings, **bends}, {}, _summary(result), result.left_out)


def _kind(result: Calibration, kind: str) -> str:
    swept = next(s for k, s in result.curves if k == kind)
    where = "from the largest values of the data" if kind == OWN else "the report's"
    return f"Ratio {swept.curve.ratio:.4g} ({where}), rounding `{swept.rounding}`."


def _curves(result: Calibration, kind: str) -> object:
    chosen = [result.of(kind, dtype) for dtype in DTYPES]
    series = [
        Series(c.dtype, [(p.scale_x, p.nrmse) for p in c.points], [c.points.index(c.best)]) for c in chosen if c is not None
    ]
    bounds = {f"{c.dtype} clamps": c.wall.scale_x for c in chosen if c is not None and c.wall is not None}
    return lines(series, SCALE, NRMSE, f"NRMSE over the input's scale, {'ratio from the data' if kind == OWN else 'report'}", bounds)


def _bends(curve: Curve) -> object:
    names = {
        "input clamped": "clamped_x", "weight clamped": "clamped_w", "input zero": "zeros_x", "weight zero": "zeros_w",
        "output zero": "zeros_y",
    }  # fmt: skip
    series = [Series(n, [(p.scale_x, getattr(p, field)) for p in curve.points]) for n, field in names.items()]
    return lines(series, SCALE, SHARE, curve.dtype)


def _best(result: Calibration) -> Table:
    header = (
        "curve", "type", "ratio", "best N", "NRMSE", "exact", "clamped x", "clamped w", "zeros x", "zeros w", "clamps from N",
        "within 2x of the best",
    )  # fmt: skip
    rows = [_row(kind, swept.curve) for kind, swept in result.curves]
    note = "Shares are those at the best N. Clamps from: the first N at which a number lies beyond the type's ends."
    return Table(header, rows, "The least error of each curve.", note)


def _row(kind: str, curve: Curve) -> Sequence[object]:
    best, flat = curve.best, curve.plateau()
    shares = [percent(s) for s in (best.exact, best.clamped_x, best.clamped_w, best.zeros_x, best.zeros_w)]
    wall = "none" if curve.wall is None else str(curve.wall.exponent)
    return (
        kind, curve.dtype, f"{curve.ratio:.4g}", best.exponent, f"{best.nrmse:.3e}", *shares, wall,
        f"N = {runs(p.exponent for p in flat)}",
    )  # fmt: skip


def _methods(result: Calibration) -> list[Item]:
    if not result.choices:
        return []
    header = ("type", "method", "weight's scales", "scale of input", "scale of weight", "NRMSE")
    rows = [
        (c.dtype, c.method, "per output channel" if c.per_channel else "one", c.scale_x, c.scale_w, f"{c.nrmse:.3e}")
        for c in result.choices
    ]
    least = {(d, p): min(c.nrmse for c in result.choices if (c.dtype, c.per_channel) == (d, p)) for d, p in
             {(c.dtype, c.per_channel) for c in result.choices}}  # fmt: skip
    marked = frozenset(i for i, c in enumerate(result.choices) if c.nrmse == least[c.dtype, c.per_channel])
    note = "Marked: the least error of a type. Scales are factors, as in `compute`; `convjit.calibrate` gives the spec."
    return [Table(header, rows, "What each method of calibration chooses.", note, marked)]


def _summary(result: Calibration) -> tuple[str, ...]:
    return tuple(
        f"{d}: least NRMSE {c.best.nrmse:.2e} at 2^{c.best.exponent} (ratio {c.ratio:.4g})"
        for d in INTEGERS
        if (c := result.of(OWN, d))
    )


PART = Part(TITLE, 0.2, compute, show)
