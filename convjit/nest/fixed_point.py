"""Rounding to integers and to short floats, and TensorFlow Lite's fixed-point multiplication, in elementary operations.

The formulas are those of docs/quantisation.md. `FUNCTIONS`: the types of the arguments ("": the result's), and what
writes the steps.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from convjit.dtypes import limits
from convjit.nest.steps import Value

TINY = 2.0**-126
"""The least f32 that is no denormal."""

MAGIC, MAGIC_BITS = 1.5 * 2.0**52, 0x4338 << 48
"""An f64 in whose low bits whole numbers can be added, and its bits; shifted up by 26 nothing is left of them."""


def quantize(rounding: str, v: Value, dtype: str) -> Value:
    """A float as an integer: rounded, saturated at the ends of the type; NaN gives 0.

    The greatest i32 is no f32: what is 2^31 or more is told apart, and nothing lies between 2^31 - 128 and it.
    """
    low, high = limits(dtype)
    v = v.same(v, v, 0.0)
    wide = dtype == "i32"
    whole = ROUNDINGS[rounding](v.between(float(low), 2.0**31 - 128 if wide else float(high))).to(dtype)
    return v.less(2.0**31, whole, float(high)) if wide else whole


def half_away(v: Value) -> Value:
    """Half to even, but for ties that it brought nearer to 0: v - rint(v) is exact."""
    r = v.op("rint")
    d = v - r
    up, down = d.same(0.5, r + 1.0, r), d.same(-0.5, r - 1.0, r)
    return v.below_zero(down, up)


def floor(v: Value) -> Value:
    """The next whole number below."""
    r = v.op("rint")
    return v.less(r, r - 1.0, r)


ROUNDINGS: dict[str, Callable[[Value], Value]] = {
    "toward_zero": lambda v: v,  # as the conversion does
    "half_even": lambda v: v.op("rint"),
    "half_away": half_away,
    "floor": floor,
}
"""A float of moderate size as a whole number, by the words of `round`."""


def tflite_single(x: Value, m: Value, e: Value, dtype: str) -> Value:
    """(x m + 2^(30 - e)) >> (31 - e), modulo 2^32."""
    right = (e.op("neg") + 31).to("i64")
    half = (right.op("xor", right) + 1).op("shl", right - 1)
    return wrapped((x.to("i64") * m.to("i64") + half).op("ashr", right))


def tflite_double(x: Value, m: Value, e: Value, dtype: str) -> Value:
    """x 2^e m / 2^31 rounded, half up, then divided by 2^-e and rounded, half away from 0: one of the two shifts is 0."""
    left, right = e.op("max", 0), e.op("neg").op("max", 0).to("i64")
    h = (x.op("shl", left).to("i64") * m.to("i64") + 2**30).op("ashr", 31)
    mask = (right.op("xor", right) + 1).op("shl", right) - 1
    threshold = mask.op("lshr", 1) + h.op("lshr", 63)  # one more for negative numbers
    more = threshold.less(h.op("and", mask), threshold * 0 + 1, threshold * 0)
    return wrapped(h.op("ashr", right) + more)


def wrapped(v: Value) -> Value:
    """Modulo 2^32."""
    return v.to("i32").to("i64")


def parts(scale: Value) -> tuple[Value, Value]:
    """m and e with scale = m 2^(e - 31), m from 2^30 to 2^31 - 1, before their ends are looked at."""
    bits = scale.bits("i64")
    significand = bits.op("and", 2**52 - 1).op("or", 2**52)
    m = (significand + 2**21).op("lshr", 22)
    e = bits.op("lshr", 52).op("and", 2047) - 1022
    whole = m.op("lshr", 31)  # rounded up to 2^31: 2^30, and one more
    return m.op("lshr", whole), e + whole


def tflite_multiplier(scale: Value, dtype: str) -> Value:
    """TensorFlow Lite's QuantizeMultiplier: the multiplier, in units of 2^-31."""
    m, e = parts(scale)
    m = e.less(-31, m * 0, m)
    return e.less(31, m, 2**31 - 1).to(dtype)


def tflite_shift(scale: Value, dtype: str) -> Value:
    """The shift to the left that goes with it."""
    _, e = parts(scale)
    return e.less(-31, e * 0, e.op("min", 30)).to(dtype)


def round_bf16(v: Value, dtype: str, flush: bool = True) -> Value:
    """Half to even; a NaN stays one. `flush`: denormals become 0, as VDPBF16PS takes them (Intel, Software Developer's
    Manual, 2)."""
    sign = v.bits("i32").op("and", -(2**31))
    if flush:
        v = v.op("abs").less(TINY, sign.bits("f32"), v)
    b = v.bits("i32")
    odd = b.op("lshr", 16).op("and", 1)
    rounded = (b + odd + 0x7FFF).op("lshr", 16)
    quiet = b.op("lshr", 16).op("or", 0x40)
    return v.same(v, rounded, quiet).to("i16").bits(dtype)


def widen_bf16(v: Value, dtype: str) -> Value:
    """The same number as f32: the same bits above, zeros below."""
    return v.bits("i16").to("i32").op("shl", 16).bits(dtype)


def round_f16(v: Value, dtype: str) -> Value:
    """Half to even, as VCVTPS2PH does, for machines without it.

    The exponent is moved from f32's bias of 127 to 15, and 13 bits are rounded off, which may carry into it. Below 2^-14
    half an integer is added, whose unit in the last place is f16's smallest number. From 65520 on nothing is left but
    infinity. A NaN keeps the upper bits of its payload.
    """
    b = v.bits("i32")
    sign, size = b.op("lshr", 16).op("and", 0x8000), b.op("and", 2**31 - 1)
    odd = size.op("lshr", 13).op("and", 1)
    normal = (size + odd + (0xFFF - (112 << 23))).op("lshr", 13)
    denormal = (size.bits("f32") + 0.5).bits("i32") - (126 << 23)
    short = size.less(113 << 23, denormal, normal)
    short = size.less(0x477FF000, short, 0x7C00)
    quiet = size.op("lshr", 13).op("and", 0x3FF).op("or", 0x7E00)
    return v.same(v, short, quiet).op("or", sign).to("i16").bits(dtype)


def widen_f16(v: Value, dtype: str) -> Value:
    """The same number as f32, as VCVTPH2PS gives it, for machines without it: denormals are so many 2^-24."""
    b = v.bits("i16").to("i32")
    sign, size = b.op("and", -(2**31)), b.op("and", 0x7FFF)
    moved = size.op("shl", 13)
    infinite = moved.op("or", 0xFF << 23)
    quiet = infinite.op("or", 1 << 22)
    wide = size.less(0x7C00, moved + (112 << 23), size.same(0x7C00, infinite, quiet))
    small = (size.to("f32") * 2.0**-24).bits("i32")
    return size.less(0x400, small, wide).op("or", sign).bits(dtype)


def whole(v: Value, dtype: str) -> Value:
    """A whole number of magnitude up to 2^53 in an f64 as i64, in f64 arithmetic: AVX2 has no conversion.

    1.5 * 2^52 + n has n in its low bits for |n| <= 2^51. The number is cut into v = h 2^26 + low, h rounded to the nearest.
    """
    first = v.times_plus(2.0**-26, MAGIC)
    low = (first - MAGIC).times_plus(-(2.0**26), v) + MAGIC
    return first.bits(dtype).op("shl", 26) + low.bits(dtype) - MAGIC_BITS


FUNCTIONS: dict[str, tuple[tuple[str, ...], Callable[..., Value]]] = {
    **{f"quantize_{word}": (("f32",), partial(quantize, word)) for word in ROUNDINGS},
    "tflite_single": (("i32", "i32", "i32"), tflite_single),
    "tflite_double": (("i32", "i32", "i32"), tflite_double),
    "tflite_multiplier": (("f64",), tflite_multiplier),
    "tflite_shift": (("f64",), tflite_shift),
    "whole_f64": (("f64",), whole),
    "round_bf16": (("f32",), round_bf16),
    "narrow_bf16": (("f32",), partial(round_bf16, flush=False)),
    "widen_bf16": (("bf16",), widen_bf16),
    "narrow_f16": (("f32",), round_f16),
    "widen_f16": (("f16",), widen_f16),
}
