"""How logical dimensions lie in memory, slowest first; a dimension may be blocked, a size may be open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from convjit.nest.affine import Affine, ceil_div

Extent = int | str
Symbols = tuple[str, ...]
"""Open sizes that a stride is multiplied by."""


@dataclass(frozen=True)
class Stride:
    """coefficient * product of open sizes, in elements."""

    coefficient: int
    symbols: Symbols = ()

    def times(self, extent: Extent) -> Stride:
        """The stride of the next slower dimension."""
        if isinstance(extent, str):
            return Stride(self.coefficient, tuple(sorted((*self.symbols, extent))))
        return Stride(self.coefficient * extent, self.symbols)


@dataclass(frozen=True)
class Layout:
    """Parts (dimension, block), slowest first: (oc, 32) … (oc, 1) is a dimension blocked by 32; (w, 1) … (w, 2) has the even
    places side by side, then the odd ones.

    `sizes` are the logical sizes; the last block of a blocked dimension is whole. `pad` elements follow each row.
    """

    parts: tuple[tuple[str, int], ...]
    sizes: tuple[tuple[str, Extent], ...]
    pad: int = 0

    def counts(self) -> tuple[Extent, ...]:
        """How many steps each part has. A blocked dimension has a known size."""
        sizes: dict[str, Extent] = dict(self.sizes)
        counts: list[Extent] = []
        for name, block in self.parts:
            size = min((b for n, b in self.parts if n == name and b > block), default=sizes[name])
            counts.append(size if isinstance(size, str) else ceil_div(size, block))
        return tuple(counts)

    def strides(self) -> tuple[Stride, ...]:
        """Of each part, in elements."""
        strides, stride = [], Stride(1)
        counts = self.counts()
        for place in range(len(counts) - 1, -1, -1):
            strides.append(stride)
            stride = stride.times(counts[place])
            if place == len(counts) - 1 and self.pad:
                stride = Stride(stride.coefficient + self.pad)
        return tuple(reversed(strides))

    def elements(self) -> int:
        """How many elements it takes, whole blocks and padding counted; ValueError where a size is open."""
        if not self.parts:
            return 1
        whole = self.strides()[0].times(self.counts()[0])
        if whole.symbols:
            raise ValueError(f"the layout has open sizes: {', '.join(whole.symbols)}")
        return whole.coefficient

    def flatten(self, index: Mapping[str, Affine], grain: Mapping[str, int]) -> dict[Symbols, Affine]:
        """The element offset, as a sum of (product of open sizes) * affine.

        grain[v] divides every value of loop variable v: it says to which block of a blocked dimension v belongs.
        """
        offset: dict[Symbols, Affine] = {}
        strides = self.strides()
        for name, affine in index.items():
            levels = [(block, s) for (n, block), s in zip(self.parts, strides, strict=True) if n == name]
            levels.sort(key=lambda level: -level[0])
            if not levels:
                continue  # a dimension of size 1
            if len(levels) == 1:
                stride = levels[0][1]
                part = affine * stride.coefficient
                offset[stride.symbols] = offset.get(stride.symbols, Affine()) + part
                continue
            offset[()] = offset.get((), Affine()) + blocked(affine, levels, grain)
        return offset


def blocked(affine: Affine, levels: list[tuple[int, Stride]], grain: Mapping[str, int]) -> Affine:
    """The offset inside a blocked dimension: every term goes to the block level that its grain reaches."""
    rest, const = affine.const, 0
    for block, stride in levels:
        const += (rest // block) * stride.coefficient
        rest %= block
    terms: list[tuple[str, int]] = []
    for variable, coefficient in affine.terms:
        for block, stride in levels:
            if coefficient * grain.get(variable, 1) % block == 0:
                terms.append((variable, coefficient * stride.coefficient // block))
                break
    return Affine(tuple(sorted(terms)), const)
