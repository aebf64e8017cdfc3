"""What the operations of an expression do to NumPy arrays."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from convjit.nest.points import Values

_erfc = np.vectorize(math.erfc, otypes=[np.float64])


def maximum(a: Values, b: Values | int) -> Values:
    """A NaN in `a` stays."""
    return np.where(a < b, b, a)


def minimum(a: Values, b: Values | int) -> Values:
    """A NaN in `a` stays."""
    return np.where(b < a, b, a)


def sigmoid(a: Values) -> Values:
    """1 / (1 + exp(-a))."""
    one: Values = 1 / (1 + np.exp(-a))
    return one


OPS: dict[str, Callable[..., Any]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "neg": np.negative,
    "abs": np.abs,
    "sqrt": np.sqrt,
    "rint": np.rint,
    "max": maximum,
    "min": minimum,
    "convert": lambda a: a,
    "exp": np.exp,
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "silu": lambda a: a * sigmoid(a),
    "hardswish": lambda a: a * (minimum(maximum(a + 3, 0), 6) / 6),
    "leaky_relu": lambda a, slope: np.where(a < 0, a * slope, a),
    "gelu": lambda a: a * (_erfc(a.astype(np.float64) / -math.sqrt(2)) / 2),
}
"""Each is computed in the types of its operands, then given the type of the expression."""
