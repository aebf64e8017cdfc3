"""What a call runs: kernels in order, the arrays they touch, and the sizes that are known only at the call.

A `Program` is data. The runtime reads it and nothing else: it checks arrays, fills temporaries, and starts the steps
one after the other, each over the grid of its thread axes.
"""

from __future__ import annotations

from dataclasses import dataclass

from convjit.kernel.ir import Launch
from convjit.nest.ir import OpenSize

Extent = int | str
"""A size: a number, or the name of an open size such as "H" or "OH"."""


@dataclass(frozen=True)
class Array:
    """An array that a step reads or writes. `shape` is in memory order, last dimension fastest, densely packed."""

    name: str
    dtype: str
    shape: tuple[Extent, ...]


@dataclass(frozen=True)
class ThreadAxis:
    """An axis that workers share: values 0, step, 2*step, ... below `extent`. A worker is given [begin, end)."""

    name: str
    extent: Extent
    step: int


@dataclass(frozen=True)
class Step:
    """One kernel function.

    CPU: `void symbol(ptr arrays..., i64 sizes..., i64 begin, i64 end of each thread axis...)`; `begin` is a multiple of
    the axis step; any rectangle of thread-axis values may be given, each exactly once.
    GPU: `void symbol(ptr arrays..., i32 sizes...)`, started over the blocks of `launch`, whose open sizes have the names
    that `sizes` has. `alignments`: (array, bytes) where an access is wider than an element.
    """

    symbol: str
    arrays: tuple[str, ...]
    writes: tuple[str, ...]
    sizes: tuple[str, ...] = ()
    threads: tuple[ThreadAxis, ...] = ()
    launch: Launch | None = None
    alignments: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Program:
    """The steps of one call, in order; every step ends before the next begins.

    `inputs` are the arguments in order of declaration, `temporaries` live only inside a call (or, where all they are
    made of is bound, as long as the bound kernel).
    """

    name: str
    inputs: tuple[Array, ...]
    output: Array
    temporaries: tuple[Array, ...]
    steps: tuple[Step, ...]
    sizes: tuple[OpenSize, ...] = ()
