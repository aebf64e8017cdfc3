"""Whether a result is right: integers exactly, floats within a bound that follows from their type.

The bound is for each element of its own. A sum of K products in a type with unit roundoff u (2^-24 for f32, 2^-53 for
f64), added up in any order, differs from the exact one by at most gamma A, gamma = (K + 1) u / (1 - (K + 1) u), with
A = sum |x| |w| + |bias| (Higham, Accuracy and Stability of Numerical Algorithms, 2nd edition, section 3.1). Steps after the
sum carry it on by their slope and add their own rounding, the output's type adds its own. What underflows loses at most
the type's smallest number for each product.

NRMSE = sqrt(mean((y - ref)^2)) / (max(ref) - min(ref)), over the elements that are finite. Where `compute` quantises f32
tensors, the result is compared with its meaning, bit for bit, and NRMSE is that of the convolution in float64 without it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from convjit import dtypes
from convjit.spec import layout
from convjit.spec.conv import ConvSpec
from convjit.spec.reference import reference
from convjit.spec.tensor import Then

Array = NDArray[Any]
Reals = NDArray[np.float64]

SLOPES = {"silu": 1.1, "gelu": 1.13, "hardswish": 1.5}
"""The steepest slope of the steps where it is more than 1."""

_finfo: Callable[[np.dtype[Any]], Any] = ml_dtypes.finfo

STEP_ROUNDINGS = 16
"""Units in the last place that a step may add; the functions with exponentials need a few."""


@dataclass(frozen=True)
class Verdict:
    """What came of a comparison. `largest` is the greatest difference, `share` its greatest part of the bound (at most 1
    where the result is right; 0 for integers), `wrong` how many elements are not right, `first` where one of them is."""

    nrmse: float
    largest: float
    share: float
    wrong: int
    first: tuple[int, ...]
    exact: bool


@dataclass(frozen=True)
class Expected:
    """What any number of results of one spec, on the same arrays, are held against.

    `wanted` is the reference; `true` the convolution that an error is given against (float64 without `compute`).
    `allowed` and `magnitude` bound each element where the sums are floats; they are None where every bit is defined.
    """

    spec: ConvSpec
    wanted: Array
    true: Reals
    allowed: Reals | None
    magnitude: Reals | None

    def judge(self, result: Array) -> Verdict:
        """Whether a result is right, and how far it is from the truth."""
        if self.allowed is None or self.magnitude is None:
            gap = np.abs(result.astype(np.float64) - self.true)
            return _verdict(self.true, gap, np.zeros(1), beyond(self.spec, result, self.wanted), exact=True)
        with np.errstate(all="ignore"):
            values = result.astype(np.float64)
            gap = np.abs(values - self.wanted)
            limit = float(_finfo(dtypes.get(self.spec.output.dtype).numpy).max)
            right = (np.isfinite(self.allowed) & (gap <= self.allowed)) | (values == self.wanted)
            right |= np.isnan(values) & np.isnan(self.wanted)
            overflows = np.isfinite(self.magnitude) & (self.magnitude + self.allowed >= limit)
            right |= overflows  # nothing can be said of such a sum
        return _verdict(self.wanted, gap, self.allowed, ~right, exact=False)


def expected(spec: ConvSpec, given: Mapping[str, Array]) -> Expected:
    """What results of a spec without open sizes must be."""
    wanted = reference(spec, **given)
    if spec.restored or not dtypes.is_float(spec.output.dtype):
        true = reference(replace(spec, compute=None), **given) if spec.computes_integers else wanted
        return Expected(spec, wanted, true.astype(np.float64), None, None)
    return Expected(spec, wanted, wanted, *bound(spec, given))


def compare(spec: ConvSpec, given: Mapping[str, Array], result: Array) -> Verdict:
    """The result of a spec without open sizes beside its reference."""
    return expected(spec, given).judge(result)


CURVES = frozenset({"sigmoid", "tanh", "silu", "gelu"})
"""Steps that are not the same to the last bit as the reference's."""


def beyond(spec: ConvSpec, result: Array, wanted: Array) -> NDArray[np.bool_]:
    """Where a result that has a formula is not the reference's; behind a curve it may lie next to it."""
    exact = wanted.astype(result.dtype)
    differing: NDArray[np.bool_] = (result != exact) & ~((result != result) & (exact != exact))
    if not CURVES.intersection(step.op for step in spec.then):
        return differing
    gap = np.abs(result.astype(np.float64) - exact.astype(np.float64))
    near = 1.0 if not dtypes.is_float(spec.output.dtype) else np.maximum(np.abs(exact), 1.0) * 1e-5
    return differing & ~(gap <= near)


def bound(spec: ConvSpec, given: Mapping[str, Array]) -> tuple[Reals, Reals]:
    """For each output element, how far it may be from the reference, and how large what was added up for it can be."""
    kernel = (t for t in (spec.input, spec.weight, spec.bias) if t is not None)
    plain = replace(spec, tensors=(*kernel, spec.output), then=())
    with np.errstate(all="ignore"):
        sizes = {t.name: np.abs(given[t.name].astype(np.float64)) for t in plain.arguments}
        magnitude: Reals = reference(plain, **sizes)
        unit = _unit(spec.accumulator)
        count = spec.ic_per_group * prod(spec.kernel_size) + 1
        error = magnitude * (count * unit / (1 - count * unit)) + count * _lost(spec)
        reached = magnitude
        for step in spec.then:
            error, magnitude = _step(spec, step, given, error, magnitude)
            reached = np.maximum(reached, magnitude)
        return error + magnitude * _unit(spec.output.dtype) + _smallest(spec.output.dtype), reached


def _step(
    spec: ConvSpec, step: Then, given: Mapping[str, Array], error: Reals, magnitude: Reals
) -> tuple[Reals, Reals]:
    """Error and magnitude behind a step."""
    unit = _unit(spec.accumulator)
    if step.args and isinstance(step.args[0], str):
        other = np.abs(_beside(spec, step.args[0], given))
        if step.op == "add":
            return error + unit * (magnitude + other), magnitude + other
        return error * other + unit * magnitude * other, magnitude * other
    slope = SLOPES.get(step.op, 1.0)
    if step.op == "leaky_relu":
        slope = max(1.0, abs(float(step.args[0])))
    if step.op == "clip":  # a bound that is far from zero lifts the magnitude
        magnitude = np.maximum(magnitude, max(abs(float(end)) for end in step.args))
    return error * slope + STEP_ROUNDINGS * unit * np.maximum(magnitude, 1.0), magnitude * slope


def _beside(spec: ConvSpec, name: str, given: Mapping[str, Array]) -> Reals:
    """A residual, or a vector over the output channels, as it stands beside the output."""
    tensor, values = spec.tensor(name), given[name].astype(np.float64)
    if tensor.role == "residual":
        return values.transpose(layout.permutation(tensor.axes, spec.output.axes))
    return values.reshape([-1 if axis == "OC" else 1 for axis in spec.output.axes])


def _unit(dtype: str) -> float:
    """Unit roundoff: half the distance between 1 and the next number."""
    return float(_finfo(dtypes.get(dtype).numpy).eps) / 2


def _lost(spec: ConvSpec) -> float:
    """What a sum that underflows loses: the smallest number, or all of a denormal one (docs/quantisation.md)."""
    flushed = spec.compute is not None and spec.compute.dtype == "bf16" and spec.input.dtype == "f32"
    return 2.0**-126 if flushed else _smallest(spec.accumulator)


def _smallest(dtype: str) -> float:
    return float(_finfo(dtypes.get(dtype).numpy).smallest_subnormal)


def _verdict(wanted: Reals, gap: Reals, allowed: Reals, wrong: NDArray[np.bool_], exact: bool) -> Verdict:
    finite = np.isfinite(gap)
    gaps, shown = gap[finite], wanted[finite]
    span = float(np.ptp(shown)) if shown.size else 0.0
    rms = float(np.sqrt(np.mean(gaps**2))) if gaps.size else 0.0
    with np.errstate(all="ignore"):
        shares = np.nan_to_num((gap / np.broadcast_to(allowed, gap.shape))[finite], posinf=np.inf)
    first = tuple(int(i) for i in np.argwhere(wrong)[0]) if wrong.any() else ()
    return Verdict(
        nrmse=rms / span if span else rms,
        largest=float(gaps.max(initial=0.0)),
        share=0.0 if exact else float(shares.max(initial=0.0)),
        wrong=int(wrong.sum()),
        first=first,
        exact=exact,
    )
