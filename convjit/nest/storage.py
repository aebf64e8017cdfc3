"""Buffers while a nest is interpreted: values, what was never written, and who touched what since the last barrier."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convjit import dtypes
from convjit.nest.affine import ceil_div
from convjit.nest.ir import Buffer
from convjit.nest.layout import Layout
from convjit.nest.points import Bools, Ints, Values

NOBODY = -1


@dataclass
class Tile:
    """Values at points, and where they are poison: derived from something that was never written."""

    values: Values
    poison: Bools


class Places:
    """From a logical index to a place in a buffer; `limits` say how far an index may go, in order of `dims`."""

    def __init__(self, buffer: Buffer, layout: Layout) -> None:
        sizes = {n: s for n, s in layout.sizes if isinstance(s, int)}
        strides = [s.coefficient for s in layout.strides()]
        self.levels: list[list[tuple[int, int]]] = []
        self.limits: list[int] = []
        for dim in buffer.dims:
            levels = [(b, s) for (n, b), s in zip(layout.parts, strides, strict=True) if n == dim]
            levels.sort(key=lambda level: -level[0])
            size, whole = sizes.get(dim, 1), levels[0][0] if levels else 1
            self.levels.append(levels)
            self.limits.append(ceil_div(size, whole) * whole if buffer.packed else size)
        self.elements = layout.elements()

    def offset(self, index: list[int | Ints]) -> int | Ints:
        """Elements from the start, of indices inside the limits."""
        offset: int | Ints = 0
        for rest, levels in zip(index, self.levels, strict=True):
            for block, stride in levels:
                offset = offset + rest // block * stride
                rest = rest % block
        return offset


class Storage:
    """The elements of a buffer, flat. `turn`: which use of a ring's slot wrote an element."""

    def __init__(self, values: Values, poisoned: bool, watch: Watch | None = None) -> None:
        self.values = values
        self.poison = np.full(len(values), poisoned)
        self.turn = np.zeros(len(values), np.int64)
        self.watch = watch

    @classmethod
    def fresh(cls, dtype: str, elements: int, watch: Watch | None = None) -> Storage:
        """Never written."""
        return cls(np.zeros(elements, dtypes.get(dtype).numpy), True, watch)

    def read(self, places: Ints, turns: Ints) -> Tile:
        """The values there; those of another use of the slot are poison."""
        return Tile(self.values[places], self.poison[places] | (self.turn[places] != turns))

    def write(self, places: Ints, tile: Tile, turns: Ints) -> None:
        """Put values there; of several at one place the last one stays."""
        self.turn[places] = turns
        with np.errstate(invalid="ignore", over="ignore"):
            self.values[places] = tile.values.astype(self.values.dtype)
        self.poison[places] = tile.poison

    def add(self, places: Ints, tile: Tile) -> None:
        """Add values there, one after the other."""
        np.add.at(self.values, places, tile.values.astype(self.values.dtype))
        np.logical_or.at(self.poison, places, tile.poison)


class Watch:
    """Finds two threads at one place, one of them writing, with no barrier between them.

    Threads are numbered through all blocks of `team`; `epoch` counts the barriers of all of them.
    """

    def __init__(self, elements: int, team: int) -> None:
        self.team = team
        self.writer = np.full(elements, NOBODY)
        self.written = np.full(elements, NOBODY)
        self.read_at = np.full(elements, NOBODY)
        self.first = np.zeros(elements, np.int64)
        self.last = np.zeros(elements, np.int64)

    def read(self, places: Ints, threads: Ints, epoch: int) -> int | None:
        """Note a read. The point where it meets a write of another thread, if it does."""
        stale = places[self.read_at[places] != epoch]
        self.first[stale], self.last[stale] = np.iinfo(np.int64).max, NOBODY
        self.read_at[stale] = epoch
        np.minimum.at(self.first, places, threads)
        np.maximum.at(self.last, places, threads)
        return first_of(self.unordered(places, threads, epoch))

    def write(self, places: Ints, threads: Ints, epoch: int) -> int | None:
        """Note a write. The point where it meets a read or a write of another thread, if it does."""
        read = self.read_at[places] == epoch
        clash = read & ((self.first[places] != threads) | (self.last[places] != threads))
        clash |= self.unordered(places, threads, epoch)
        self.writer[places], self.written[places] = threads, epoch
        return first_of(clash | (self.writer[places] != threads))

    def unordered(self, places: Ints, threads: Ints, epoch: int) -> Bools:
        """Where another thread wrote: since the last barrier, or in another block."""
        writer = self.writer[places]
        near = (self.written[places] == epoch) | (writer // self.team != threads // self.team)
        found: Bools = (writer != NOBODY) & (writer != threads) & near
        return found


def first_of(found: Bools) -> int | None:
    """The first point where it is so."""
    return int(np.argmax(found)) if found.any() else None
