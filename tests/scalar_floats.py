"""Arithmetic of float32 with fractions: each operation exact, then rounded once. No float is added to another.

A number of float32 is a Python float that has one's value. Infinities and NaN go by Python's own operations.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil, copysign, floor, inf, isfinite


def rounded(value: Fraction, bits: int, least: int, most: int) -> float:
    """The nearest number of so many bits in units of 2^least or more, a tie to the even one; infinite from 2^most."""
    if value == 0:
        return 0.0
    exponent = value.numerator.bit_length() - value.denominator.bit_length() - 1
    exponent += abs(value) >= Fraction(2) ** (exponent + 1)  # so that 2^exponent <= |value| < 2^(exponent + 1)
    unit = Fraction(2) ** max(exponent - bits + 1, least)
    result = round(value / unit) * unit  # `round` of a Fraction takes the even one of two
    return float(result) if abs(result) < 2**most else copysign(inf, result)


def f32(value: Fraction | int | float) -> float:
    """The nearest number of float32."""
    if isinstance(value, float) and not isfinite(value):
        return value
    return rounded(Fraction(value), 24, -149, 128)


def add(a: float, b: float) -> float:
    """a + b in float32."""
    return f32(Fraction(a) + Fraction(b)) if isfinite(a) and isfinite(b) else a + b


def mul(a: float, b: float) -> float:
    """a b in float32."""
    return f32(Fraction(a) * Fraction(b)) if isfinite(a) and isfinite(b) else a * b


def div(a: float, b: float) -> float:
    """a / b in float32, b not zero."""
    return f32(Fraction(a) / Fraction(b)) if isfinite(a) and isfinite(b) else a / b


def larger(v: float, end: float) -> float:
    """max(v, end); NaN stays."""
    return end if v < end else v


def smaller(v: float, end: float) -> float:
    """min(v, end); NaN stays."""
    return end if v > end else v


def rint(v: float) -> float:
    """The nearest whole number, a tie to the even one."""
    return float(round(Fraction(v))) if isfinite(v) else v


def clamp(v: float, low: int, high: int) -> float:
    """low < v ? v : low, then high < v ? high : v."""
    v = v if low < v else float(low)
    return float(high) if high < v else v


def half_away(value: Fraction) -> int:
    """The nearest whole number, a tie to the one farther from zero."""
    return floor(value + Fraction(1, 2)) if value >= 0 else ceil(value - Fraction(1, 2))


def narrow(v: float, dtype: str) -> float:
    """The nearest bf16 or f16 of a float32; denormal numbers are zero for bf16."""
    if not isfinite(v) or dtype == "bf16" and abs(v) < 2.0**-126:
        return v if not isfinite(v) else 0.0
    return rounded(Fraction(v), 8, -133, 128) if dtype == "bf16" else rounded(Fraction(v), 11, -24, 16)
