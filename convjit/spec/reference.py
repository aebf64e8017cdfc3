"""The meaning of a spec, in NumPy: float64 for floating-point tensors, exact integers for integer ones.

One matrix product per kernel tap over all positions that the tap reads inside the image; positions outside add
nothing (with a zero point, a padded cell has its value, which stands for 0). Arrays are brought into one order of axes,
(N, space, channels), and the result into the output's own. What follows the integer sums of quantised tensors, and of
`compute` in integers, is written out operation by operation in docs/quantisation.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convjit import dtypes
from convjit.errors import Unavailable
from convjit.spec import layout, quantize, requantize, words
from convjit.spec.arguments import Arrays, match, out_shape
from convjit.spec.conv import ConvSpec
from convjit.spec.exact import multiply_exact
from convjit.spec.functions import FUNCTIONS
from convjit.spec.tensor import Compute, Tensor, Then

Array = NDArray[Any]


def reference(spec: ConvSpec, *arrays: Any, **named: Any) -> Array:
    """The result of a convolution.

    Arrays are given in order of declaration or by name, each in its declared shape. The result stands in the output's
    declared order of axes: float64 where the output is a float (not rounded to its type), the output's own type where
    it is an integer (sums modulo 2^32 or 2^64, or what `requantize` makes of them). Over integer sums that stand for
    real numbers, what follows is computed in float32. Raises `ConvError` for missing arrays and wrong shapes,
    `Unavailable` for what has no meaning here yet.
    """
    given = match(spec, arrays, named)
    out = out_shape(spec, given)
    x = _ordered(given[spec.input.name], spec.input, ("N", *spec.spatial, "C"))
    w = _ordered(given[spec.weight.name], spec.weight, (*layout.kernel_axes(spec.spatial), "IC", "OC"))
    plain = spec.compute is None and not spec.input.quantised
    # Where numbers are rounded to a narrower type, what lies beyond it is infinite by definition, and no cause to warn.
    with nullcontext() if plain else np.errstate(over="ignore", invalid="ignore", under="ignore"):
        return _finish(spec, _sum(spec, x, w, given, out), given)


# --- the sum


def _sum(spec: ConvSpec, x: Array, w: Array, given: Arrays, out: tuple[int, ...]) -> Array:
    """The sums (N, out, OC) in the type that what follows is computed in; those of quantised tensors as integers."""
    clause = spec.compute
    if not dtypes.is_float(spec.input.dtype):
        return _convolve(spec, *_centred(spec, x, w, given), out).astype(dtypes.get(spec.accumulator).numpy)
    if clause is not None and clause.round is not None:
        return _in_integers(spec, clause, x, w, given, out)
    if clause is not None and spec.input.dtype == "f32" and clause.dtype in words.NARROW_FLOATS:
        return _convolve(spec, quantize.narrowed(x, clause.dtype), quantize.narrowed(w, clause.dtype), out)
    return _convolve(spec, x.astype(np.float64), w.astype(np.float64), out)


def _ordered(array: Array, tensor: Tensor, wanted: tuple[str, ...]) -> Array:
    return array.transpose(layout.permutation(tensor.axes, wanted))


def _convolve(spec: ConvSpec, x: Array, w: Array, out: tuple[int, ...]) -> Array:
    """y (N, out, OC) over x (N, space, C) and w (kernel, IC, OC); integers modulo 2^64."""
    n, *space, _ = x.shape
    groups, oc = spec.groups, spec.oc_per_group
    y = np.zeros((groups, n, *out, oc), w.dtype)
    x = np.ascontiguousarray(np.moveaxis(x.reshape(*x.shape[:-1], groups, spec.ic_per_group), -2, 0))
    w = w.reshape(*w.shape[:-1], groups, oc)
    for tap in product(*map(range, spec.kernel_size)):
        source, target = _slices(spec, tap, tuple(space), out)
        block = x[source]
        if block.size:
            y[target] += _product(block, np.ascontiguousarray(np.moveaxis(w[tap], -2, 0)))
    return np.moveaxis(y, 0, -2).reshape(n, *out, groups * oc)


def _slices(
    spec: ConvSpec, tap: tuple[int, ...], space: tuple[int, ...], out: tuple[int, ...]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """For one tap: which input positions go to which output positions (behind the axes group and batch).

    Along each axis the narrow side walks densely, the wide side by the stride: wide = narrow stride + k dilation - pad.
    The output is narrow, or the input where the convolution is transposed.
    """
    source, target = [slice(None)] * 2, [slice(None)] * 2
    for at, k in enumerate(tap):
        stride, shift = spec.stride[at], k * spec.dilation[at] - spec.pad[at][0]
        small, large = (space[at], out[at]) if spec.transposed else (out[at], space[at])
        first, last = max(0, -(shift // stride)), min(small - 1, (large - 1 - shift) // stride)
        narrow, wide = slice(0, 0), slice(0, 0)
        if first <= last:
            narrow = slice(first, last + 1)
            wide = slice(first * stride + shift, last * stride + shift + 1, stride)
        source.append(narrow if spec.transposed else wide)
        target.append(wide if spec.transposed else narrow)
    return tuple(source), tuple(target)


def _product(x: Array, w: Array) -> Array:
    """x (group, ..., IC) times w (group, IC, OC)."""
    flat = x.reshape(x.shape[0], -1, x.shape[-1])
    if x.shape[-1] == 1:
        result = flat * w
    else:
        result = flat @ w if w.dtype.kind == "f" else multiply_exact(flat, w)
    return result.reshape(*x.shape[:-1], w.shape[-1])


def _centred(spec: ConvSpec, x: Array, w: Array, given: Arrays) -> tuple[Array, Array]:
    """Input and weight as 64-bit integers less their zero points."""
    zeros = (_value(tensor.zero, given, 0).astype(np.int64) for tensor in (spec.input, spec.weight))
    return x.astype(np.int64) - next(zeros), w.astype(np.int64) - next(zeros)


def _value(number: float | str | None, given: Arrays, default: float) -> Array:
    """A scale or a zero point: its number, or the vector over the output channels that the call gave."""
    return given[number] if isinstance(number, str) else np.asarray(default if number is None else number)


def _in_integers(spec: ConvSpec, clause: Compute, x: Array, w: Array, given: Arrays, out: tuple[int, ...]) -> Array:
    """`compute`: quantise, convolve exactly (i32 modulo 2^64), restore; float32."""
    if not isinstance(clause.scales, tuple):
        text = "'scale auto' has no reference: it needs calibration."
        raise Unavailable.of(text, spec.place("compute"), hint=words.UNCALIBRATED)
    (sx, sw), rounding = (_value(scale, given, 1.0) for scale in clause.scales), clause.round or "half_even"
    x_whole = quantize.to_integers(x, sx, clause.dtype, rounding)
    w_whole = quantize.to_integers(w, sw, clause.dtype, rounding)  # the output channels are its last axis
    return quantize.to_real(_convolve(spec, x_whole, w_whole, out), sx, sw)


# --- what follows the sum


def _finish(spec: ConvSpec, total: Array, given: Arrays) -> Array:
    """Bias, steps, and the output's type and order of axes; `total` is (N, out, OC)."""
    order = ("N", *layout.output_axes(spec.spatial), "OC")
    if spec.bias is not None and not requantize.adds_real_bias(spec):
        total = total + given[spec.bias.name].astype(total.dtype)
    result = (_restored if spec.input.quantised else _steps)(spec, total, order, given)
    stored = result.astype(np.float64) if dtypes.is_float(spec.output.dtype) else result
    return stored.transpose(layout.permutation(order, spec.output.axes))


def _steps(spec: ConvSpec, v: Array, order: tuple[str, ...], given: Arrays) -> Array:
    """The `then` clauses, in the order written and in the type of `v`."""
    for step in spec.then:
        v = FUNCTIONS[step.op](v, *_operands(spec, step, order, given, v.dtype))
    return v


def _operands(
    spec: ConvSpec, step: Then, order: tuple[str, ...], given: Arrays, dtype: np.dtype[Any]
) -> Iterator[Array]:
    for arg in step.args:
        if not isinstance(arg, str):
            whole = dtype.kind in "iu"  # an end beyond the type is the type's end
            yield np.asarray(dtypes.fitting(arg, spec.accumulator) if whole else arg).astype(dtype)
            continue
        tensor, array = spec.tensor(arg), given[arg]
        if tensor.role == "residual":
            array = _ordered(array, tensor, order)
        if isinstance(tensor.scale, float):
            array = (array.astype(np.int64) - int(tensor.zero or 0)).astype(np.float32) * np.float32(tensor.scale)
        yield array.astype(dtype)


def _restored(spec: ConvSpec, total: Array, order: tuple[str, ...], given: Arrays) -> Array:
    """What exact sums over quantised tensors become: float32 for a float output, else the output's integers."""
    sx, sw = (_value(tensor.scale, given, 1.0).astype(np.float32) for tensor in (spec.input, spec.weight))
    if spec.output.scale is None:
        return _real(spec, total, sx, sw, order, given)
    y, sums = requantize.Stored.of(spec.output), total.astype(np.int64)
    profile = spec.requantize or "onnx"
    if profile in words.INTEGER_PROFILES:
        whole = requantize.in_integers(profile, sums, sx, sw, spec.then, y)
    elif requantize.takes_one_factor(spec):
        whole = requantize.by_one_factor(sums, sx, sw, spec.then, y)
    else:
        whole = requantize.from_real(profile, _real(spec, total, sx, sw, order, given), y)
    return whole.astype(dtypes.get(spec.output.dtype).numpy)


def _real(spec: ConvSpec, total: Array, sx: Array, sw: Array, order: tuple[str, ...], given: Arrays) -> Array:
    """The real values of sums, after a float bias and the steps, in float32."""
    real = requantize.real_values(total, sx, sw)
    if spec.bias is not None and requantize.adds_real_bias(spec):
        real = real + given[spec.bias.name].astype(np.float32)
    return _steps(spec, real, order, given)
