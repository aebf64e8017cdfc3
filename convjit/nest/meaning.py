"""What the operations of an expression do to NumPy arrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from convjit import dtypes
from convjit.nest.functions import steps
from convjit.nest.ir import Number
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
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "shl": np.left_shift,
    "lshr": lambda a, b: (a.view(f"u{a.itemsize}") >> b.astype(f"u{a.itemsize}")).view(a.dtype),
    "ashr": np.right_shift,
    "lt": np.less,
    "eq": np.equal,
    "select": np.where,
    "max": maximum,
    "min": minimum,
    "convert": lambda a: a,
    "whole": lambda a: a,
    "exp": np.exp,
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "silu": lambda a: a * sigmoid(a),
    "hardswish": lambda a: a * (minimum(maximum(a + 3, 0), 6) / 6),
    "leaky_relu": lambda a, slope: np.where(a < 0, a * slope, a),
    "gelu": lambda a: a * (_erfc(a.astype(np.float64) / -math.sqrt(2)) / 2),
}
"""Each is computed in the types of its operands, then given the type of the expression."""


def apply(op: str, dtype: str, args: Sequence[Values]) -> Values:
    """The values of an operation that gives `dtype`; rounding and fixed-point functions step by step."""
    numpy = dtypes.get(dtype).numpy if dtype != "i1" else np.dtype(np.bool_)
    if op == "bitcast":
        return np.ascontiguousarray(args[0]).view(numpy)
    if op == "fma":
        return (args[0] * args[1] + args[2]).astype(numpy)
    if op in OPS:
        made: Values = OPS[op](*args).astype(numpy)
        return made
    values = list(args)
    for step in steps(op, dtype):
        given = [values[a] if isinstance(a, int) else constant(a, len(args[0])) for a in step.args]
        values.append(apply(step.op, step.dtype, given))
    return values[-1]


def constant(value: Number, points: int) -> Values:
    """A number at every point."""
    return np.full(points, value.value, dtypes.get(value.dtype).numpy)
