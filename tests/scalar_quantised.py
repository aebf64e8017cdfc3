"""docs/quantisation.md once more, one number at a time, in integers, fractions and the floats of `scalar_floats`.

Nothing is taken from convjit/spec/requantize.py or quantize.py, and NumPy only holds the arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from itertools import product
from math import floor, frexp, isfinite, isnan
from typing import Any

from numpy.typing import NDArray

from convjit.spec.conv import ConvSpec
from convjit.spec.tensor import Compute, Tensor, Then
from tests.scalar_floats import add, clamp, div, f32, half_away, larger, mul, rint, smaller

Arrays = Mapping[str, NDArray[Any]]
Place = Mapping[str, int]
"""An index for each axis by name."""

LIMITS = {
    "u4": (0, 15), "i4": (-8, 7), "u8": (0, 255), "i8": (-128, 127), "i16": (-32768, 32767),
    "i32": (-2147483648, 2147483647),
}  # fmt: skip
NARROW = {"u4", "i4", "u8", "i8"}


def convolve(spec: ConvSpec, arrays: Arrays) -> dict[tuple[int, ...], float]:
    """Every element of the output by its index, of a spec with sizes that are known and integer products."""
    sizes = {axis: size or 0 for t in spec.tensors for axis, size in zip(t.axes, t.sizes, strict=True)}
    indices = product(*(range(sizes[axis]) for axis in spec.output.axes))
    return {index: element(spec, arrays, dict(zip(spec.output.axes, index, strict=True))) for index in indices}


def element(spec: ConvSpec, arrays: Arrays, place: Place) -> float:
    """One element of the output."""
    if spec.compute is not None:
        sum_, scales = computed(spec, spec.compute, arrays, place)
        real = div(f32(sum_), mul(*scales))
        real = real if spec.bias is None else add(real, f32(at(arrays, spec.bias, place)))
        return stepped(spec, real, arrays, place)
    factors = ((x - zero(spec.input, arrays, place)) * (w - zero(spec.weight, arrays, place))
               for x, w in pairs(spec, arrays, place))  # fmt: skip
    bias = 0 if spec.bias is None or spec.bias.dtype == "f32" else at(arrays, spec.bias, place)
    sum_ = wrapped(sum(factors) + bias, 32 if spec.input.dtype in NARROW else 64)
    return requantised(spec, sum_, arrays, place)


def pairs(spec: ConvSpec, arrays: Arrays, place: Place) -> Iterator[tuple[Any, Any]]:
    """The numbers of input and weight that are multiplied for one element, taps outside the image left out."""
    x, w = spec.input, spec.weight
    group = place["OC"] // spec.oc_per_group
    space = dict(zip(x.axes, arrays[x.name].shape, strict=True))
    for ic, *tap in product(range(spec.ic_per_group), *map(range, spec.kernel_size)):
        source = {"N": place["N"], "C": group * spec.ic_per_group + ic}
        kernel = {"OC": place["OC"], "IC": ic}
        along = zip(spec.spatial, tap, spec.stride, spec.dilation, spec.pad, strict=True)
        for axis, k, stride, dilation, (low, _) in along:
            source[axis] = place["O" + axis] * stride + k * dilation - low
            kernel["K" + axis] = k
        if all(0 <= source[axis] < space[axis] for axis in spec.spatial):
            yield at(arrays, x, source), at(arrays, w, kernel)


def at(arrays: Arrays, tensor: Tensor, place: Place) -> Any:
    """A number of an array, as one of Python."""
    number = arrays[tensor.name][tuple(place[axis] for axis in tensor.axes)]
    return float(number) if tensor.dtype[0] == "f" else int(number)


def zero(tensor: Tensor, arrays: Arrays, place: Place) -> int:
    """The zero point, that of the output channel where it is a vector."""
    return int(arrays[tensor.zero][place["OC"]]) if isinstance(tensor.zero, str) else tensor.zero or 0


def scale(tensor: Tensor, arrays: Arrays, place: Place) -> float:
    """The scale in float32, that of the output channel where it is a vector."""
    assert tensor.scale is not None
    return f32(float(arrays[tensor.scale][place["OC"]]) if isinstance(tensor.scale, str) else tensor.scale)


# --- from the sum to the output


def requantised(spec: ConvSpec, sum_: int, arrays: Arrays, place: Place) -> float:
    """The output's number of one sum."""
    output, profile = spec.output, spec.requantize
    sx, sw = scale(spec.input, arrays, place), scale(spec.weight, arrays, place)
    real_bias = spec.bias is not None and spec.bias.dtype == "f32"
    if output.scale is not None:
        sy, zy, ends = scale(output, arrays, place), zero(output, arrays, place), LIMITS[output.dtype]
        if profile in ("tflite_single", "tflite_double"):
            return in_integers(profile, sum_, (sx, sw, sy), spec.then, zy, ends)
        compares = all(step.op in ("relu", "relu6", "clip") for step in spec.then)
        if profile in ("onnx", "xnnpack") and compares and not real_bias:
            t = mul(f32(sum_), div(mul(sx, sw), sy))
            for step in spec.then:
                t = limited(t, step, lambda number: div(f32(number), sy))
            return zero_after(t, zy, ends)
    real = mul(f32(sum_), mul(sx, sw))
    if spec.bias is not None and real_bias:
        real = add(real, at(arrays, spec.bias, place))
    real = stepped(spec, real, arrays, place)
    return real if output.scale is None else FROM_REAL[profile or ""](real, sy, zy, ends)


def zero_after(t: float, zy: int, ends: tuple[int, int]) -> int:
    """Round, then add the zero point."""
    return int(clamp(rint(t), ends[0] - zy, ends[1] - zy)) + zy


FROM_REAL: dict[str, Callable[[float, float, int, tuple[int, int]], int]] = {
    "onnx": lambda real, sy, zy, ends: zero_after(div(real, sy), zy, ends),
    "xnnpack": lambda real, sy, zy, ends: zero_after(div(real, sy), zy, ends),
    "stablehlo": lambda real, sy, zy, ends: int(rint(clamp(add(div(real, sy), f32(zy)), *ends))),
    "onednn": lambda real, sy, zy, ends: int(clamp(rint(add(mul(real, div(1.0, sy)), f32(zy))), *ends)),
}


def stepped(spec: ConvSpec, v: float, arrays: Arrays, place: Place) -> float:
    """The steps, in order, in float32."""
    for step in spec.then:
        if step.op in ("relu", "relu6", "clip"):
            v = limited(v, step, f32)
        elif step.op == "leaky_relu":
            v = mul(v, f32(float(step.args[0]))) if v < 0 else v
        elif step.op == "hardswish":
            v = mul(v, div(smaller(larger(add(v, 3.0), 0.0), 6.0), 6.0))
        else:
            tensor = spec.tensor(str(step.args[0]))
            number = at(arrays, tensor, place)
            if tensor.scale is not None:
                number = mul(f32(number - zero(tensor, arrays, place)), scale(tensor, arrays, place))
            v = {"add": add, "mul": mul, "scale": mul}[step.op](v, f32(number))
    return v


def limited(v: float, step: Then, unit: Callable[[float], float]) -> float:
    """A step that compares, with its numbers in another unit."""
    if step.op == "relu":
        return larger(v, 0.0)
    low, high = (0.0, 6.0) if step.op == "relu6" else map(float, step.args)
    return smaller(larger(v, unit(low)), unit(high))


def in_integers(
    profile: str, sum_: int, scales: tuple[float, float, float], then: tuple[Then, ...], zy: int, ends: tuple[int, int]
) -> int:
    """The profiles of TensorFlow Lite."""
    sx, sw, sy = scales
    fraction, e = frexp(sx * sw / sy)
    m = floor(Fraction(fraction) * 2**31 + Fraction(1, 2))
    m, e = (2**30, e + 1) if m == 2**31 else (m, e)
    m, e = (0, 0) if e < -31 else (2**31 - 1, 30) if e > 30 else (m, e)
    if profile == "tflite_single":
        v = floor(Fraction(sum_ * m, 2 ** (31 - e)) + Fraction(1, 2))
    else:
        h = floor(Fraction(wrapped(sum_ * 2 ** max(e, 0), 32) * m, 2**31) + Fraction(1, 2))
        v = half_away(Fraction(h, 2 ** max(-e, 0)))
    low, high = ends
    for step in then:
        a = within(zy, 0.0 if step.op in ("relu", "relu6") else float(step.args[0]), sy, ends)
        b = ends[1] if step.op == "relu" else within(zy, 6.0 if step.op == "relu6" else float(step.args[1]), sy, ends)
        low, high = min(max(low, a), b), min(max(high, a), b)
    return min(max(wrapped(v, 32) + zy, low), high)


def within(zy: int, end: float, sy: float, ends: tuple[int, int]) -> int:
    """The stored number of a step's end."""
    return min(max(zy + half_away(Fraction(end / sy)), ends[0]), ends[1])


# --- `compute`


def computed(spec: ConvSpec, clause: Compute, arrays: Arrays, place: Place) -> tuple[int, tuple[float, float]]:
    """The exact sum of quantised numbers, and the scales in float32."""
    assert isinstance(clause.scales, tuple) and clause.round is not None
    given = clause.scales[1]
    sx, sw = f32(clause.scales[0]), f32(float(arrays[given][place["OC"]]) if isinstance(given, str) else given)
    ends, to_whole = LIMITS[clause.dtype], WHOLE[clause.round]
    return sum(quantised(x, sx, ends, to_whole) * quantised(w, sw, ends, to_whole)
               for x, w in pairs(spec, arrays, place)), (sx, sw)  # fmt: skip


def quantised(v: float, factor: float, ends: tuple[int, int], to_whole: Callable[[Fraction], int]) -> int:
    """round(f32(v * scale)), saturated."""
    scaled = mul(v, factor)
    if isnan(scaled):
        return 0
    if not isfinite(scaled):
        return ends[scaled > 0]
    return min(max(to_whole(Fraction(scaled)), ends[0]), ends[1])


WHOLE: dict[str, Callable[[Fraction], int]] = {
    "toward_zero": int,
    "half_even": round,
    "half_away": half_away,
    "floor": floor,
}


def wrapped(value: int, bits: int) -> int:
    """Modulo 2^bits, as a signed number."""
    half = 1 << (bits - 1)
    return (value + half) % (2 * half) - half
