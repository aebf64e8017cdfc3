"""Scales of what stands behind the sum: of a quantised output, and of quantised residuals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convjit.spec.arguments import match, out_shape
from convjit.spec.conv import ConvSpec
from convjit.spec.reference import reference
from convjit.spec.tensor import Tensor
from convjit.study import ranges
from convjit.study.grid import Ends, Grid, grid, shortest, stored, with_step
from convjit.study.layer import real, with_numbers
from convjit.study.methods import COARSE, FINE, Wishes
from convjit.study.scheme import ends_of


def with_results(
    spec: ConvSpec, found: ConvSpec, arrays: dict[str, Any], method: str, wishes: Wishes, symmetric: bool
) -> ConvSpec:
    """`found` with the scales and zero points of its output and its residuals, where they have some.

    They come from real numbers: those of the residuals, and the result of `spec` in float64 over all `arrays`, which
    is needed only where the output is quantised.
    """
    if not spec.output.quantised and len(arrays) == 2:
        return found
    plain = in_reals(spec)
    given = match(plain, (), arrays)
    out_shape(plain, given)
    given = {name: real(name, array) for name, array in given.items()}
    given[spec.output.name] = reference(plain, **given)
    behind = {t.name: with_numbers(t.name, given[t.name]) for t in spec.tensors if _after(t)}
    made = {name: tensor_grid(spec.tensor(name), values, method, wishes, symmetric) for name, values in behind.items()}
    return replace(found, tensors=tuple(_with_grid(t, made[t.name]) if t.name in made else t for t in found.tensors))


def in_reals(spec: ConvSpec) -> ConvSpec:
    """The same convolution over f32 tensors: what its integers stand for."""

    def plain(t: Tensor) -> Tensor:
        return replace(t, dtype="f32", in_range=None, sparse=False, scale=None, zero=None)

    steps = {arg for step in spec.then for arg in step.args}
    tensors = tuple(plain(t) for t in spec.tensors if t.role != "param" or t.name in steps)
    return replace(spec, tensors=tensors, requantize=None, compute=None)


def tensor_grid(tensor: Tensor, values: NDArray[Any], method: str, wishes: Wishes, symmetric: bool) -> Grid:
    """One grid for a tensor: `mse` is that of its own numbers here, `power_of_two` the least step that clamps nothing."""
    ends = ends_of(tensor.dtype, tensor.in_range)
    if method == "percentile":
        return grid(*ranges.percentile(values, wishes.percentile, symmetric), ends, symmetric)
    low, high = ranges.minmax(values)
    made = grid(low, high, ends, symmetric)
    if method == "power_of_two":
        return with_step(2.0 ** np.ceil(np.log2(made.step)), low, high, ends, symmetric)
    return made if method == "minmax" else _least(values, low, high, ends, symmetric)


def _least(values: NDArray[Any], low: NDArray[Any], high: NDArray[Any], ends: Ends, symmetric: bool) -> Grid:
    """The range of least mean square error of the numbers themselves, among those of `methods.mse`."""

    def error(factor: float) -> float:
        made = grid(low * factor, high * factor, ends, symmetric)
        return float(np.mean(((stored(values, made, ends) - made.zero) * made.step - values) ** 2))

    best = 1.0
    for factors in (COARSE, FINE, FINE):
        best = min([best, *(best * f for f in factors)], key=error)
    return grid(low * best, high * best, ends, symmetric)


def _after(tensor: Tensor) -> bool:
    return tensor.role in ("output", "residual") and tensor.quantised


def _with_grid(tensor: Tensor, made: Grid) -> Tensor:
    return replace(tensor, scale=float(shortest(made.step)), zero=int(made.zero) or None)
