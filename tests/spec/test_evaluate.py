"""Numbers in messages."""

from __future__ import annotations

from fractions import Fraction

from convjit.spec.evaluate import shown


def test_shown() -> None:
    values = [Fraction(64), Fraction(7, 2), Fraction(2**47), Fraction(-3), Fraction(10**15 + 1), Fraction(10**12, 7)]
    assert [shown(v) for v in values] == ["64", "7/2", "2^47", "-3", "about 1e+15", "about 1.429e+11"]
