"""A convolution with its data: what every measurement of error, scales and zeros shares.

Sums over integers are exact, by compiled kernels of integer tensors: that is their definition on every target, and the
tests hold them against the reference. Where a kernel cannot be had (a transposed convolution) the reference does it, by
float64 products that are exact as long as no sum can leave 2^53 (`convjit.spec.exact`), else in halves of 16 bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convjit import dtypes
from convjit.errors import ConvError
from convjit.pipeline import Compilation
from convjit.spec import quantize
from convjit.spec.arguments import match, out_shape
from convjit.spec.conv import ConvSpec
from convjit.spec.reference import reference
from convjit.spec.tensor import Tensor
from convjit.spec.unsupported import refuse
from convjit.study.difference import Difference, difference
from convjit.targets import CALLABLES, machine_of

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
Sums = Callable[[Any, Any], NDArray[Any]]

WIDTHS = ("i8", "i16", "i32")
"""The integer types of input and weight that kernels are compiled for, from the narrowest."""

FEW = 2**16
"""As many products of two numbers of i8 stay within a sum of 32 bits: 2^16 2^14 = 2^30."""


@dataclass(frozen=True)
class Layer:
    """Input `x` and weight `w` as float32, in the order of axes that `spec` declares.

    `spec` is the sum alone, of f32 tensors: what follows it (bias, steps, `compute`, `requantize`) takes no part here.
    """

    spec: ConvSpec
    x: Floats
    w: Floats
    other: NDArray[np.float64] | None = None

    @cached_property
    def wanted(self) -> NDArray[np.float64]:
        """The sum in the output's order of axes, the reference of every error: in float64, or `other` where that is given."""
        return reference(self.spec, self.x, self.w) if self.other is None else self.other

    @cached_property
    def _kernels(self) -> dict[str, Sums]:
        return {}

    def sums(self, x: Integers, w: Integers) -> Integers:
        """The exact sums of integers of 32 bits at most, modulo 2^64, in the output's order of axes."""
        dtype = next(t for t in WIDTHS if _holds(t, x) and _holds(t, w))
        if dtype not in self._kernels:
            self._kernels[dtype] = exact_sums(self.spec, dtype)
        kind = dtypes.get(dtype).numpy
        return self._kernels[dtype](x.astype(kind), w.astype(kind)).astype(np.int64)

    def restored(self, x: Integers, w: Integers, scales: tuple[float, float]) -> Floats:
        """What `compute` gives for these integers: float32(sum) / float32(scale_x * scale_w)."""
        return quantize.to_real(self.sums(x, w), *scales)

    def difference(self, result: NDArray[Any]) -> Difference:
        """How far a result is from the sum in float64."""
        return difference(result, self.wanted)


def layer(spec: ConvSpec, x: Any, w: Any) -> Layer:
    """The convolution of a spec with real data for input and weight, in their declared shapes (open sizes are taken from
    the data). `ConvError` for shapes that do not fit, for NaN and infinity, and for tensors of zeros."""
    bare = with_types(spec, "f32", "f32")
    given = match(bare, (x, w), {})
    out_shape(bare, given)
    x, w = (with_numbers(t.name, real(t.name, given[t.name])) for t in (bare.input, bare.weight))
    return Layer(bare, x, w)


def with_types(spec: ConvSpec, factors: str, output: str) -> ConvSpec:
    """The sum of a spec alone, over an input and a weight of one type."""

    def plain(tensor: Tensor, dtype: str) -> Tensor:
        return Tensor(tensor.name, tensor.role, dtype, tensor.axes, tensor.sizes, span=tensor.span)

    tensors = plain(spec.input, factors), plain(spec.weight, factors), plain(spec.output, output)
    return replace(
        spec, tensors=tensors, then=(), dataflow="auto", algorithm="auto", error=None, compute=None, requantize=None,
        target=None, threads=None, places=(),
    )  # fmt: skip


def exact_sums(spec: ConvSpec, dtype: str) -> Sums:
    """What sums up integers of a type exactly: a compiled kernel, or the reference where there is none."""
    products = spec.ic_per_group * prod(spec.kernel_size)
    whole = with_types(spec, dtype, "i32" if dtype == "i8" and products <= FEW else "i64")
    try:
        refuse(whole)
        compilation = Compilation(whole, machine_of("cpu"))
        return CALLABLES[compilation.runner](compilation, None)
    except ConvError:
        return partial(reference, whole)


def _holds(dtype: str, values: Integers) -> bool:
    low, high = dtypes.limits(dtype)
    return bool(low <= values.min() and values.max() <= high)


def real(name: str, array: NDArray[Any]) -> Floats:
    """The array as float32. `ConvError` for what is no array of real numbers, and for NaN and infinity."""
    if array.dtype.kind not in "biuf" and array.dtype not in (t.numpy for t in dtypes.TYPES.values()):
        raise ConvError.of(f"The array '{name}' holds {array.dtype}, which are no real numbers.")
    with np.errstate(over="ignore"):
        values = np.ascontiguousarray(array, np.float32)
    finite = np.isfinite(values)
    if not finite.all():
        where = [int(i) for i in np.argwhere(~finite)[0]]
        text = f"The array '{name}' holds NaN or infinity (or numbers beyond float32), the first at {where}."
        raise ConvError.of(text, hint="Give data whose numbers are finite.")
    return values


def with_numbers(name: str, values: Floats) -> Floats:
    """The array, where a scale can be taken from it. `ConvError` where all of it is 0, or where there is nothing."""
    if not values.any():
        text = f"The array '{name}' holds {'nothing but zeros' if values.size else 'no numbers'}."
        raise ConvError.of(text, hint="Give data like those that the convolution will meet.")
    return values
