"""Real numbers as the integers of a quantised tensor, by the scale and the zero point that its spec holds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from convjit import dtypes
from convjit.errors import ConvError
from convjit.spec.conv import ConvSpec
from convjit.study.grid import Grid, stored
from convjit.study.layer import real
from convjit.study.scheme import ends_of


def integers(spec: ConvSpec, name: str, values: Any) -> NDArray[Any]:
    """clamp(rint(v / scale) + zero), quotient in float32 (ONNX's QuantizeLinear), as an array of the tensor's type.

    `values` stand in the tensor's declared order of axes. Raises `ConvError` where the tensor has no scale, where its vector
    of scales is not in the program, and for NaN and infinity.
    """
    tensor = next((t for t in spec.tensors if t.name == name), None)
    if tensor is None or not tensor.quantised:
        hint = f"Those with a scale are {', '.join(t.name for t in spec.tensors if t.quantised) or 'none'}."
        raise ConvError.of(f"'{spec.name}' has no quantised tensor '{name}'.", hint=hint)
    made = Grid(_numbers(spec, tensor.scale), _numbers(spec, tensor.zero or 0).astype(np.int64))
    axis = tensor.axes.index("OC") if "OC" in tensor.axes else None
    whole = stored(real(name, np.asarray(values)), made, ends_of(tensor.dtype, tensor.in_range), axis)
    return whole.astype(dtypes.get(tensor.dtype).numpy)


def _numbers(spec: ConvSpec, given: float | str | None) -> NDArray[np.float64]:
    if not isinstance(given, str):
        return np.asarray(given, np.float64)
    held = spec.tensor(given).values
    if not held:
        raise ConvError.of(f"The program does not hold the numbers of '{given}'.", spec.tensor(given).span)
    return np.asarray(held, np.float64)
