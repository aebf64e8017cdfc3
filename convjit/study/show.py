"""Figures for people."""

from __future__ import annotations


def milliseconds(seconds: float | None) -> str:
    """A time in milliseconds, or in microseconds below a tenth of one; nothing where there is none.

    >>> milliseconds(0.0025), milliseconds(2.5e-6)
    ('2.500 ms', '2.50 us')
    """
    if seconds is None:
        return ""
    return f"{seconds * 1e3:.3f} ms" if seconds >= 1e-4 else f"{seconds * 1e6:.2f} us"


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
