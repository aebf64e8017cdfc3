"""What the report that this project grew from concludes about error, scales and zeros, checked on its own tensors.

Its sections are those of its final version. Figures are in float64 unless they say otherwise; `report_arithmetic` is how
the report computed its own.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from math import floor, log2
from typing import Any

import numpy as np

from convjit.spec.build import Conv
from convjit.spec.conv import ConvSpec
from convjit.study.difference import nrmse
from convjit.study.finding import Finding, finding
from convjit.study.layer import Layer, layer
from convjit.study.report_arithmetic import in_sequence, nrmse_in_float32
from convjit.study.sparsity import Sparsity, sparsity_of
from convjit.study.vcurve import Curve, curve_of, quantised, ratio_of

RATIO = 500.0
ROUND = "toward_zero"
CHOSEN = {"i32": 19, "i16": 7, "i8": 0}
"""N of the report's input scales 2^N; its weight's are 500 times as large."""

NAMES = {"i32": "INT32", "i16": "INT16", "i8": "INT8"}
RANGES = {"i32": range(27), "i16": range(10), "i8": range(-1, 3)}
WALLS = {"i16": (9, 4.02e-2), "i8": (1, 3.78e-2)}
"""Where its Figure 1 ends on the right: N and the NRMSE that it plots there."""


def report_spec(x: Any, w: Any) -> ConvSpec:
    """The report's convolution of such tensors: input [N, H, W, C], kernel [KH, KW, OC, IC], stride 1, `same`."""
    n, h, width, c = np.shape(x)
    kh, kw, oc, ic = np.shape(w)
    shapes = {"N": n, "H": h, "W": width, "C": c}, {"KH": kh, "KW": kw, "OC": oc, "IC": ic}
    return Conv("report", input=("x", "f32", shapes[0]), weight=("w", "f32", shapes[1]), pad="same")


class Sample:
    """One of the report's samples, and what is measured of it, each thing once."""

    def __init__(self, x: Any, w: Any) -> None:
        self.data = layer(report_spec(x, w), x, w)
        self._curves: dict[str, Curve] = {}

    def curve(self, dtype: str) -> Curve:
        """The V-curve with the report's ratio and rounding, against float64."""
        if dtype not in self._curves:
            self._curves[dtype] = curve_of(self.data, dtype, RANGES[dtype], RATIO, ROUND)
        return self._curves[dtype]

    @cached_property
    def sequence(self) -> Layer:
        """The same layer, with errors against the report's own reference."""
        return replace(self.data, other=in_sequence(self.data).astype(np.float64))

    def zeros(self, dtype: str, exponent: int) -> Sparsity:
        """The zeros at 2^N."""
        return sparsity_of(self.data, dtype, 2.0**exponent, RATIO * 2.0**exponent, ROUND)

    def in_report_arithmetic(self, dtype: str, exponent: int) -> float:
        """The NRMSE as the report's program computes it."""
        scales = 2.0**exponent, RATIO * 2.0**exponent
        x, w = (quantised(v, s, dtype, ROUND)[0] for v, s in zip((self.data.x, self.data.w), scales, strict=True))
        assert self.sequence.other is not None
        return nrmse_in_float32(self.data.restored(x, w, scales), self.sequence.other.astype(np.float32))


def findings(x: Any, w: Any) -> tuple[Finding, ...]:
    """Each conclusion about error, scales and zeros with what these tensors say of it. Takes a few seconds.

    `x` and `w` are one sample in the report's order of axes. Raises `ConvError` for data that no layer can have.
    """
    sample = Sample(x, w)
    return (
        *(chosen_scale(sample, dtype) for dtype in ("i16", "i8")),
        plateau(sample), own_error(sample), order_of_types(sample), no_clamping(sample),
        *(wall(sample, dtype) for dtype in WALLS),
        ratio(sample), sparsity_is_low(sample), scale_of_one(sample), accumulated(sample),
    )  # fmt: skip


def chosen_scale(sample: Sample, dtype: str) -> Finding:
    """§2.2: the N of least NRMSE."""
    curve, n = sample.curve(dtype), CHOSEN[dtype]
    best, own = curve.best, curve.at(n)
    clamped = f", where {best.clamped_w:.2%} of the weights are clamped" if best.clamps else ""
    other = f"; at 2^{n} it is {own.nrmse:.3e}" if best.exponent != n else ""
    figure = f"The least NRMSE is {best.nrmse:.3e} at 2^{best.exponent}{clamped}{other}."
    return finding(f"The best input scale of {NAMES[dtype]} is 2^{n}.", "§2.2", figure, best.exponent == n)


def plateau(sample: Sample) -> Finding:
    """§2.2: INT32's 2^19, on a plateau."""
    flat = curve_of(sample.sequence, "i32", RANGES["i32"], RATIO, ROUND).plateau(1.1)
    low, high = flat[0], flat[-1]
    own, best = sample.curve("i32").at(CHOSEN["i32"]), sample.curve("i32").best
    figure = (
        f"Against a float32 reference NRMSE is flat from 2^{low.exponent} to 2^{high.exponent} ({high.nrmse:.2e} to {low.nrmse:.2e}): "
        f"the error of that reference. Against float64 it falls from {own.nrmse:.3e} at 2^19 to {best.nrmse:.3e} at 2^{best.exponent}."
    )
    claim = "INT32's NRMSE is flat from 2^19 on, until values are clamped."
    return finding(claim, "§2.2, Figure 1", figure, low.exponent == CHOSEN["i32"])


def own_error(sample: Sample) -> Finding:
    """§5.2.3: INT32 against f32."""
    reference = sample.sequence.other
    assert reference is not None
    summed, whole = nrmse(reference, sample.data.wanted), sample.curve("i32").at(CHOSEN["i32"]).nrmse
    figure = (
        f"Against float64, INT32 at 2^19 has an NRMSE of {whole:.3e} and float32, one product after the other, {summed:.3e}. Against that "
        f"float32 INT32 has {sample.in_report_arithmetic('i32', 19):.3e}, which is the error of the reference."
    )
    return finding("INT32 has a larger error than FP32.", "§2.1, §5.2.3", figure, whole > summed)


def order_of_types(sample: Sample) -> Finding:
    """§2.2: wider types take larger factors."""
    best = {dtype: sample.curve(dtype).best.exponent for dtype in RANGES}
    figure = ", ".join(f"{NAMES[dtype]} 2^{n}" for dtype, n in best.items())
    holds = best["i32"] > best["i16"] > best["i8"]
    return finding("INT32 tolerates larger scaling factors than INT16, and INT16 than INT8.", "§2.2", f"Best: {figure}.", holds)


def no_clamping(sample: Sample) -> Finding:
    """§2.2: the largest factor that clamps nothing."""
    found, holds = [], True
    for dtype in RANGES:
        curve, first = sample.curve(dtype), sample.curve(dtype).wall
        last = curve.points[-1].exponent if first is None else first.exponent - 1
        holds &= curve.best.exponent == last
        found.append(f"{NAMES[dtype]} clamps nothing up to 2^{last} and is best at 2^{curve.best.exponent}")
    return finding("The best factor is the largest that clamps nothing.", "§2.2", "; ".join(found) + ".", holds)


def wall(sample: Sample, dtype: str) -> Finding:
    """Figure 1: the right-hand ends."""
    n, plotted = WALLS[dtype]
    point = sample.curve(dtype).at(n)
    figure = f"With exact saturation it is {point.nrmse:.3e}, with {point.clamped_w:.2%} of the weights clamped."
    claim = f"NRMSE explodes once values are clamped: {plotted:.2e} for {NAMES[dtype]} at 2^{n}."
    return finding(claim, "§2.2, Figure 1", figure, bool(np.isclose(point.nrmse, plotted, rtol=0.05)))


def ratio(sample: Sample) -> Finding:
    """§2.2: the weight's scale is 500 times the input's."""
    x, w = sample.data.x, sample.data.w
    by_std, by_max = ratio_of(x, w, "std"), ratio_of(x, w, "max")
    found, lowest = [], True
    for dtype in ("i16", "i8"):
        tried = [around_best(sample.data, dtype, r) for r in (RATIO, by_std, by_max)]
        more = [around_best(sample.data, dtype, by_max * 2.0 ** (k / 4)) for k in range(-2, 8)]
        best = min((*tried, *more), key=lambda c: c.best.nrmse)
        lowest &= best is tried[0]
        own = ", ".join(f"{c.best.nrmse:.3e} with {c.ratio:.0f}" for c in tried)
        found.append(f"{NAMES[dtype]} has {own}, at best {best.best.nrmse:.3e} with {best.ratio:.0f}")
    figure = f"The ratio of standard deviations is {by_std:.0f}, of largest values {by_max:.0f}. Least NRMSE: {'; '.join(found)}."
    claim = "A kernel scaled 500 times more than the input has a similar range."
    return finding(claim, "§2.2", figure, lowest)


def around_best(data: Layer, dtype: str, ratio: float) -> Curve:
    """The curve at the last N that clamps nothing, and at two more: the best one is among them."""
    high = {"i16": 2**15, "i8": 2**7}[dtype] - 1
    last = floor(log2(high / max(np.abs(data.x).max(), ratio * np.abs(data.w).max())))
    return curve_of(data, dtype, range(last, last + 3), ratio, ROUND)


def sparsity_is_low(sample: Sample) -> Finding:
    """Figure 3: the shares of zeros."""
    found = {dtype: sample.zeros(dtype, n) for dtype, n in CHOSEN.items()}
    figure = "; ".join(f"{NAMES[dtype]}: input {z.report}, kernel {z.weight}, output {z.output}" for dtype, z in found.items())
    note = "The input is counted with padding to (H+KH) x (W+KW), as the report does"
    bare = ", ".join(f"{z.bare.share:.1%}" for z in found.values())
    text = f"{figure}. {note}; without any it is {bare}."
    holds = all(z.report.share < 0.5 and z.weight.share < 0.5 for z in found.values())
    return finding("Weight and activation sparsity is too low to leverage.", "§5.2.6, Figure 3", text, holds)


def scale_of_one(sample: Sample) -> Finding:
    """§5.2.6: INT16 with an input scale of 1."""
    zeros, one, two = sample.zeros("i16", 0), sample.curve("i16").at(0), sample.curve("i16").at(1)
    figure = f"Of the padded input {zeros.report} is zero; NRMSE is {one.nrmse:.3e} (at 2^1 it is {two.nrmse:.3e})."
    holds = round(zeros.report.share, 2) == 0.23 and round(one.nrmse, 4) == 0.0049
    return finding("With S = 1, INT16 has 23% zeros in the input at an NRMSE of 0.0049.", "§5.2.6", figure, holds)


def accumulated(sample: Sample) -> Finding:
    """The report's program sums squares in float32."""
    own, ours = sample.in_report_arithmetic("i16", 8), sample.curve("i16").at(8).nrmse
    figure = f"With a mean summed in float32 it is {own:.3e}, in float64 {ours:.3e}."
    return finding("INT16 at 2^8 has an NRMSE of 8.554e-04.", "program of §2.2", figure, f"{own:.3e}" == "8.554e-04")
