"""The inputs of a call, checked against what the model declares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from convjit.errors import ConvError, did_you_mean
from convjit.front.arithmetic import Array
from convjit.front.onnx.graph import Graph
from convjit.front.onnx.packages import onnx

Inputs = Mapping[str, Array] | Sequence[Array] | Array
"""By name, in the model's order, or alone."""


def named(graph: Graph, inputs: Inputs) -> dict[str, Any]:
    """The inputs by name. `ConvError` where one is missing, unknown, of another type or of a shape that the model rules out."""
    names = [value.name for value in graph.inputs]
    if isinstance(inputs, Mapping):
        given = dict(inputs)
    else:
        several: list[Any] = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
        if len(several) != len(names):
            raise ConvError.of(f"The model has {len(names)} inputs, {len(several)} were given.", note=_list(names))
        given = dict(zip(names, several, strict=True))
    _complete(given, names)
    return {value.name: _fitting(value, given[value.name]) for value in graph.inputs}


def _complete(given: Mapping[str, object], names: Sequence[str]) -> None:
    strange = [name for name in given if name not in names]
    if strange:
        raise ConvError.of(f"The model has no input '{strange[0]}'.", note=_list(names), hint=did_you_mean(strange[0], names))
    missing = [name for name in names if name not in given]
    if missing:
        raise ConvError.of(f"The model's input '{missing[0]}' is not given.", note=_list(names))


def _fitting(value: Any, array: Any) -> Any:
    """The input as an array of the declared type."""
    if not value.type.HasField("tensor_type"):
        return array
    array, tensor = np.asarray(array), value.type.tensor_type
    dtype = np.dtype(onnx("helper").tensor_dtype_to_np_dtype(tensor.elem_type))
    if array.dtype != dtype and dtype.kind != "O":
        hint = f"{value.name}.astype('{dtype}') converts it."
        raise ConvError.of(f"The model's input '{value.name}' is {dtype}, the array given {array.dtype}.", hint=hint)
    if tensor.HasField("shape") and not _matches(tensor.shape.dim, array.shape):
        raise ConvError.of(f"The model's input '{value.name}' is {_shape(tensor.shape.dim)}, the array given {list(array.shape)}.")
    return array


def _matches(declared: Sequence[Any], shape: Sequence[int]) -> bool:
    if len(declared) != len(shape):
        return False
    return all(not d.HasField("dim_value") or d.dim_value in (size, -1) for d, size in zip(declared, shape, strict=True))


def _shape(declared: Sequence[Any]) -> str:
    """`[N, 3, ?, 64]`"""
    known = (str(d.dim_value) if d.HasField("dim_value") and d.dim_value != -1 else d.dim_param or "?" for d in declared)
    return f"[{', '.join(known)}]"


def _list(names: Sequence[str]) -> str:
    return f"The inputs are {', '.join(names)}." if names else "The model has no inputs."
