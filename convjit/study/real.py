"""The real numbers that a convolution stands for: its float64 reference, and its form on tensors of floats.

Quantised tensors stand for (value - zero) * scale, an integer bias beside them for value * scale_x * scale_w
(docs/quantisation.md). Errors of every type are given against this one truth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convjit import dtypes
from convjit.spec.conv import ConvSpec
from convjit.spec.reference import reference
from convjit.spec.requantize import adds_real_bias
from convjit.spec.tensor import Tensor

Array = NDArray[Any]
Arrays = Mapping[str, Array]
Reals = NDArray[np.float64]


@dataclass(frozen=True)
class Form:
    """A spec without open sizes, and the arrays of a call of it."""

    spec: ConvSpec
    given: Arrays


def real_form(spec: ConvSpec, given: Arrays, dtype: str) -> Form:
    """The same convolution on tensors of a float type, without `compute`, scales and zero points.

    Arrays hold the numbers that those of `given` stand for, rounded to `dtype`. What an output's type does to a number
    (rounding, saturation, wrapping around) is no part of it.
    """
    read = {arg for step in spec.then for arg in step.args if isinstance(arg, str)}
    kept = [t for t in spec.tensors if t.role != "param" or t.name in read]
    tensors = tuple(replace(t, dtype=dtype, scale=None, zero=None, in_range=None, sparse=False) for t in kept)
    flow = spec.dataflow if dtypes.is_float(spec.input.dtype) else "auto"
    plain = replace(
        spec, tensors=tensors, compute=None, requantize=None, dataflow=flow, algorithm="auto", error=None, places=()
    )
    kind = dtypes.get(dtype).numpy
    values = {t.name: _values(spec, t, given) for t in kept if t.role != "output"}
    return Form(plain, {name: np.ascontiguousarray(v.astype(kind)) for name, v in values.items()})


def truth(spec: ConvSpec, given: Arrays) -> Reals:
    """The convolution of the real numbers in float64, in the output's shape and order of axes."""
    form = real_form(spec, given, "f64")
    found: Reals = reference(form.spec, **form.given)
    return found


def real_output(spec: ConvSpec, given: Arrays, result: Array) -> Reals:
    """The real numbers that a result stands for."""
    return _real(spec.output, result, given)


def nearest(spec: ConvSpec, given: Arrays, true: Reals) -> Reals:
    """The numbers of the output's type that lie nearest to the truth (half to even; saturated where it is an integer), as
    they are stored: no result can be better than these."""
    output = spec.output
    if dtypes.is_float(output.dtype):
        with np.errstate(over="ignore"):
            return true.astype(dtypes.get(output.dtype).numpy).astype(np.float64)
    whole = np.rint(true / _factor(output.scale, given)) + _factor(output.zero, given, 0.0)
    stored: Reals = np.clip(whole, *dtypes.limits(output.dtype))
    return stored


def _values(spec: ConvSpec, tensor: Tensor, given: Arrays) -> Reals:
    array = given[tensor.name]
    if tensor.role == "bias" and spec.input.quantised and not adds_real_bias(spec):
        scales = (_factor(t.scale, given) for t in (spec.input, spec.weight))
        return array.astype(np.float64) * next(scales) * next(scales)
    return _real(tensor, array, given)


def _real(tensor: Tensor, array: Array, given: Arrays) -> Reals:
    """(value - zero) * scale; both may be vectors over the output channels."""
    shape = [-1 if axis == "OC" else 1 for axis in tensor.axes]
    zero, scale = (
        _factor(number, given, default).reshape(shape if isinstance(number, str) else ())
        for number, default in ((tensor.zero, 0.0), (tensor.scale, 1.0))
    )
    real: Reals = (array.astype(np.float64) - zero) * scale
    return real


def _factor(number: float | str | None, given: Arrays, default: float = 1.0) -> Reals:
    """A scale or a zero point as float64: its number, or the vector that the call was given."""
    found = given[number] if isinstance(number, str) else default if number is None else number
    return np.asarray(found, np.float64)
