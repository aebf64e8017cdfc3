"""What instruction rows compute, in NumPy, bit for bit."""

from __future__ import annotations

from fractions import Fraction
from math import inf, isfinite
from typing import Any

import numpy as np

from convjit import dtypes

Array = np.ndarray[Any, Any]


def multiply_then_add(a: Array, b: Array, acc: Array) -> Array:
    """a*b + acc, rounded after the product and again after the sum."""
    with np.errstate(all="ignore"):
        return np.add(np.multiply(a, b), acc)


def integer_multiply_add(a: Array, b: Array, acc: Array) -> Array:
    """a*b + acc, modulo 2^32 or 2^64."""
    with np.errstate(over="ignore"):
        return np.asarray(np.multiply(a.astype(acc.dtype), b.astype(acc.dtype)) + acc)


def multiply_halves(a: Array, b: Array, acc: Array) -> Array:
    """The product of the lower 32 bits of both, and acc, modulo 2^64."""
    x, w = (v.astype(np.int32).astype(np.int64) for v in (a, b))
    with np.errstate(over="ignore"):
        return np.asarray(x * w + acc)


def dot_product(types: tuple[str, str], a: Array, b: Array, acc: Array) -> Array:
    """The sum over the numbers of these types that stand in each lane, and acc, modulo 2^32."""
    shape = np.broadcast_shapes(a.shape, b.shape, acc.shape)
    parts = (np.ascontiguousarray(np.broadcast_to(v, shape)) for v in (a, b))
    x, w = (v.view(dtypes.get(name).numpy).astype(acc.dtype) for v, name in zip(parts, types, strict=True))
    count = x.shape[-1] // shape[-1]
    with np.errstate(over="ignore"):
        products = (x * w).reshape(*shape, count)
        return np.asarray(products.sum(-1, dtype=acc.dtype) + acc)


def saturating_dot_product(types: tuple[str, str], a: Array, b: Array, acc: Array) -> Array:
    """The sum over the bytes of each lane, and acc: two products each are added first, and saturate to 16 bits."""
    parts = (np.ascontiguousarray(np.broadcast_to(v, acc.shape)) for v in (a, b))
    x, w = (v.view(dtypes.get(name).numpy).astype(np.int32) for v, name in zip(parts, types, strict=True))
    pairs = (x * w).reshape(*acc.shape, 2, 2).sum(-1)
    with np.errstate(over="ignore"):
        return np.asarray(np.clip(pairs, -(2**15), 2**15 - 1).sum(-1, dtype=acc.dtype) + acc)


def fused_multiply_add(a: Array, b: Array, acc: Array) -> Array:
    """a*b + acc with one rounding, for f32 and f64."""
    with np.errstate(all="ignore"):
        return _fused32(a, b, acc) if a.dtype == np.float32 else _fused64(a, b, acc)


def _fused32(a: Array, b: Array, acc: Array) -> Array:
    """In float64 the product is exact, so only the sum rounds before the last rounding.

    Rounding twice is wrong only where the sum lies halfway between two float32, or below float32's normal range;
    there the sum is rounded to odd first (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums", 2008).
    """
    product, addend = a.astype(np.float64) * b, acc.astype(np.float64)
    total = np.asarray(product + addend)
    doubtful = (total.view(np.int64) & 0x1FFFFFFF == 0x10000000) | (np.abs(total) < 2.0**-125)
    if doubtful.any():
        total = _to_odd(product, addend)
    return total.astype(np.float32)


def _fused64(a: Array, b: Array, acc: Array) -> Array:
    """Product and sum as pairs of float64, the low parts added with rounding to odd (as above, theorem 5)."""
    product, addend = a * b, acc
    high, low = product, _product_error(a, b, product)
    upper, lower = _two_sum(addend, low)
    top, rest = _two_sum(high, upper)
    result = np.asarray(top + _to_odd(lower, rest))
    sizes = np.stack(np.broadcast_arrays(np.abs(a), np.abs(b), np.abs(product), np.abs(acc)))
    zero = (a == 0) | (b == 0)
    extreme = ((sizes > 2.0**900) | ((sizes < 2.0**-900) & (sizes != 0)) | ~np.isfinite(sizes)).any(axis=0)
    extreme |= (product == 0) & ~zero
    result = np.where(zero, product + addend, result)
    for at in np.argwhere(extreme):
        where = tuple(at)
        x, y, z = (float(np.broadcast_to(v, extreme.shape)[where]) for v in (a, b, acc))
        result[where] = _exactly(x, y, z)
    return result


def _exactly(x: float, y: float, z: float) -> float:
    if not (isfinite(x) and isfinite(y)) or x == 0 or y == 0:
        return x * y + z
    if not isfinite(z):
        return z
    total = Fraction(x) * Fraction(y) + Fraction(z)
    if total == 0:
        return -0.0 if z == 0 and str(z)[0] == "-" and (x < 0) != (y < 0) else 0.0
    try:
        return total.numerator / total.denominator
    except OverflowError:
        return inf if total > 0 else -inf


def _product_error(a: Array, b: Array, product: Array) -> Array:
    """a*b - product, exactly (Dekker)."""
    (ah, al), (bh, bl) = _split(a), _split(b)
    error: Array = ((ah * bh - product) + ah * bl + al * bh) + al * bl
    return error


def _split(a: Array) -> tuple[Array, Array]:
    big = 134217729.0 * a
    high = big - (big - a)
    return high, a - high


def _two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """a + b rounded, and what the rounding lost, exactly (Knuth)."""
    total = np.asarray(a + b)
    part = total - a
    return total, (a - (total - part)) + (b - part)


LEAST = 2.0**-126 - 2.0**-151
"""What is smaller rounds to no normal float32, were its exponent free."""


def bf16_multiply_add(a: Array, b: Array, acc: Array) -> Array:
    """a*b + acc for bf16 and float32, rounded once; a result that would be denormal becomes a zero of its sign."""
    with np.errstate(all="ignore"):
        return _flushed(*np.broadcast_arrays(a.astype(np.float32), b.astype(np.float32), acc))


def bf16_dot_product(flush: bool, a: Array, b: Array, acc: Array) -> Array:
    """acc and the products of the two bf16 that stand in each 32-bit lane: two fused multiply-adds, the upper halves first,
    each rounded half to even; a denormal result becomes zero. `flush`: so do denormal operands.

    Intel's Software Developer's Manual, volume 2, VDPBF16PS. That what is denormal is seen after rounding was found on a
    Xeon with AVX512_BF16: 48 million sums, ordinary, near 2^-126 and of any bits, were those of this definition.
    """
    with np.errstate(all="ignore"):
        lanes = [np.broadcast_to(v, acc.shape).astype(np.int32).view(np.uint32) for v in (a, b)]
        taken = _without_denormals if flush else np.asarray
        x, w = (taken((v & np.uint32(0xFFFF0000)).view(np.float32)) for v in lanes)
        first = _flushed(x, w, taken(acc))
        x, w = (taken((v << np.uint32(16)).view(np.float32)) for v in lanes)
        return _flushed(x, w, first)


def _without_denormals(v: Array) -> Array:
    return np.where(np.abs(v) < np.float32(2.0**-126), np.copysign(np.float32(0), v), v)


def _flushed(a: Array, b: Array, acc: Array) -> Array:
    """Products of float32 that hold bf16 are exact in float64; the sum is rounded to odd, then once more to nearest."""
    total = _to_odd(a.astype(np.float64) * b, acc.astype(np.float64))
    result = total.astype(np.float32)
    return np.where(np.abs(total) < LEAST, np.copysign(np.float32(0), result), result)


def _to_odd(a: Array, b: Array) -> Array:
    """a + b in float64, rounded to the neighbour with an odd last bit where it isn't exact."""
    total, lost = _two_sum(a, b)
    bits = total.view(np.int64)
    fix = (lost != 0) & np.isfinite(lost) & np.isfinite(total) & (bits & 1 == 0)
    away = (lost > 0) == (total > 0)
    return np.where(fix, bits + np.where(away, 1, -1), bits).view(np.float64)
