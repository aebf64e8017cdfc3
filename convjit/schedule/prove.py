"""From the weights at hand to what a schedule may rely on: a certificate, and the proof that it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from convjit import dtypes
from convjit.schedule.density import Density, of_weight
from convjit.schedule.operands import multiplied
from convjit.schedule.parts import NONE, NOTHING, Proof, Room
from convjit.schedule.schedule import Pack
from convjit.spec.certificate import Certificate, certify
from convjit.spec.conv import ConvSpec
from convjit.spec.quantize import to_integers


def certificate(spec: ConvSpec, given: Mapping[str, Any]) -> Certificate | None:
    """Of the weight among the arrays given, with the bias and the zero points if they are there; None for floats, where
    something is lacking, and for arrays that NumPy cannot read (those of a GPU). `compute`: of the quantised weight."""
    integers = spec.computes_integers
    if spec.weight.name not in given or not (integers or not dtypes.is_float(spec.input.dtype)):
        return None
    arrays = {name: on_host(array) for name, array in given.items()}
    weight = arrays[spec.weight.name]
    if weight is None:
        return None
    if integers:
        return computed(spec, weight, arrays)
    zero = arrays.get(spec.weight.zero) if isinstance(spec.weight.zero, str) else None
    if isinstance(spec.weight.zero, str) and zero is None:
        return None
    bias = arrays.get(spec.bias.name) if spec.bias else None
    return certify(spec, weight, zero=zero, bias=bias)


def density(spec: ConvSpec, given: Mapping[str, Any]) -> Density | None:
    """Of the weight among the arrays given; None where it is not declared sparse, or cannot be read here."""
    tensor = spec.weight
    if not tensor.sparse or tensor.name not in given:
        return None
    weight, zero = on_host(given[tensor.name]), number(tensor.zero or 0, given)
    clause = spec.compute
    scale = number(clause.scales[1], given) if clause and isinstance(clause.scales, tuple) else 1.0
    if weight is None or zero is None or scale is None:
        return None
    return of_weight(spec, weight, zero, scale if clause and clause.scales else None)


def number(value: float | str, given: Mapping[str, Any]) -> Any:
    """A number, or the vector of that name; None where it is not there or cannot be read here."""
    if not isinstance(value, str):
        return value
    return on_host(given[value]) if value in given else None


def computed(spec: ConvSpec, weight: np.ndarray[Any, Any], arrays: Mapping[str, Any]) -> Certificate | None:
    """Of the integers that `compute` makes of the weight."""
    clause = spec.compute
    if clause is None or not isinstance(clause.scales, tuple):
        return None
    plain = multiplied(spec, (Pack(spec.input.name, (), clause.dtype), Pack(spec.weight.name, (), clause.dtype)))
    scale: Any = clause.scales[1]
    if isinstance(scale, str):
        if arrays.get(scale) is None:
            return None
        scale = arrays[scale].reshape([-1 if axis == "OC" else 1 for axis in spec.weight.axes])
    whole = to_integers(weight, scale, clause.dtype, clause.round or "half_even")
    return certify(plain, whole.astype(dtypes.get(clause.dtype).numpy))


HOST = (1, 3)
"""DLPack's numbers of memory that a processor reads: its own, and what is pinned for a GPU."""


def on_host(array: Any) -> np.ndarray[Any, Any] | None:
    """The array as NumPy's, without a copy; None where it lies elsewhere."""
    try:
        if hasattr(array, "__array__"):
            return np.asarray(array)
        there = array.__dlpack_device__()[0] if hasattr(array, "__dlpack_device__") else HOST[0]
        return np.from_dlpack(array) if there in HOST else None
    except (TypeError, ValueError, RuntimeError, BufferError):
        return None


def proof(found: Certificate | None, share: Density | None = None) -> Proof:
    """What the certificate proves of parts of sums, and of pairs of bytes; and how many weights are not 0."""
    if found is None:
        return replace(NOTHING, density=share)
    words, sums = found.words, found.sums
    i32 = Room(0, words.taps32 or 0, 2 * (words.chunk32 or 0)) if words else NONE
    f64 = i32 if words else Room(0, sums.taps54 or 0, 2 * (sums.chunk54 or 0))
    plain, turned = (view is not None and view.unsafe is not None and not any(view.unsafe)
                     for view in map(found.view, ("plain", "shifted")))  # fmt: skip
    return Proof(i32, f64, plain, turned, share)
