"""Calibration: scales, and zero points, for a convolution in integers, from data like those that it will meet.

docs/calibration.md has the formulas of the methods and their sources. What comes back is a spec whose text holds the
numbers; it compiles like any other.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from convjit import dtypes
from convjit.errors import ConvError
from convjit.spec import quantize
from convjit.spec.conv import ConvSpec
from convjit.spec.from_ast import from_text
from convjit.spec.tensor import Compute
from convjit.study.held import with_vectors
from convjit.study.layer import layer
from convjit.study.methods import METHODS, Wishes, check_percent
from convjit.study.results import with_results
from convjit.study.scheme import Computed, Stored, ends_of
from convjit.study.vcurve import check_word, rounding_of

COMPUTED = ("i8", "i16", "i32")
"""The integer types of `compute`."""

SYMMETRIC: dict[bool | str, tuple[bool, bool]] = {True: (True, True), False: (False, False), "weight": (False, True)}
"""Whether zero points stay where they are: of the input (and the output), and of the weight."""


@dataclass(frozen=True)
class Request:
    """What is asked of a calibration, checked."""

    method: str
    wishes: Wishes
    per_channel: bool
    symmetric: tuple[bool, bool]


def calibrate(
    spec: ConvSpec, x: Any, w: Any, *, method: str = "mse", dtype: str | None = None, ratio: float | str = "max",
    percentile: float = 99.99, exponents: Iterable[int] | None = None, per_channel: bool | None = None,
    symmetric: bool | str = True, rounding: str | None = None, **others: Any,
) -> ConvSpec:  # fmt: skip
    """The spec with the scales that a method finds for the real data `x` and `w`.

    A spec of f32 tensors gets `compute` in `dtype` (i8, i16 or i32; by default the type of its own `compute`, as in `compute i8 scale auto`).
    A quantised one gets scales and zero points in its tensors' types: there `x`, `w` and `others` are the real numbers that its
    integers will stand for. Arrays have the declared shapes; open sizes are theirs.

    `method`: "power_of_two" (an input scale of 2^N, a weight scale of `ratio` 2^N; the N of `exponents`, or those that fit
    the data), "minmax", "percentile" (of `percentile` per cent) or "mse" (least NRMSE of the convolution).
    `ratio`: a number, or "max" or "std", the quotient of the tensors' largest values or standard deviations.
    `per_channel`: a weight scale for each output channel; by default as the spec has it.
    `symmetric`: True leaves the zero points of signed types at 0 (those of unsigned ones in the middle, where numbers are negative),
    False takes zero points from the data, "weight" all but the weight's. `rounding`: of `compute`; by default the spec's own.
    `others`: bias and residuals by name, for the scale of a quantised output, which comes from the result in float64.

    Raises `ConvError` for arrays that do not fit, NaN, infinity, tensors of zeros, specs that have no scales, and words or
    numbers that cannot be.
    """
    check_word(method, tuple(METHODS), "method")
    wishes = Wishes(ratio, check_percent(percentile), None if exponents is None else tuple(exponents))
    given = spec.compute.scales[1] if spec.compute and isinstance(spec.compute.scales, tuple) else spec.weight.scale
    vector = isinstance(given, str) if per_channel is None else bool(per_channel)
    if symmetric not in SYMMETRIC:
        raise ConvError.of(f"'symmetric' is {symmetric!r}; it can be True, False or 'weight'.")
    request = Request(method, wishes, vector, SYMMETRIC[symmetric])
    if spec.input.quantised:
        _check_own_type(spec, dtype, rounding)
        return _settled(_stored(spec, x, w, others, request))
    return _settled(_computed(spec, x, w, request, _compute_type(spec, dtype), rounding or rounding_of(spec)))


def _computed(spec: ConvSpec, x: Any, w: Any, request: Request, dtype: str, rounding: str) -> ConvSpec:
    """A spec of f32 tensors, with the factors of `compute`."""
    check_word(rounding, tuple(quantize.ROUNDINGS), "rounding")
    if request.symmetric != SYMMETRIC[True]:
        hint = "Leave 'symmetric' out, or declare quantised tensors: x : u8[…] scale 1 zero 128."
        raise ConvError.of("'compute' has no zero points: its scales are symmetric.", spec.place("compute"), hint=hint)
    ends = ends_of(dtype)
    scheme = Computed(layer(spec, x, w), (ends, ends), request.symmetric, request.per_channel, dtype, rounding)
    gx, gw = METHODS[request.method](scheme, request.wishes)
    found = replace(spec, compute=Compute(dtype, (float(scheme.factor(gx)), 1.0), rounding))
    return with_vectors(found, scale=scheme.factor(gw))


def _stored(spec: ConvSpec, x: Any, w: Any, others: dict[str, Any], request: Request) -> ConvSpec:
    """A spec of quantised tensors, with their scales and zero points."""
    ends = ends_of(spec.input.dtype, spec.input.in_range), ends_of(spec.weight.dtype, spec.weight.in_range)
    scheme = Stored(layer(spec, x, w), ends, request.symmetric, request.per_channel)
    gx, gw = METHODS[request.method](scheme, request.wishes)
    own = replace(spec.input, scale=float(gx.step), zero=int(gx.zero) or None)
    found = replace(spec, tensors=tuple(own if t.role == "input" else t for t in spec.tensors))
    arrays = {spec.input.name: x, spec.weight.name: w, **others}
    found = with_results(spec, found, arrays, request.method, request.wishes, request.symmetric[0])
    return with_vectors(found, scale=gw.step, zero=gw.zero)


def _compute_type(spec: ConvSpec, dtype: str | None) -> str:
    """The type that products run in. `ConvError` for a spec that has no scales to find."""
    if spec.input.dtype != "f32":
        name, kind = spec.input.name, spec.input.dtype
        text = f"'{spec.name}' has no scales to find: its input '{name}' is {kind}, without a scale."
        hint = f"Declare tensors of f32 with 'compute i8 scale auto', or quantised ones: {name} : u8[…] scale 1 zero 128."
        raise ConvError.of(text, spec.place(f"type {name}"), hint=hint)
    given = spec.compute.dtype if spec.compute else None
    chosen = dtype or given
    if chosen is None or (dtype is None and dtypes.is_float(chosen)):
        hint = "Give dtype='i8', 'i16' or 'i32', or write 'compute i8 scale auto'."
        raise ConvError.of(f"'{spec.name}' does not say in which integers it is computed.", spec.place("compute"), hint=hint)
    check_word(chosen, COMPUTED, "integer type")
    return chosen


def _check_own_type(spec: ConvSpec, dtype: str | None, rounding: str | None) -> None:
    """A quantised spec declares its types, and `requantize` its rounding."""
    for word, given in (("dtype", dtype), ("rounding", rounding)):
        if given is not None:
            text = f"'{word}' is for tensors of f32; those of '{spec.name}' are quantised."
            raise ConvError.of(text, hint=f"Leave '{word}' out: the spec's own clauses say it.")


def _settled(spec: ConvSpec) -> ConvSpec:
    """The same spec, read back from its own text: every number is checked as one that was written."""
    return from_text(str(spec), "<convjit.calibrate>")[spec.name]
