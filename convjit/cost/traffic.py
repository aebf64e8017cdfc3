"""Accesses per tensor and level of memory, predicted from the nest: exactly what the interpreter would count.

Levels are registers, what a schedule copies to by name (scratch, shared), and memory: what passes between the core and
its first cache. Between the caches see `convjit.cost.caches`, which is a model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from convjit import dtypes
from convjit.cost.predict import predict
from convjit.nest.counts import Counts
from convjit.nest.ir import Nest


@dataclass(frozen=True)
class Traffic:
    """Of one buffer at one level: accesses (all lanes of a vector are one) and elements (a broadcast is one).

    `tensor` is the tensor whose elements it holds, `level` the memory that is read and written; `bits` of an element.
    """

    buffer: str
    tensor: str
    level: str
    bits: int
    loads: int
    stores: int
    elements_loaded: int
    elements_stored: int

    @property
    def bytes(self) -> int:
        """Read and written."""
        return (self.elements_loaded + self.elements_stored) * self.bits // 8


@dataclass(frozen=True)
class Flow:
    """Of one tensor at one level, in all buffers that hold it: accesses, elements and bytes, read and written."""

    tensor: str
    level: str
    loads: int
    stores: int
    elements: int
    bytes: int


def traffic(nest: Nest, sizes: Mapping[str, int] | None = None) -> tuple[Traffic, ...]:
    """Of every buffer that is no register, in the nest's order; `sizes` are the open sizes."""
    return in_memory(rows(nest, predict(nest, sizes)))


def in_memory(found: Iterable[Traffic]) -> tuple[Traffic, ...]:
    """Those of no registers."""
    return tuple(row for row in found if row.level != "registers")


def rows(nest: Nest, counts: Counts) -> tuple[Traffic, ...]:
    """Of every buffer, from the counts of its nest; and of the registers that what is loaded passes through: each load
    writes one, each use reads it."""
    found = []
    for b in nest.buffers:
        found.append(_row(b.name, b.level, b.dtype, counts, ("load", "copy"), ("store",)))
        if b.level != "registers":
            found.append(_row(b.name, "registers", b.dtype, counts, ("use",), ("load",)))
    return tuple(row for row in found if row.elements_loaded or row.elements_stored)


def _row(name: str, level: str, dtype: str, c: Counts, read: tuple[str, ...], write: tuple[str, ...]) -> Traffic:
    figures = [sum(table[name, kind] for kind in kinds) for table in (c.accesses, c.elements) for kinds in (read, write)]
    return Traffic(name, tensor_of(name), level, dtypes.bits(dtype), *figures)


def tensor_of(buffer: str) -> str:
    """`w.packed.r` holds elements of `w`."""
    return buffer.split(".")[0]


def flows(found: Iterable[Traffic]) -> tuple[Flow, ...]:
    """By tensor and level, in the order in which they first appear."""
    total: dict[tuple[str, str], Flow] = {}
    for t in found:
        key = t.tensor, t.level
        f = total.get(key, Flow(*key, 0, 0, 0, 0))
        elements = f.elements + t.elements_loaded + t.elements_stored
        total[key] = Flow(*key, f.loads + t.loads, f.stores + t.stores, elements, f.bytes + t.bytes)
    return tuple(total.values())
