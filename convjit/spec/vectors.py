"""Vectors over the output channels that a program holds itself: `param ws : f32[OC] = (0.1, 0.2)`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np

from convjit import dtypes
from convjit.dsl import ast
from convjit.spec.evaluate import Scope, shown

_finfo: Callable[[np.dtype[Any]], Any] = ml_dtypes.finfo


def values(scope: Scope, tensor: ast.Tensor, dtype: str) -> tuple[float, ...]:
    """The numbers of a param, each one of its type; none where one of them is wrong, which has been reported."""
    name = tensor.name.text
    if dtypes.is_float(dtype):
        found = [_real(scope, expr, dtype, name) for expr in tensor.values]
    else:
        found = [scope.whole(expr, f"A value of '{name}'", *dtypes.limits(dtype)) for expr in tensor.values]
    known = tuple(value for value in found if value is not None)
    return known if len(known) == len(found) else ()


def _real(scope: Scope, expr: ast.Expr, dtype: str, name: str) -> float | None:
    value = scope.value(expr)
    if value is not None and abs(value) > _greatest(dtype):
        scope.report(f"A value of '{name}' is too large.", expr.span, f"is {shown(value)}", f"The greatest number of {dtype} is smaller.")
        return None
    return None if value is None else float(value)


def _greatest(dtype: str) -> Fraction:
    return Fraction(float(_finfo(dtypes.get(dtype).numpy).max))


def spread(scope: Scope, tensor: ast.Tensor, found: Sequence[float], channels: int) -> tuple[float, ...]:
    """One number for each output channel: those given, or the one that is given for all of them."""
    if len(found) == 1:
        return (found[0],) * channels
    if len(found) not in (0, channels):
        label = f"{len(found)} numbers, {channels} output channels"
        hint = "Give one for each, or a single one for all."
        scope.report(f"The values of '{tensor.name.text}' are not one for each output channel.", tensor.name.span, label, hint=hint)
    return tuple(found)
