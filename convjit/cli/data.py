"""Random data for the tensors that no file is given for.

Every tensor has a stream of its own, made from the seed and its name: giving one from a file does not change the others.
"""

from __future__ import annotations

import zlib
from math import prod, sqrt

import numpy as np

from convjit import dtypes
from convjit.cli.stored import Array, shape_of
from convjit.spec.arguments import vectors
from convjit.spec.conv import ConvSpec
from convjit.spec.tensor import Tensor


def make(spec: ConvSpec, tensor: Tensor, seed: int) -> Array:
    """Data for one tensor of a spec without open sizes, in its shape and type.

    Floats are normal, weights divided by the square root of the number of products in a sum, so that outputs are about
    as large as inputs. Integers are uniform over their promised range, or over that of their type. Scales are between
    0.5 and 1.5 (beside quantised tensors, divided by the largest value of their type). A vector that the program holds is
    taken from there.
    """
    if tensor.values:
        return vectors(spec)[tensor.name]
    stream = np.random.default_rng([seed, zlib.crc32(tensor.name.encode())])
    shape = shape_of(tensor)
    kind = dtypes.get(tensor.dtype).numpy
    if not dtypes.is_float(tensor.dtype):
        low, high = tensor.in_range or dtypes.limits(tensor.dtype)
        return stream.integers(low, high, shape, np.int64, endpoint=True).astype(kind)
    if tensor.role == "param":
        scale = 1 / 127 if spec.weight.scale == tensor.name else 1.0
        return (stream.uniform(0.5, 1.5, shape) * scale).astype(kind)
    spread = 1 / sqrt(spec.ic_per_group * prod(spec.kernel_size)) if tensor.role == "weight" else 1.0
    wide = np.float64 if tensor.dtype == "f64" else np.float32
    return (stream.standard_normal(shape, wide) * wide(spread)).astype(kind)
