"""The tensors of a convolution, and the small records that its clauses become."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod

from convjit import dtypes
from convjit.source import Span


@dataclass(frozen=True)
class Tensor:
    """A dense array: its axes in memory order, last fastest, and a size (None = open) for each.

    `role` is input, weight, bias, output, residual or param. `in_range` is the promised (low, high) of integer values.
    `scale` and `zero` belong to a quantised tensor, real = (value - zero) * scale; a name there is a param with one
    number for each output channel. `values` are those of a param that the program gives itself, one for each channel.
    """

    name: str
    role: str
    dtype: str
    axes: tuple[str, ...]
    sizes: tuple[int | None, ...]
    in_range: tuple[int, int] | None = None
    sparse: bool = False
    scale: float | str | None = None
    zero: int | str | None = None
    values: tuple[float, ...] = ()
    span: Span | None = field(default=None, compare=False, repr=False)

    def size(self, axis: str) -> int | None:
        """The size along an axis that this tensor has; None when it is open."""
        return self.sizes[self.axes.index(axis)]

    @property
    def elements(self) -> int | None:
        """Number of elements, None while a size is open."""
        known = [size for size in self.sizes if size is not None]
        return prod(known) if len(known) == len(self.sizes) else None

    @property
    def bytes(self) -> int | None:
        """Bytes in memory, None while a size is open."""
        return None if self.elements is None else -(-self.elements * dtypes.bits(self.dtype) // 8)

    @property
    def quantised(self) -> bool:
        """Whether values stand for real numbers through a scale."""
        return self.scale is not None


@dataclass(frozen=True)
class Then:
    """A step after the sum: `op`, and its numbers or the names of the tensors that it reads."""

    op: str
    args: tuple[float | str, ...] = ()


@dataclass(frozen=True)
class Compute:
    """The type that multiplications run in.

    For an integer type `scales` are the factors of (input, weight), or "auto" (from calibration); the weight's may be the
    name of a param with one for each output channel. `round` says how value * scale becomes an integer.
    """

    dtype: str
    scales: tuple[float, float | str] | str | None = None
    round: str | None = None
