"""The arithmetic of the report that this project grew from, where it is not that of this study.

Its reference is the convolution in float32, one product added after the other, input channels outermost, then the kernel's
rows and columns. Its mean square error is a float32 sum over all outputs, in order. Both have errors of their own, which
some of its figures show.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convjit.spec import layout
from convjit.study.layer import Layer

Floats = NDArray[np.float32]


def in_sequence(data: Layer) -> Floats:
    """The convolution (of stride and dilation 1, in one group) in float32, one product after the other."""
    spec = data.spec
    x = np.moveaxis(data.x, [spec.input.axes.index(a) for a in ("N", *spec.spatial, "C")], range(data.x.ndim))
    w = np.moveaxis(data.w, [spec.weight.axes.index(a) for a in (*layout.kernel_axes(spec.spatial), "IC", "OC")], range(data.w.ndim))
    padded = np.pad(x, [(0, 0), *spec.pad, (0, 0)])
    out = [size + sum(pad) - k + 1 for size, pad, k in zip(x.shape[1:-1], spec.pad, spec.kernel_size, strict=True)]
    total = np.zeros((x.shape[0], *out, spec.out_channels), np.float32)
    for c, *tap in product(range(spec.in_channels), *map(range, spec.kernel_size)):
        window = tuple(slice(k, k + size) for k, size in zip(tap, out, strict=True))
        total += padded[(slice(None), *window, c, None)] * w[(*tap, c)]
    order = ("N", *layout.output_axes(spec.spatial), "OC")
    return np.ascontiguousarray(total.transpose(layout.permutation(order, spec.output.axes)))


def nrmse_in_float32(result: NDArray[Any], wanted: Floats) -> float:
    """sqrt(mean((y - ref)^2)) / (max(ref) - min(ref)) with every operation in float32, the sum in order."""
    gap = (result.astype(np.float32) - wanted).ravel()
    total = np.add.accumulate(gap * gap, dtype=np.float32)[-1]
    return float(np.sqrt(total / np.float32(gap.size)) / (wanted.max() - wanted.min()))
