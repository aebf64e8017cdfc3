"""The loops of a copy that has no line of its own: by vectors on a CPU, by wide accesses of all threads on a GPU."""

from __future__ import annotations

from math import gcd

from convjit.dtypes import bits
from convjit.nest.context import Context
from convjit.nest.ir import Buffer
from convjit.schedule.schedule import Level


def word_of(c: Context, axis: str) -> int:
    """Of how many numbers along an axis an instruction sums up the products: 1 where it does of none."""
    return next((p.last + 1 for p in c.parts.of(axis) if p.kind == "dot"), 1)


def cpu_line(c: Context, order: list[str], sizes: dict[str, int]) -> tuple[Level, ...]:
    """Rows outermost, the last dimension by vectors."""
    *outer, last = order
    wide = c.lanes if sizes[last] >= c.lanes > 1 and last not in fused(c) else 1
    tail = (Level(last, wide), Level(last, 1, "simd")) if wide > 1 else (Level(last),)
    return (*(Level(d) for d in outer), *tail)


def gpu_line(c: Context, made: Buffer, source: Buffer, threads: int) -> tuple[Level, ...]:
    """16 bytes of neighbours by each thread where sizes allow, then rows, the rest in turns."""
    assert made.layout
    steps = list(zip(made.layout.parts, made.layout.counts(), strict=True))
    parts = [(d, block, n) for (d, block), n in steps if isinstance(n, int) and n > 1] or [(*steps[-1][0], 1)]
    parts = [piece for part in parts for piece in cut(part, source)]
    last, _, count = parts[-1]
    word = word_of(c, last)
    if word > 1:
        parts[-1:] = [(last, word, count // word)] if count > word or len(parts) == 1 else []
    most = 128 // bits(made.dtype) // word
    if word > 1 and parts[-1][0] == last:
        most = min(most, max(together(source, last) // word, 1))
    dot = (Level(last, 1, "dot"),) if word > 1 else ()
    return (*shared_out(parts, threads, most if parts[-1][0] not in fused(c) else 1), *dot)


def cut(part: tuple[str, int, int], source: Buffer) -> list[tuple[str, int, int]]:
    """(dimension, step, how many steps) cut where blocks of a packed source begin: no loop walks across them."""
    d, step, count = part
    assert source.layout
    for block in sorted(b for n, b in source.layout.parts if n == d and step < b < step * count):
        return [*cut((d, block, -(-step * count // block)), source), (d, step, block // step)]
    return [part]


def together(source: Buffer, dim: str) -> int:
    """What divides the places of all elements that are 0 along a dimension: so many neighbours are aligned as one."""
    assert source.layout
    parts = zip(source.layout.parts, source.layout.strides(), strict=True)
    return gcd(16, *(stride.coefficient for (name, _), stride in parts if (name, stride.coefficient) != (dim, 1)))


def shared_out(parts: list[tuple[str, int, int]], threads: int, wide: int) -> tuple[Level, ...]:
    """Loops through (dimension, step, steps), slowest first; of the last, at most `wide` steps by one access."""
    last, unit, count = parts[-1]
    while count % wide:
        wide //= 2
    turns: list[Level] = []
    shared: list[Level] = []
    left = threads
    for d, step, n in reversed(parts):
        grain = wide if (d, step) == (last, unit) else 1
        own = min(n // grain, left)
        left //= own
        if own < n // grain or own == 1:
            turns.insert(0, Level(d, own * grain * step, "unroll"))
        if own > 1:
            shared.insert(0, Level(d, grain * step, "thread"))
    if not shared and threads > 1:  # all of it is one access: by one thread
        turns, shared = [], [Level(last, wide * unit, "thread")]
    vec = (Level(last, unit, "vec"),) if wide > 1 else ()
    return (*turns, *shared, *vec)


def fused(c: Context) -> tuple[str, ...]:
    """The axis whose neighbours need not be neighbours in memory."""
    return tuple(f.name for f in c.phase.fuses)
