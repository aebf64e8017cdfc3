"""The arrays of a call beside the tensors of a spec: every one there, each in its shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convjit import dtypes
from convjit.errors import ConvError
from convjit.spec import geometry
from convjit.spec.conv import ConvSpec

Arrays = dict[str, NDArray[Any]]


def vectors(spec: ConvSpec) -> Arrays:
    """The vectors that the program holds itself, by name: those that a call takes where it is given no others."""
    return {t.name: np.array(t.values, dtypes.get(t.dtype).numpy) for t in spec.params if t.values}


def match(spec: ConvSpec, arrays: tuple[Any, ...], named: Mapping[str, Any]) -> Arrays:
    """Arrays by tensor name, from positions in order of declaration and names. Vectors that the program holds are given
    by name or not at all."""
    held = vectors(spec)
    names = [tensor.name for tensor in spec.arguments if tensor.name not in held]
    first = names[: len(arrays)]
    given = held | dict(zip(first, arrays, strict=False)) | dict(named)
    if len(arrays) > len(names) or set(named) & set(first) or set(given) != {*names, *held}:
        raise ConvError.of(
            f"The convolution '{spec.name}' takes {', '.join(names)}; "
            f"given were {len(arrays)} by position and {', '.join(sorted(named)) or 'none'} by name."
        )
    return {name: np.asarray(array) for name, array in given.items()}


def out_shape(spec: ConvSpec, given: Arrays) -> tuple[int, ...]:
    """The output's size along space; `ConvError` when the arrays do not have the sizes of the spec."""
    known = _sizes(spec, given)
    formula = geometry.transposed_out_size if spec.transposed else geometry.out_size
    kernel = zip(spec.kernel_size, spec.stride, spec.dilation, spec.pad, strict=True)
    follows = [formula(known[a], k, s, d, p) for a, (k, s, d, p) in zip(spec.spatial, kernel, strict=True)]
    out = tuple(size or follow for size, follow in zip(spec.out_size, follows, strict=True))
    for axis, size in zip(spec.spatial, out, strict=True):
        if size < 1 or known.get("O" + axis, size) != size:
            raise ConvError.of(f"The arrays' sizes give an output of {size} along O{axis}, which cannot be.")
    return out


def _sizes(spec: ConvSpec, given: Arrays) -> dict[str, int]:
    """The size of every axis, where all arrays agree with the spec and with one another."""
    known: dict[str, int] = {}
    for tensor in spec.arguments:
        shape = given[tensor.name].shape
        pairs = list(zip(tensor.axes, tensor.sizes, strict=True))
        wanted = [known.get(axis) if size is None else size for axis, size in pairs]
        if len(shape) != len(pairs) or any(w is not None and w != s for w, s in zip(wanted, shape, strict=True)):
            text = ", ".join(f"{a}={'?' if w is None else w}" for (a, _), w in zip(pairs, wanted, strict=True))
            raise ConvError.of(f"The array '{tensor.name}' has the shape {shape}; wanted is ({text}).")
        known |= dict(zip(tensor.axes, shape, strict=True))
    return known
