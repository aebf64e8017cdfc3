"""Shares of zeros: of the quantised input, the quantised weight, and the sums.

A zero of the input is counted under three definitions, since padding is zeros too:

    bare      the input's own numbers
    padded    with the padding of the convolution: (size + low + high) positions along each spatial axis
    report    as the report that this project grew from counts: size + kernel positions along each spatial axis,
              one more than stride 1 and `same` need (59 x 59 for 56 x 56 and a kernel of 3 x 3)

Padding is N C (positions - positions of the input) zeros. A transposed convolution pads nothing: `padded` is `bare` there.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convjit.errors import ConvError
from convjit.spec.conv import ConvSpec
from convjit.study.layer import Layer, layer
from convjit.study.vcurve import DTYPES, check_word, in_range, quantised, rounding_of


@dataclass(frozen=True)
class Zeros:
    """So many zeros among so many numbers."""

    zeros: int
    of: int

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return self.zeros / self.of

    def __str__(self) -> str:
        return f"{self.zeros} of {self.of} ({self.share:.1%})"


@dataclass(frozen=True)
class Sparsity:
    """The zeros of a convolution quantised to a type by two scales (factors, as in `compute`)."""

    dtype: str
    scale_x: float
    scale_w: float
    bare: Zeros
    padded: Zeros
    report: Zeros
    weight: Zeros
    output: Zeros


def sparsity(
    spec: ConvSpec, x: Any, w: Any, dtype: str, scale_x: float, scale_w: float, rounding: str | None = None
) -> Sparsity:
    """The zeros of a convolution over real data (see `layer`), quantised as `compute` does it with these factors.

    `dtype` is one of i32, i16, i8, i4; `rounding` is that of the spec where none is given. Raises `ConvError` for other
    types and for scales that the language does not take.
    """
    return sparsity_of(layer(spec, x, w), dtype, scale_x, scale_w, rounding or rounding_of(spec))


def sparsity_of(data: Layer, dtype: str, scale_x: float, scale_w: float, rounding: str) -> Sparsity:
    """As `sparsity`, for a layer that serves several measurements."""
    check_word(dtype, DTYPES, "type")
    if not in_range(scale_x, scale_w):
        raise ConvError.of(
            f"The scales {scale_x:g} and {scale_w:g} cannot be used.",
            note="They, and their product, are numbers of f32, from 2^-126 to 2^127.",
        )
    x, _ = quantised(data.x, scale_x, dtype, rounding)
    w, _ = quantised(data.w, scale_w, dtype, rounding)
    bare = count(x)
    sizes = [x.shape[data.spec.input.axes.index(axis)] for axis in data.spec.spatial]
    pad = [0 if data.spec.transposed else sum(pair) for pair in data.spec.pad]
    padded, report = (_with_padding(bare, sizes, more) for more in (pad, data.spec.kernel_size))
    return Sparsity(dtype, scale_x, scale_w, bare, padded, report, count(w), count(data.sums(x, w)))


def count(values: NDArray[Any]) -> Zeros:
    """The zeros of an array."""
    return Zeros(int(values.size - np.count_nonzero(values)), int(values.size))


def _with_padding(bare: Zeros, sizes: list[int], more: list[int] | tuple[int, ...]) -> Zeros:
    """With so many more positions along each axis, which are all 0."""
    whole = bare.of // prod(sizes) * prod(size + n for size, n in zip(sizes, more, strict=True))
    return Zeros(bare.zeros + whole - bare.of, whole)
