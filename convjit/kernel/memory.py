"""Memory as the interpreter sees it: byte arrays with bounds, alignment, unwritten bytes and races.

A pointer is a number: the region it points into and a signed offset of bytes. All threads access at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from convjit.kernel.races import SEVERAL, Array, Fault, Races

REGION_BITS = 44
BIAS = 1 << REGION_BITS - 1
POISON = 0xFF
"""Every byte of shared memory at the start: a NaN in every float type."""


@dataclass
class Access:
    """Loads and stores of one array that were carried out, of all threads, and the bytes they moved. Lanes that were
    masked off are not counted, nor are accesses with no lane left."""

    loads: int = 0
    stores: int = 0
    loaded_bytes: int = 0
    stored_bytes: int = 0


class Region:
    """One array or local. `unwritten` (a CPU's locals): bytes that hold nothing yet. `races` watches all of shared
    memory, in which the region starts at `base`."""

    def __init__(
        self, name: str, data: Array, tracked: bool = False, races: Races | None = None, base: int = 0
    ) -> None:
        self.name = name
        self.data = data
        self.unwritten = np.ones(data.size, np.bool_) if tracked else None
        self.races = races
        self.base = base
        self.access = Access()
        self._views: dict[np.dtype[Any], Array] = {}

    def view(self, dtype: np.dtype[Any]) -> Array:
        """The bytes as elements of that type; what is left over at the end is cut off."""
        if dtype not in self._views:
            whole = self.data.size // dtype.itemsize * dtype.itemsize
            self._views[dtype] = self.data[:whole].view(dtype)
        return self._views[dtype]

    def check(self, offsets: Array, size: int) -> None:
        """Whether `size` bytes from each offset are in the region."""
        low, high = int(offsets.min()), int(offsets.max()) + size
        if low < 0 or high > self.data.size:
            at = low if low < 0 else high - 1
            raise Fault(f"byte {at} of '{self.name}', which has {self.data.size}")

    def gather(self, offsets: Array, dtype: np.dtype[Any]) -> Array:
        """Elements at byte offsets of any shape."""
        if self.unwritten is not None and self.unwritten[_spread(offsets, dtype)].any():
            raise Fault(f"reads bytes of '{self.name}' that nothing was written to")
        if not (offsets % dtype.itemsize).any():
            found: Array = self.view(dtype)[offsets // dtype.itemsize]
            return found
        return np.ascontiguousarray(self.data[_spread(offsets, dtype)]).view(dtype)[..., 0]

    def scatter(self, offsets: Array, values: Array) -> None:
        """Store elements at byte offsets of the same shape; of equal offsets the last wins."""
        dtype = values.dtype
        if self.unwritten is not None:
            self.unwritten[_spread(offsets, dtype)] = False
        if not (offsets % dtype.itemsize).any():
            self.view(dtype)[offsets // dtype.itemsize] = values
        else:
            bytes_ = np.ascontiguousarray(values)[..., None].view(np.uint8)
            self.data[_spread(offsets, dtype)] = bytes_


def _spread(offsets: Array, dtype: np.dtype[Any]) -> Array:
    return offsets[..., None] + np.arange(dtype.itemsize)


@dataclass(frozen=True)
class Places:
    """The part of an access that falls in one region: which rows and lanes, at which offsets, by which threads.

    `copies`: how many threads a row stands for (all of them where the address is the same in every thread).
    """

    region: Region
    inside: Array
    offsets: Array
    threads: Array
    copies: int

    def grains(self, races: Races, size: int) -> tuple[Array, Array]:
        """The grains of the elements, and the thread for each."""
        steps = np.arange(0, size, races.grain)
        at = self.offsets[:, None] + (steps + self.region.base)
        return (at // races.grain).ravel(), np.broadcast_to(self.threads[:, None], at.shape).ravel()


class Memory:
    """The regions, and accesses by `threads` threads of which `mask` (None: all) take part."""

    def __init__(self, regions: list[Region], threads: int) -> None:
        self.regions = regions
        self.everyone = np.arange(threads, dtype=np.int32)

    def pointer(self, index: int) -> Array:
        """The start of a region, in every thread."""
        return np.array([(index << REGION_BITS) + BIAS], np.int64)

    def load(
        self,
        pointer: Array,
        dtype: np.dtype[Any],
        count: int,
        align: int,
        mask: Array | None,
        wanted: Array | None = None,
    ) -> Array:
        """`count` elements (threads, count), or (threads,) for one; outside `wanted` they are 0 and not touched."""
        if len(self.everyone) == 1 and wanted is None:
            return self._load_alone(int(pointer[0]), dtype, count, align)
        rows, inside = self._rows(pointer, count, mask, wanted)
        result = np.zeros((rows, count), dtype)
        for place in self._places(pointer, dtype.itemsize, align, inside, mask):
            races = place.region.races
            if races:
                races.on_read(*place.grains(races, dtype.itemsize))
            result[place.inside] = place.region.gather(place.offsets, dtype)
            access = place.region.access
            access.loads += int(place.inside.any(axis=1).sum()) * place.copies
            access.loaded_bytes += place.offsets.size * dtype.itemsize * place.copies
        return result if count > 1 else result[:, 0]

    def store(
        self, value: Array, pointer: Array, align: int, mask: Array | None, wanted: Array | None = None
    ) -> None:
        """Store (threads, lanes) or (threads,); only lanes inside `wanted` are touched."""
        if len(self.everyone) == 1 and wanted is None:
            self._store_alone(value, int(pointer[0]), align)
            return
        values = value if value.ndim == 2 else value[:, None]
        size = value.dtype.itemsize
        rows, inside = self._rows(pointer, values.shape[1], mask, wanted, len(self.everyone))
        values = np.broadcast_to(values, (rows, values.shape[1]))
        for place in self._places(pointer, size, align, inside, mask):
            races = place.region.races
            if races:
                races.on_write(*place.grains(races, size))
            place.region.scatter(place.offsets, values[place.inside])
            access = place.region.access
            access.stores += int(place.inside.any(axis=1).sum()) * place.copies
            access.stored_bytes += place.offsets.size * size * place.copies

    def _load_alone(self, pointer: int, dtype: np.dtype[Any], count: int, align: int) -> Array:
        size = dtype.itemsize * count
        region, at = self._alone(pointer, size, align)
        if region.unwritten is not None and region.unwritten[at : at + size].any():
            raise Fault(f"reads bytes of '{region.name}' that nothing was written to")
        region.access.loads += 1
        region.access.loaded_bytes += size
        loaded: Array = region.data[at : at + size].view(dtype).copy()
        return loaded[None] if count > 1 else loaded

    def _store_alone(self, value: Array, pointer: int, align: int) -> None:
        size = value.nbytes
        region, at = self._alone(pointer, size, align)
        region.data[at : at + size] = np.ascontiguousarray(value).reshape(-1).view(np.uint8)
        if region.unwritten is not None:
            region.unwritten[at : at + size] = False
        region.access.stores += 1
        region.access.stored_bytes += size

    def _alone(self, pointer: int, size: int, align: int) -> tuple[Region, int]:
        """Where the one thread there is accesses so many bytes."""
        region = self._region(pointer >> REGION_BITS)
        at = (pointer & (1 << REGION_BITS) - 1) - BIAS
        if at < 0 or at + size > region.data.size:
            raise Fault(
                f"byte {at if at < 0 else at + size - 1} of '{region.name}', which has {region.data.size}"
            )
        if at % align:
            raise Fault(f"'{region.name}' is accessed at what is no multiple of {align} bytes")
        return region, at

    def bytes_at(
        self, pointer: Array, count: int, align: int, mask: Array | None, wanted: Array | None
    ) -> list[Places]:
        """The places of `count` bytes for each thread; for copies, which move them later."""
        _, inside = self._rows(pointer, count, mask, wanted, len(self.everyone))
        return list(self._places(pointer, 1, align, inside, mask))

    def _rows(
        self, pointer: Array, count: int, mask: Array | None, wanted: Array | None, least: int = 1
    ) -> tuple[int, Array]:
        """How many rows (one where all threads do the same), and which lanes of each take part."""
        rows = max(len(pointer), 1 if wanted is None else len(wanted), least)
        inside = np.ones((rows, count), np.bool_)
        if wanted is not None:
            inside &= wanted if wanted.ndim == 2 else wanted[:, None]
        if mask is not None and rows > 1:
            inside &= mask[:, None]
        return rows, inside

    def _places(
        self, pointer: Array, size: int, align: int, inside: Array, mask: Array | None
    ) -> Iterator[Places]:
        active = inside.any(axis=1)
        if not active.any():
            return
        rows = len(inside)
        pointers = np.broadcast_to(pointer, (rows,))
        regions = pointers >> REGION_BITS
        lanes = np.arange(inside.shape[1]) * size
        several = rows == 1 and len(self.everyone) > 1
        copies = (len(self.everyone) if mask is None else int(mask.sum())) if several else 1
        everyone = np.full(1, SEVERAL if copies > 1 else 0, np.int32) if several else self.everyone[:rows]
        for index in np.unique(regions[active]):
            region = self._region(int(index))
            here = inside & (regions == index)[:, None]
            start = (pointers & (1 << REGION_BITS) - 1) - BIAS
            offsets = np.broadcast_to(start[:, None] + lanes, inside.shape)[here]
            region.check(offsets, size)
            if (start[active & (regions == index)] % align).any():
                raise Fault(f"'{region.name}' is accessed at what is no multiple of {align} bytes")
            threads = np.broadcast_to(everyone[:, None], inside.shape)[here]
            yield Places(region, here, offsets, threads, copies)

    def _region(self, index: int) -> Region:
        if not 0 <= index < len(self.regions):
            raise Fault("the address is far outside of every array")
        return self.regions[index]
