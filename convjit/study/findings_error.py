"""The report's conclusions on error, scales and zeros, beside what was computed."""

from __future__ import annotations

from collections.abc import Iterator

from convjit.study.finding import Finding, judged, unknown
from convjit.study.sections.calibration import ALIKE, OWN, RATIO, REPORT, Calibration
from convjit.study.sections.sparsity import ONE, Zeros
from convjit.study.vcurve import Curve

SCALES = {"i32": 19, "i16": 7, "i8": 0}
"""The exponents that the report chose for its input scales."""

SAMPLE_1 = 7.786e-5
"""NRMSE of INT16 at 2^7 with ratio 500 for the report's sample 1: by it the data are known."""

PLOTTED = {"i8": (1, 3.78e-2), "i16": (9, 4.02e-2)}
"""What the report's figure 1 shows behind the wall: N and NRMSE (sample 1)."""

PLATEAU = (19, 23)
"""Where INT32's curve is flat: float32 itself is the floor."""


def error(result: Calibration) -> Iterator[Finding]:
    """What the curves say."""
    for dtype, exponent in SCALES.items():
        yield _chosen(result, dtype, exponent)
    yield from _walls(result)
    yield _alike(result)
    yield _ratio(result)
    yield _scheme(result)


def zeros(result: Zeros, calibration: Calibration | None) -> Iterator[Finding]:
    """What the counts say."""
    claim = "At the report's scales there are too few zeros to be used."
    counted = {d: s for d in SCALES if (s := result.of(REPORT, d))}
    if counted:
        figure = "; ".join(f"{d}: input {s.report}, weight {s.weight}, output {s.output}" for d, s in counted.items())
        most = max(s.weight.share for s in counted.values())
        yield judged("5.2.6", claim, most < 0.5, f"{figure}. Sparse kernels pay from about half of the weights on.")
    claim = "With an input scale of 1, INT16 has 23% zeros in its input, and an NRMSE of 0.0049 (averages of three samples)."
    one = result.of(ONE, "i16")
    curve = calibration.of(REPORT, "i16") if calibration else None
    at = next((p for p in curve.points if p.exponent == 0), None) if curve else None
    if one is None or at is None:
        yield unknown("5.2.6", claim, "Zeros or the curve of INT16 are missing.")
        return
    holds = abs(one.report.share - 0.23) < 0.01
    yield judged("5.2.6", claim, holds, f"Zeros of the input: {one.report} as the report counts; NRMSE {at.nrmse:.3e} on this layer.")


def _chosen(result: Calibration, dtype: str, exponent: int) -> Finding:
    """Whether the report's scale is that of the least error."""
    claim = f"The best input scale of {_name(dtype)} with ratio 500 is 2^{exponent}."
    curve = result.of(REPORT, dtype)
    if curve is None or curve.ratio != 500 or exponent not in {p.exponent for p in curve.points}:
        return unknown("2.2", claim, "The curve has another ratio, or no point there.")
    best, there = curve.best, curve.at(exponent)
    figure = f"Least NRMSE {best.nrmse:.3e} at 2^{best.exponent}; {there.nrmse:.3e} at 2^{exponent}."
    if best.clamps:
        figure += f" At the best N {best.clamped_x:.2%} of the inputs and {best.clamped_w:.2%} of the weights are clamped."
    flat = [p for p in curve.points if PLATEAU[0] < p.exponent <= PLATEAU[1]]
    if dtype == "i32" and best.exponent > exponent and flat:
        figure += f" Beyond 2^{exponent} the curve flattens: {', '.join(f'{p.nrmse:.2e}' for p in flat)} at 2^{flat[0].exponent}"
        figure += f" to 2^{flat[-1].exponent}, where float32 itself is the floor."
    return judged("2.2", claim, best.exponent == exponent, figure)


def _walls(result: Calibration) -> Iterator[Finding]:
    """What happens once numbers are clamped."""
    claim = "Once quantised values begin to be clamped, NRMSE increases explosively."
    curves = [c for d in SCALES if (c := result.of(REPORT, d)) and c.wall is not None]
    if not curves:
        yield unknown("2.2", claim, "No curve reaches its wall.")
        return
    steps = {c.dtype: _step(c) for c in curves}
    figure = "; ".join(f"{d}: {text}" for d, (text, _) in steps.items())
    yield judged("2.2", claim, all(up for _, up in steps.values()), f"{figure}.")
    if not is_sample_1(result):
        return
    for dtype, (exponent, plotted) in PLOTTED.items():
        curve = result.of(REPORT, dtype)
        if curve is not None and exponent in {p.exponent for p in curve.points}:
            there = curve.at(exponent).nrmse
            claim = f"Behind its wall, at 2^{exponent}, {_name(dtype)} has an NRMSE of {plotted:.2e} (figure 1)."
            yield judged("2.2", claim, abs(there / plotted - 1) < 0.01, f"NRMSE {there:.3e}: the wall is lower than plotted.")


def is_sample_1(result: Calibration) -> bool:
    """Whether these are the data of the report's sample 1: its INT16 error is met to three digits."""
    curve = result.of(REPORT, "i16")
    there = next((p.nrmse for p in curve.points if p.exponent == 7), None) if curve and curve.ratio == 500 else None
    return there is not None and abs(there / SAMPLE_1 - 1) < 5e-4


def _step(curve: Curve) -> tuple[str, bool]:
    """What the first clamping does to the error, in words; and whether it makes it ten times as large."""
    assert curve.wall is not None
    at = curve.points.index(curve.wall)
    before = curve.points[at - 1] if at else curve.wall
    factor = curve.wall.nrmse / before.nrmse if before.nrmse else float("inf")
    clamped = max(curve.wall.clamped_x, curve.wall.clamped_w)
    return f"{factor:.3g} times the error at 2^{curve.wall.exponent}, where {clamped:.2%} are clamped", factor >= 10


def _alike(result: Calibration) -> Finding:
    claim = "The same scale for input and weight loses either the weight or the input."
    found = [(a, b) for d in ("i16", "i8") if (a := result.of(ALIKE, d)) and (b := result.of(REPORT, d))]
    if not found:
        return unknown("2.2", claim, "There are no curves of one scale.")
    figure = "; ".join(
        f"{a.dtype}: least NRMSE {a.best.nrmse:.2e} with one scale, {b.best.nrmse:.2e} with ratio {b.ratio:g}" for a, b in found
    )
    return judged("2.2", claim, all(a.best.nrmse > 2 * b.best.nrmse for a, b in found), f"{figure}.")


def _ratio(result: Calibration) -> Finding:
    claim = "A ratio of 500 between the scales of weight and input brings both to a similar range."
    found = [(a, b) for d in ("i16", "i8") if (a := result.of(RATIO, d)) and (b := result.of(REPORT, d))]
    if not found:
        return unknown("2.2", claim, "There are no curves of other ratios.")
    figure = "; ".join(f"{a.dtype}: NRMSE {a.best.nrmse:.2e} with it, {b.best.nrmse:.2e} with {b.ratio:g}" for a, b in found)
    ratio = found[0][0].ratio
    holds = all(a.best.nrmse > 0.9 * b.best.nrmse for a, b in found)
    return judged("2.2", claim, holds, f"The largest values have the ratio {ratio:.4g}. Same rounding, {figure}.")


def _scheme(result: Calibration) -> Finding:
    claim = "NRMSE of INT32, INT16 and INT8: 4.9e-8, 9.93e-5, 1.22e-2 (averages of three samples)."
    there = {d: c.at(n) for d, n in SCALES.items() if (c := result.of(REPORT, d)) and n in {p.exponent for p in c.points}}
    if len(there) < len(SCALES):
        return unknown("2.1", claim, "The curves have no points there.")
    own = {d: c.best.nrmse for d in SCALES if (c := result.of(OWN, d))}
    figure = "On this layer at the report's scales: " + ", ".join(f"{_name(d)} {p.nrmse:.3e}" for d, p in there.items())
    figure += "; at the best scales: " + ", ".join(f"{_name(d)} {e:.3e}" for d, e in own.items())
    holds = there["i16"].nrmse <= 2 * 9.93e-5 and there["i8"].nrmse <= 2 * 1.22e-2 and there["i32"].nrmse <= 2 * 4.9e-8
    return judged("2.1", claim, holds, f"{figure}. Confirmed means: at most twice that.")


def _name(dtype: str) -> str:
    return dtype.replace("i", "INT")
