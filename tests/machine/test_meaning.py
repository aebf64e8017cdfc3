"""The fused multiply-add in NumPy rounds once, against exact fractions; dot products against Python's integers."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest

from convjit.machine import Row
from convjit.machine.meaning import fused_multiply_add, multiply_then_add
from convjit.machine.rows import dp4a

F32 = (
    0.0,
    -0.0,
    1.0,
    -1.0,
    3.0,
    2.0**-149,
    -(2.0**-126),
    1.5 * 2.0**-140,
    2.0**127,
    1 + 2.0**-23,
    1 - 2.0**-24,
    2.0**-60,
)
F64 = (*F32, 2.0**-1074, -(2.0**-1022), 1.7e308, -1.1e-290, 1 + 2.0**-52, 3e-170, 2.0**910)


def exactly(x: float, y: float, z: float, dtype: type[np.floating[Any]]) -> float:
    """The correctly rounded value of x*y + z, by comparing with the neighbours of a first guess."""
    total = Fraction(x) * Fraction(y) + Fraction(z)
    if total == 0:
        return float(dtype(x) * dtype(y) + dtype(z)) if x * y == 0 or Fraction(x) * Fraction(y) == 0 else 0.0
    info = np.finfo(dtype)
    limit = (
        Fraction(float(info.max)) + Fraction(float(info.max) - float(np.nextafter(info.max, dtype(0)))) / 2
    )
    if abs(total) >= limit:
        return float("inf") if total > 0 else float("-inf")
    tiny = Fraction(float(info.smallest_subnormal))
    exponent = tiny if abs(total) < Fraction(float(info.tiny)) else ulp(total, info)
    units = total / exponent
    whole = round(units)  # half to even, on whole units of the last place
    return float(whole * exponent) if whole else (-0.0 if total < 0 else 0.0)


def ulp(total: Fraction, info: np.finfo[Any]) -> Fraction:
    """One unit in the last place of a normal number's binade."""
    power = abs(total).numerator.bit_length() - abs(total).denominator.bit_length()
    while Fraction(2) ** power > abs(total):
        power -= 1
    while Fraction(2) ** (power + 1) <= abs(total):
        power += 1
    return Fraction(2) ** (power - info.nmant)


@pytest.mark.parametrize(("dtype", "values"), [(np.float32, F32), (np.float64, F64)], ids=["f32", "f64"])
def test_edges(dtype: type[np.floating[Any]], values: tuple[float, ...]) -> None:
    triples = list(product(values, values, values))
    a, b, c = (np.array(column, dtype) for column in zip(*triples, strict=True))
    expected = np.array(
        [exactly(float(x), float(y), float(z), dtype) for x, y, z in zip(a, b, c, strict=True)], dtype
    )
    got = fused_multiply_add(a, b, c)
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(np.signbit(got), np.signbit(expected))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_random_numbers_that_nearly_cancel(dtype: type[np.floating[Any]]) -> None:
    random = np.random.default_rng(1)
    a, b = (random.standard_normal(3000).astype(dtype) for _ in range(2))
    c = -(a * b) * random.choice([1, 1 + 1e-6, 1e-9, 3], 3000).astype(dtype)
    expected = [exactly(float(x), float(y), float(z), dtype) for x, y, z in zip(a, b, c, strict=True)]
    np.testing.assert_array_equal(fused_multiply_add(a, b, c), np.array(expected, dtype))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_not_finite(dtype: type[np.floating[Any]]) -> None:
    big = float(np.finfo(dtype).max)
    one = np.ones(1, dtype)
    inf, nan = float("inf"), float("nan")
    for x, y, z, expected in (
        (inf, 2, 1, inf),
        (inf, 0, 1, nan),
        (big, big, -inf, -inf),
        (1, 1, inf, inf),
        (nan, 1, 1, nan),
        (inf, 1, -inf, nan),
    ):
        got = fused_multiply_add(one * dtype(x), one * dtype(y), one * dtype(z))
        np.testing.assert_array_equal(got, np.array([expected], dtype))


def test_the_unfused_rounds_twice() -> None:
    x = np.array([1 + 2.0**-23], np.float32)
    assert multiply_then_add(x, x, -x * x)[0] == 0.0
    assert fused_multiply_add(x, x, -x * x)[0] == np.float32(2.0**-46)


@pytest.mark.parametrize("row", dp4a(), ids=lambda row: row.name)
def test_four_products_of_bytes(row: Row) -> None:
    """The first byte is the lowest; signs are each factor's own; sums are modulo 2^32."""
    random = np.random.default_rng(4)
    words = random.integers(0, 2**32, (2, 500), np.uint64)
    words[0, :4] = 0x80808080, 0xFFFFFFFF, 0x7F80FF01, 0x000000FF
    words[1, :4] = 0x80808080, 0xFFFFFFFF, 0x01FF807F, 0xFF000000
    sums = random.choice(np.array([0, 1, -1, 2**31 - 1, -(2**31)], np.int64), 500)
    a, b = words.astype(np.uint32).view(np.int32)
    want = [exactly_four(int(x), int(w), int(acc), row.types) for x, w, acc in zip(*words, sums, strict=True)]
    got = row.meaning(a, b, sums.astype(np.int32))
    assert got.dtype == np.int32
    np.testing.assert_array_equal(got, want)
    one = np.zeros(1, np.int32)  # a number that is the same in all threads
    first = [exactly_four(int(x), int(w), 0, row.types) for x, w in words.T[:9]]
    np.testing.assert_array_equal(row.meaning(a, b, one)[:9], first)
    assert row.meaning(a, b[:1], one).shape == row.meaning(a[:1], b, one).shape == (500,)


def exactly_four(x: int, w: int, acc: int, types: tuple[str, str, str]) -> int:
    """The sum in Python's integers."""
    total = acc
    for place in range(4):
        bytes_ = [value >> 8 * place & 255 for value in (x, w)]
        factors = [v - 256 if t == "i8" and v > 127 else v for v, t in zip(bytes_, types, strict=False)]
        total += factors[0] * factors[1]
    return (total + 2**31) % 2**32 - 2**31
