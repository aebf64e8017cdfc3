"""Texts about times: a number of seconds, and where the time of a compilation went."""

from __future__ import annotations

from convjit.pipeline import Compilation


def milliseconds(seconds: float | None) -> str:
    """A time in milliseconds, or in microseconds below a tenth of one; nothing where there is none.

    >>> milliseconds(0.0025), milliseconds(2.5e-6)
    ('2.500 ms', '2.50 us')
    """
    if seconds is None:
        return ""
    return f"{seconds * 1e3:.3f} ms" if seconds >= 1e-4 else f"{seconds * 1e6:.2f} us"


def profile(c: Compilation) -> str:
    """A line: milliseconds of every stage, and its share."""
    whole = sum(c.seconds.values()) or 1.0
    parts = [f"{name} {1e3 * s:.1f} ms ({s / whole:.0%})" for name, s in c.seconds.items()]
    return f"convjit: {c.spec.name} on {c.machine.name}: {1e3 * whole:.1f} ms: " + ", ".join(parts)
