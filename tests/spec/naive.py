"""The convolution again, written as its formula: loops over everything, exact rational arithmetic by Python's ints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convjit import dtypes
from convjit.spec.conv import ConvSpec

Array = NDArray[Any]


def indices(*sizes: int) -> Iterator[tuple[int, ...]]:
    """All index tuples below the sizes."""
    return product(*map(range, sizes))


def at(array: Array, axes: tuple[str, ...], **where: int) -> Any:
    """The element at an index for each axis by name."""
    return array[tuple(where[axis] for axis in axes)]


def convolve(spec: ConvSpec, x: Array, w: Array, out: tuple[int, ...], zeros: tuple[int, int] = (0, 0)) -> Array:
    """The sums alone, in the output's order of axes, as Python numbers (int or float).

    y[n, o, oc] = sum x[n, o stride + k dilation - pad, g IC + ic] w[oc, k, ic]; transposed, with i for o and y for x.
    """
    sizes = dict(zip(spec.input.axes, x.shape, strict=True))
    oc_size, ic_size = spec.out_channels, spec.ic_per_group
    space = tuple(sizes[a] for a in spec.spatial)
    extent = dict(zip((f"O{a}" for a in spec.spatial), out, strict=True)) | {"N": sizes["N"], "OC": oc_size}
    y = np.zeros([extent[a] for a in spec.output.axes], object)
    steps = space if spec.transposed else out
    for n, oc, ic in indices(sizes["N"], oc_size, ic_size):
        c = oc // spec.oc_per_group * ic_size + ic
        for place, tap in product(indices(*steps), indices(*spec.kernel_size)):
            moved = tuple(
                p * s + k * d - low
                for p, s, k, d, (low, _) in zip(place, spec.stride, tap, spec.dilation, spec.pad, strict=True)
            )
            source, target = (place, moved) if spec.transposed else (moved, place)
            bounds = out if spec.transposed else space
            if not all(0 <= m < size for m, size in zip(moved, bounds, strict=True)):
                continue
            value = at(x, spec.input.axes, N=n, C=c, **dict(zip(spec.spatial, source, strict=True))).item()
            kernel = {f"K{a}": k for a, k in zip(spec.spatial, tap, strict=True)}
            factor = at(w, spec.weight.axes, OC=oc, IC=ic, **kernel).item()
            where = {"N": n, "OC": oc} | {f"O{a}": t for a, t in zip(spec.spatial, target, strict=True)}
            y[tuple(where[a] for a in spec.output.axes)] += (value - zeros[0]) * (factor - zeros[1])
    return y


def random_arrays(spec: ConvSpec, r: np.random.Generator, whole: bool = False) -> dict[str, Array]:
    """An array for each argument; open sizes are drawn alike for all, and large enough for the kernel."""
    sizes = {axis: int(r.integers(9, 12)) for axis in spec.open_sizes}
    outs = open_outputs(spec, sizes)
    arrays = {}
    for tensor in spec.arguments:
        pairs = zip(tensor.axes, tensor.sizes, strict=True)
        shape = tuple((sizes | outs)[a] if s is None else s for a, s in pairs)
        arrays[tensor.name] = _values(tensor.dtype, shape, r, whole)
    return arrays


def _values(dtype: str, shape: tuple[int, ...], r: np.random.Generator, whole: bool) -> Array:
    kind = dtypes.get(dtype)
    if kind.kind == "float":
        values = r.integers(-4, 5, shape) if whole else r.standard_normal(shape)
        return values.astype(kind.numpy)
    low, high = dtypes.limits(dtype)
    return r.integers(low, high, shape, endpoint=True, dtype=np.int64).astype(kind.numpy)


def open_outputs(spec: ConvSpec, sizes: Mapping[str, int]) -> dict[str, int]:
    """The output sizes that follow from the drawn input sizes."""
    found = {}
    for axis, k, s, d, (low, high) in zip(
        spec.spatial, spec.kernel_size, spec.stride, spec.dilation, spec.pad, strict=True
    ):
        if axis in sizes:
            span, size = d * (k - 1) + 1, sizes[axis]
            found["O" + axis] = (
                s * (size - 1) + span - low - high if spec.transposed else (size + low + high - span) // s + 1
            )
    return found
