"""Figures for people."""

from __future__ import annotations

from math import log2

from convjit.study.plots import Axis

ENERGIES = (("mJ", 1e9), ("uJ", 1e6), ("nJ", 1e3), ("pJ", 1.0))
"""Units, and their picojoules."""


def percent(share: float | None) -> str | None:
    """A share from 0 to 1.

    >>> percent(0.125)
    '12.50%'
    """
    return None if share is None else f"{share:.2%}"


def plural(count: int, noun: str) -> str:
    """A number of things.

    >>> plural(1, "thread"), plural(2, "thread")
    ('1 thread', '2 threads')
    """
    return f"{count} {noun}{'s' * (count != 1)}"


def power(scale: float) -> str:
    """A scale: as a power of two where it is one.

    >>> power(512.0), power(78298.9)
    ('2^9', '78299')
    """
    exponent = log2(scale)
    return f"2^{exponent:.0f}" if exponent.is_integer() else f"{scale:.5g}"


def energy_axis(most: float, scale: str = "linear") -> tuple[Axis, float]:
    """An axis of modelled energy for values up to so many picojoules, and the picojoules of its unit."""
    unit, size = next((u for u in ENERGIES if most >= u[1]), ENERGIES[-1])
    return Axis("energy of a call, modelled", unit, scale), size
