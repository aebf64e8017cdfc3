"""A model of the hardware's caches: bytes of each buffer that pass between two levels. Nothing here is measured.

Of a part of the nest (a statement in its written out loops, a loop, several in a row) let F be the bytes that it touches
(`convjit.cost.footprint`). Into a cache of C bytes comes, during

    a part with F <= C                        F: every line once
    a loop, one turn of which touches <= C    F of the whole loop: what two turns share is still there
    any other loop                            its turns times what comes during one
    parts in a row                            the sum of what comes during each

of each buffer by itself, reading and writing apart; what a part with F <= C writes before it reads it does not come. So
data come again where what happens between two uses does not fit. The cache is fully associative, nothing is prefetched,
one worker does everything, a nest begins with an empty cache, and a line that is written is not read first. A GPU's
blocks run one after the other, the threads of a block at once. A larger cache never gets more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from convjit.cost.footprint import touched
from convjit.cost.parts import Part, part_of
from convjit.cost.traffic import tensor_of
from convjit.machine.machine import Cache, Machine
from convjit.nest.ir import Nest
from convjit.nest.points import all_sizes, concrete

Bytes = dict[str, int]


@dataclass(frozen=True)
class CacheFlow:
    """Modelled: bytes of a tensor that pass between two neighbouring levels, `inner` the one nearer to the core."""

    tensor: str
    inner: str
    outer: str
    read: int
    written: int

    @property
    def bytes(self) -> int:
        """Both ways."""
        return self.read + self.written


def hardware(machine: Machine) -> tuple[Cache, ...]:
    """The levels that the hardware fills, from the core to memory: without what a schedule fills."""
    return tuple(c for c in machine.caches if c.name != "shared")


def cache_flows(nest: Nest, machine: Machine, sizes: Mapping[str, int] | None = None) -> tuple[CacheFlow, ...]:
    """Of every tensor between every two levels of the machine; `sizes` are the open sizes.

    On a GPU the first level is "threads": what the threads of a block read at once comes from L2 once.
    """
    levels = hardware(machine)
    model = Model(nest, min(c.line for c in levels), sizes or {})
    borders = [(a.name, a.bytes, b.name) for a, b in zip(levels, levels[1:], strict=False)]
    if machine.kind == "cuda":
        borders.insert(0, ("threads", 0, levels[0].name))
    found = []
    for inner, capacity, outer in borders:
        total: dict[str, tuple[int, int]] = {}
        for read, way in ((True, model.read), (False, model.written)):
            for buffer, n in model.into(model.whole, capacity, way).items():
                before = total.get(tensor_of(buffer), (0, 0))
                total[tensor_of(buffer)] = (before[0] + n, before[1]) if read else (before[0], before[1] + n)
        found += [CacheFlow(tensor, inner, outer, *n) for tensor, n in total.items()]
    return tuple(found)


class Model:
    """One nest, and lines of so many bytes."""

    def __init__(self, nest: Nest, line: int, sizes: Mapping[str, int]) -> None:
        known = all_sizes(nest, sizes)
        self.line = line
        self.buffers = {
            b.name: (b, concrete(b.layout, known)) for b in nest.buffers if b.level in ("memory", "scratch") and b.layout
        }
        self.whole = part_of(nest, known, frozenset(self.buffers))
        self.known: dict[tuple[int, bool | None], Bytes] = {}
        self.fresh: dict[int, Bytes] = {}

    def any(self, part: Part) -> Bytes:
        """Bytes that a part touches."""
        return self.footprint(part, None)

    def read(self, part: Part) -> Bytes:
        """Bytes that it reads and has not written itself before."""
        if id(part) not in self.fresh:
            found = self.footprint(part, False)
            if part.body:
                pieces = times(added([self.read(p) for p in part.body]), part.turns or 1)
                found = {n: 0 if self.made(part, n) else min(size, pieces[n]) for n, size in found.items()}
            self.fresh[id(part)] = found
        return self.fresh[id(part)]

    def made(self, part: Part, buffer: str) -> bool:
        """Whether all that parts in a row read of a buffer was written by the first of them that touches it."""
        first = next(p for p in part.body if buffer in self.any(p))
        written = self.written(first).get(buffer, 0)
        return not self.read(first).get(buffer, 0) and written >= self.footprint(part, False)[buffer]

    def written(self, part: Part) -> Bytes:
        """Bytes that it writes."""
        return self.footprint(part, True)

    def footprint(self, part: Part, writes: bool | None) -> Bytes:
        """Never more than its parts touch, each by itself."""
        key = id(part), writes
        if key not in self.known:
            wanted = [a for a in part.accesses if writes in (None, a.writes)]
            most = touched(wanted, self.buffers, self.line)
            if part.body:
                pieces = times(added([self.footprint(p, writes) for p in part.body]), part.turns or 1)
                most = {name: min(n, pieces.get(name, n)) for name, n in most.items()}
            self.known[key] = most
        return self.known[key]

    def into(self, part: Part, capacity: int, way: Callable[[Part], Bytes]) -> Bytes:
        """Bytes that come into (or leave) a cache during a part."""
        if not part.body or sum(self.any(part).values()) <= capacity:
            return way(part)
        if part.turns is not None and sum(self.any(part.body[0]).values()) <= capacity:
            return way(part)
        return times(added([self.into(p, capacity, way) for p in part.body]), part.turns or 1)


def added(pieces: list[Bytes]) -> Bytes:
    """Buffer by buffer."""
    total: Bytes = {}
    for piece in pieces:
        for name, n in piece.items():
            total[name] = total.get(name, 0) + n
    return total


def times(piece: Bytes, turns: float) -> Bytes:
    """So often."""
    return {name: round(n * turns) for name, n in piece.items()}
