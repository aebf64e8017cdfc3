"""Stores whose lanes lie apart, but whose tile has neighbours along another axis: transposed in registers.

    y.r[ow, oc lanes] of 4 pixels -> y[oc, ow..ow+3] of every lane       (channels first, channels in lanes)

Such stores wait until the body they stand in ends, another opens, or their buffer is read. Then vectors that stand beside each other in memory are interleaved
inside each 128-bit part, as the unpack instructions do, and every lane is stored as one run of 16 bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

from convjit.dtypes import bits
from convjit.kernel.builder import Builder
from convjit.kernel.ir import vector

PART_BITS = 128
"""Shuffles inside parts of this size are cheap on every x86."""


@dataclass(frozen=True)
class Waiting:
    """A store of one vector: lane i goes to element `at + lanes[i]` from `bases[i]`. `origin` is whose store it is."""

    buffer: str
    at: int
    value: str
    dtype: str
    lanes: tuple[int, ...]
    bases: tuple[str, ...]
    mask: tuple[bool, ...] | None
    align: int
    origin: int


class Scattered:
    """Stores that wait, by what they have in common."""

    def __init__(self, b: Builder, masks: bool) -> None:
        self.b, self.masks = b, masks
        b.before_edges = self.flush
        self.groups: dict[object, list[Waiting]] = {}

    def add(self, group: object, store: Waiting) -> None:
        """One more; nothing is written yet."""
        self.groups.setdefault(group, []).append(store)

    def before_read(self, buffer: str) -> None:
        """What waits for a buffer must be there before it is read; no two buffers share memory."""
        if any(store.buffer == buffer for stores in self.groups.values() for store in stores):
            self.flush()

    def flush(self) -> None:
        """Write all that wait."""
        groups, self.groups = self.groups, {}
        around = self.b.origin
        for stores in groups.values():
            for run in runs(sorted(stores, key=lambda s: s.at)):
                self.b.origin = run[0].origin
                self.blocks(run)
        self.b.origin = around

    def blocks(self, run: list[Waiting]) -> None:
        """Neighbours, in the largest blocks that fill a part."""
        first = run[0]
        part = PART_BITS // bits(first.dtype)
        size = part if len(first.lanes) % part == 0 else 1
        place = 0
        while place < len(run):
            rest = len(run) - place
            while size > rest and not (self.masks and rest > 1):
                size //= 2
            self.block(run[place : place + size], part, size)
            place += size

    def block(self, stores: list[Waiting], part: int, size: int) -> None:
        """Neighbours, a power of two or, with masked stores, fewer: interleaved until every lane's elements stand
        together."""
        first = stores[0]
        if size == 1:
            self.alone(first)
            return
        values = [s.value for s in stores]
        chains = [values + values[-1:] * (size - len(values))]
        width = 1
        while width < size:
            chains = [half for chain in chains for half in self.halves(chain, width, first, part)]
            width *= 2
        for lane in range(len(first.lanes)):
            if first.mask is None or first.mask[lane]:
                inside = lane % part
                which, place = divmod(inside * size, part)
                self.store(chains[which][0], lane - inside + place, size, first, lane, len(stores))

    def halves(self, chain: list[str], width: int, first: Waiting, part: int) -> list[list[str]]:
        """One step: pieces of `width` elements of two vectors in turn, from the parts' lower and upper halves."""
        n = len(first.lanes)
        type_ = vector(first.dtype, n)
        made: list[list[str]] = []
        for half in range(2):
            order = unpacked(width, half, n, part)
            pairs = zip(chain[::2], chain[1::2], strict=True)
            made.append([self.b.op("shuffle", type_, a, b, order=order, **{"from": type_}) for a, b in pairs])
        return made

    def store(self, value: str, place: int, size: int, first: Waiting, lane: int, many: int) -> None:
        """One lane's run, found at `place` of the vector: so many elements of it."""
        n = len(first.lanes)
        piece = vector(first.dtype, size)
        if n != size:
            order = tuple(range(place, place + size))
            value = self.b.op("shuffle", piece, value, value, order=order, **{"from": vector(first.dtype, n)})
        pointer = self.pointer(first, lane)
        if many == size:
            self.b.do("store", piece, value, pointer, align=first.align)
            return
        mask = self.b.once("const", f"i1x{size}", values=tuple(int(i < many) for i in range(size)))
        self.b.do("store_masked", piece, value, pointer, mask, align=first.align)

    def alone(self, store: Waiting) -> None:
        """Lane by lane."""
        from_ = vector(store.dtype, len(store.lanes))
        for lane in range(len(store.lanes)):
            if store.mask is None or store.mask[lane]:
                item = self.b.op("extract", store.dtype, store.value, lane=lane, **{"from": from_})
                self.b.do("store", store.dtype, item, self.pointer(store, lane), align=store.align)

    def pointer(self, store: Waiting, lane: int) -> str:
        """Where a lane's first element goes."""
        move = (store.at + store.lanes[lane]) * bits(store.dtype) // 8
        return self.b.once("step", "ptr", store.bases[lane], move) if move else store.bases[lane]


def unpacked(width: int, half: int, n: int, part: int) -> tuple[int, ...]:
    """The order of an unpack: lanes of the second vector are numbered from n."""
    order: list[int] = []
    for base in range(half * part // 2, n, part):
        for piece in range(base, base + part // 2, width):
            order += [*range(piece, piece + width), *range(n + piece, n + piece + width)]
    return tuple(order)


def runs(stores: list[Waiting]) -> list[list[Waiting]]:
    """Those that stand directly behind each other, together."""
    found: list[list[Waiting]] = []
    for store in stores:
        if found and store.at == found[-1][-1].at + 1:
            found[-1].append(store)
        else:
            found.append([store])
    return found
