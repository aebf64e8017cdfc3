"""The most that multiply-adds on registers can do, where several instructions could serve."""

from __future__ import annotations

from collections.abc import Sequence

from convjit import machine
from convjit.runtime.peak import measure_now

Types = tuple[str, str, str]
"""Of a product's two factors and of the sum."""

FLOATS: tuple[Types, ...] = (("f32", "f32", "f32"),)
BYTES: tuple[Types, ...] = (("u8", "i8", "i32"), ("i16", "i16", "i32"))
"""8-bit products can be computed as 16-bit ones, which is the faster way where no instruction takes four bytes at once."""


def highest(target: str, threads: int, types: Sequence[Types]) -> float:
    """Operations per second (2 for each multiply-add) of so many threads, measured now: the most for any of these types.
    0 where the machine multiplies none of them."""
    found = [measure_now(machine.get(target), one, threads) for one in types]
    return max((one.operations for one in found if one), default=0.0)
