"""The steps of `then` clauses on whole arrays, in the arrays' own type."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_erfc = np.vectorize(math.erfc, otypes=[np.float64])


def _sigmoid(v: Array) -> Array:
    """1 / (1 + exp(-v)), without overflow."""
    small = np.exp(-np.abs(v))
    result: Array = np.where(v >= 0, 1, small).astype(v.dtype) / (1 + small)
    return result


def _gelu(v: Array) -> Array:
    """v Phi(v) = v (1 + erf(v / sqrt 2)) / 2: the exact form, not the one by tanh; 1 + erf(z) = erfc(-z) cancels nothing."""
    result: Array = v * (_erfc(-v / math.sqrt(2)) / 2).astype(v.dtype)
    return result


def _silu(v: Array) -> Array:
    result: Array = v * _sigmoid(v)
    return result


def _hardswish(v: Array) -> Array:
    result: Array = v * (np.clip(v + 3, 0, 6) / 6)
    return result


def _clip(v: Array, low: Array, high: Array) -> Array:
    return np.minimum(np.maximum(v, low), high)


def _leaky_relu(v: Array, slope: Array) -> Array:
    return np.where(v < 0, v * slope, v)


def _zero_to(high: float) -> Callable[[Array], Array]:
    return lambda v: np.clip(v, np.asarray(0, v.dtype), np.asarray(high).astype(v.dtype))


FUNCTIONS: dict[str, Callable[..., Array]] = {
    "relu": lambda v: np.maximum(v, np.asarray(0, v.dtype)),
    "relu6": _zero_to(6),
    "clip": _clip,
    "leaky_relu": _leaky_relu,
    "sigmoid": _sigmoid,
    "tanh": np.tanh,
    "silu": _silu,
    "gelu": _gelu,
    "hardswish": _hardswish,
    "scale": np.multiply,
    "add": np.add,
    "mul": np.multiply,
}
