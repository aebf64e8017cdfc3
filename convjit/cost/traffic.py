"""Accesses per tensor and level of memory, predicted from the nest: exactly what the interpreter would count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from convjit import dtypes
from convjit.cost.predict import predict
from convjit.nest.ir import Nest


@dataclass(frozen=True)
class Traffic:
    """Of one buffer: accesses (all lanes of a vector are one) and elements (a broadcast is one).

    `tensor` is the tensor whose elements it holds, `level` the memory that it lies in; `bits` of an element.
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


def traffic(nest: Nest, sizes: Mapping[str, int] | None = None) -> tuple[Traffic, ...]:
    """Of every buffer that is no register, in the nest's order; `sizes` are the open sizes."""
    counts = predict(nest, sizes)
    rows = []
    for b in nest.buffers:
        load, store = (b.name, "load"), (b.name, "store")
        accesses = counts.accesses[load], counts.accesses[store]
        elements = counts.elements[load], counts.elements[store]
        if b.level != "registers" and any(elements):
            bits = dtypes.bits(b.dtype)
            rows.append(Traffic(b.name, b.name.split(".")[0], b.level, bits, *accesses, *elements))
    return tuple(rows)
