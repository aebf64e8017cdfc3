"""u8 times i8 to u8: numbers as in a quantised network, with scales by which the outputs use their range."""

from __future__ import annotations

from functools import partial
from math import sqrt

import numpy as np

from bench.layers import NHWC, Axes, Layer
from bench.problem import Array, Arrays, Problem, equal
from convjit.bench.peak import BYTES
from convjit.spec.conv import ConvSpec

INPUT_SCALE, WEIGHT_SCALE = 0.02, 0.002
"""A channel's own scale of the weight lies within a quarter of that."""

INPUT_SPREADS = {0: 85.0, 128: 42.5}
"""The root of the mean square of (x - zero), by zero point: the end of the type is three of them away. With the zero point 0
the input is like one behind a ReLU: the upper half of a normal distribution."""

NARROW = (0, 127)
"""The range of an input of 7 bits."""

WEIGHT_SPREAD = 36.0
"""The standard deviation of weights: the largest of a few hundred reach 127."""

BIAS_SPREAD = 0.5
"""The bias's, as a part of the sums'."""

OUTPUT_ZERO, OUTPUT_SPREAD = 128, 32.0
"""The outputs' mean, and their standard deviation where the bias is 0: a quarter of what the type has on each side."""


def u8(zero: int = 0, narrow: bool = False) -> Problem:
    """The problem with that zero point of the input (one of `INPUT_SPREADS`). It rounds by the profile `onnx`, as all do.
    `narrow`: the input has 7 bits, in a declared range, as PyTorch (reduce_range) quantises for processors without VNNI."""
    name = f"u8-zero{zero}" if zero else "u8-7bit" if narrow else "u8"
    return Problem(name, partial(_spec, zero, narrow), _data, equal, BYTES)


def _spec(zero: int, narrow: bool, layer: Layer, axes: Axes = NHWC) -> ConvSpec:
    scale = INPUT_SCALE * (2 if narrow else 1)
    spread = INPUT_SCALE * WEIGHT_SCALE * _spread_of_sums(zero, layer.products)
    options: dict[str, dict[str, object]] = {
        "x": {"scale": scale, "zero": zero, **({"in_range": NARROW} if narrow else {})},
        "w": {"scale": "ws"},
        "y": {"scale": float(f"{spread / OUTPUT_SPREAD:.3g}"), "zero": OUTPUT_ZERO},
    }
    return layer.spec(axes, ("u8", "i8", "u8"), options, bias=("b", "i32", "OC"), param=("ws", "f32", "OC"))


def _spread_of_sums(zero: int, products: int) -> float:
    """The standard deviation of a sum of so many products."""
    return sqrt(products) * INPUT_SPREADS[zero] * WEIGHT_SPREAD


def _data(spec: ConvSpec) -> Arrays:
    """Input, weight, bias and the weight's scales, in the spec's orders of axes."""
    stream, zero = np.random.default_rng(0), int(spec.input.zero or 0)
    channels, kernel = int(spec.out_channels), _shape(spec.weight.sizes)
    high = (spec.input.in_range or (0, 255))[1]
    part = (high + 1) / 256
    x = stream.normal(0, part * INPUT_SPREADS[zero], _shape(spec.input.sizes))
    w = stream.normal(0, WEIGHT_SPREAD, kernel)
    b = stream.normal(0, BIAS_SPREAD * part * _spread_of_sums(zero, w.size // channels), channels)
    return {
        "x": _whole(np.abs(x) if zero == 0 else x + zero, 0, high, np.uint8),
        "w": _whole(w, -127, 127, np.int8),
        "b": np.rint(b).astype(np.int32),
        "ws": (WEIGHT_SCALE * stream.uniform(0.75, 1.25, channels)).astype(np.float32),
    }


def _whole(values: Array, low: int, high: int, dtype: type[np.generic]) -> Array:
    return np.clip(np.rint(values), low, high).astype(dtype)


def _shape(sizes: tuple[int | None, ...]) -> tuple[int, ...]:
    return tuple(size or 0 for size in sizes)
