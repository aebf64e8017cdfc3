"""A store of some lanes as plain stores of runs: where a machine's masked store is slow (dozens of steps on AMD's AVX2).

    6 of 8 lanes: 4 and 2
"""

from __future__ import annotations

from convjit.kernel.builder import Builder
from convjit.kernel.ir import vector

MOST = 3
"""Runs that are still faster than a masked store."""


def parts(mask: tuple[bool, ...]) -> list[tuple[int, int]]:
    """(first lane, how many) of runs that are powers of two and together are the mask."""
    found: list[tuple[int, int]] = []
    place = 0
    while place < len(mask):
        if not mask[place]:
            place += 1
            continue
        end = next((i for i in range(place, len(mask)) if not mask[i]), len(mask))
        while place < end:
            size = 1 << (end - place).bit_length() - 1
            found.append((place, size))
            place += size
    return found


def part(b: Builder, value: str, dtype: str, lanes: int, first: int, size: int) -> str:
    """Some neighbouring lanes of a vector."""
    from_ = vector(dtype, lanes)
    if size == lanes:
        return value
    if size == 1:
        return b.op("extract", dtype, value, lane=first, **{"from": from_})
    order = tuple(range(first, first + size))
    return b.op("shuffle", vector(dtype, size), value, value, order=order, **{"from": from_})
