"""Convolutions in integers, and f32's, on the same layer: for each how tensors are stored and what they hold.

The 16-bit numbers are like those of the report that convjit grew from, whose scales are 2^7 for the input and 500 times that
for the kernel: the real tensors are these divided by the scales, the 32-bit numbers these times 2^12, by its scales of 2^19.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from bench.layers import Axes, Layer
from bench.problem import Array, Arrays, Problem, Verdict, equal, near
from convjit.bench.peak import BYTES, FLOATS, Types
from convjit.spec.conv import ConvSpec

X_SCALE, W_SCALE, WIDER = 2.0**7, 2.0**7 * 500, 2**12
LARGEST_X, SPREAD_W, LARGEST_W = 6230, 2060, 20000

WORDS: tuple[Types, ...] = (("i16", "i16", "i32"),)
LONG: tuple[Types, ...] = (("i32", "i32", "i64"),)

Options = Mapping[str, Mapping[str, object]]


def ranges(times: int = 1) -> Options:
    """The numbers of 16 bits, times that, promised to be no larger than they are."""
    x, w = LARGEST_X * times, LARGEST_W * times
    return {"x": {"in_range": (-x, x)}, "w": {"in_range": (-w, w)}}


Make = Callable[[tuple[int, ...], tuple[int, ...]], tuple[Array, Array]]
"""Input and weight of these shapes."""


def words(x: tuple[int, ...], w: tuple[int, ...]) -> tuple[Array, Array]:
    """16-bit numbers: normal, the largest of x 6230; the standard deviation of w 2060, its largest 20000."""
    stream = np.random.default_rng(0)
    a, b = stream.normal(0, 1, x), stream.normal(0, SPREAD_W, w)
    b = np.clip(b, -LARGEST_W, LARGEST_W)
    b.flat[np.abs(b).argmax()] = LARGEST_W
    return np.rint(a * (LARGEST_X / np.abs(a).max())).astype(np.int16), np.rint(b).astype(np.int16)


def floats(x: tuple[int, ...], w: tuple[int, ...]) -> tuple[Array, Array]:
    """The real numbers that the 16-bit ones stand for."""
    a, b = words(x, w)
    return (a / X_SCALE).astype(np.float32), (b / W_SCALE).astype(np.float32)


def longs(x: tuple[int, ...], w: tuple[int, ...]) -> tuple[Array, Array]:
    """32-bit numbers."""
    a, b = (array.astype(np.int32) * WIDER for array in words(x, w))
    return a, b


def bytes_(x: tuple[int, ...], w: tuple[int, ...]) -> tuple[Array, Array]:
    """8-bit numbers: of the upper half of a normal distribution, and normal; both reach the ends of their types."""
    stream = np.random.default_rng(0)
    a, b = np.abs(stream.normal(0, 85, x)), stream.normal(0, 36, w)
    return np.rint(np.minimum(a, 255)).astype(np.uint8), np.rint(np.clip(b, -127, 127)).astype(np.int8)


def _case(
    name: str, types: Types, make: Make, peaks: tuple[Types, ...], options: Options | None = None, **clauses: Any
) -> Problem:
    def spec(layer: Layer, axes: Axes) -> ConvSpec:
        return layer.spec(axes, types, options, **clauses)

    judge = near if name == "f32" else equal if types[0] != "f32" else same
    return Problem(name, spec, partial(_data, make), judge, peaks)


def same(result: Array, wanted: Array, ours: bool) -> Verdict:
    """Floats that an exact sum becomes: equal, bit for bit."""
    return equal(result.astype(np.float32).view(np.int32), wanted.astype(np.float32).view(np.int32), ours)


def _data(make: Make, spec: ConvSpec) -> Arrays:
    shapes = (tuple(size or 0 for size in tensor.sizes) for tensor in (spec.input, spec.weight))
    return dict(zip(("x", "w"), make(next(shapes), next(shapes)), strict=True))


FLOAT = ("f32", "f32", "f32")
CASES: tuple[Problem, ...] = (
    _case("f32", FLOAT, floats, FLOATS),
    _case("i16 -> i32", ("i16", "i16", "i32"), words, WORDS),
    _case("i16 -> i64", ("i16", "i16", "i64"), words, WORDS),
    _case("i16 -> i64, ranges", ("i16", "i16", "i64"), words, WORDS, ranges()),
    _case("i32 -> i64", ("i32", "i32", "i64"), longs, LONG),
    _case("i32 -> i64, ranges", ("i32", "i32", "i64"), longs, LONG, ranges(WIDER)),
    _case("u8 -> i32", ("u8", "i8", "i32"), bytes_, BYTES),
    _case("compute i16", FLOAT, floats, WORDS, compute="i16 scale x 2^7, w 2^7*500 round toward_zero"),
    _case("compute i8", FLOAT, floats, BYTES, compute="i8 scale x 1, w 500 round toward_zero"),
)
"""The first is what the others are compared with. With ranges, x and w are promised to lie in those of the data."""
