"""What a copy makes of a number: widened, less its zero point, moved between u8 and i8, quantised, or made f32."""

from __future__ import annotations

import numpy as np

from convjit import dtypes
from convjit.nest.affine import Affine
from convjit.nest.ir import Apply, Expr, Load, Number
from convjit.schedule.operands import TURNED, given_type
from convjit.spec.conv import ConvSpec
from convjit.spec.tensor import Tensor


def converted(spec: ConvSpec, tensor: Tensor, load: Load, as_type: str, channel: Affine) -> Expr:
    """The number that is multiplied in place of an element of the tensor; `channel` is the weight's output channel."""
    own = given_type(spec, tensor)
    value: Expr = load if own == tensor.dtype else computed(spec, tensor, load, own, channel)
    if as_type in ("", own):
        return value
    if TURNED.get(own) == as_type:
        return Apply("bitcast", (Apply("xor", (value, Number(sign(own), own)), own),), as_type)
    if own != tensor.dtype:
        return Apply("convert", (value,), as_type)
    return less_zero(tensor, Apply("convert", (load,), as_type), as_type, channel)


def sign(dtype: str) -> int:
    """The highest bit of a byte, as a number of the type."""
    return 128 if dtype == "u8" else -128


def less_zero(tensor: Tensor, value: Expr, dtype: str, channel: Affine) -> Expr:
    """Minus the zero point: a number, or one for each output channel."""
    if tensor.zero in (None, 0) or dtypes.is_float(dtype):
        return value
    if isinstance(tensor.zero, str):
        zero: Expr = Apply("convert", (Load(tensor.zero, (channel,)),), dtype)
    else:
        assert tensor.zero is not None
        zero = Number(tensor.zero, dtype)
    return Apply("sub", (value, zero), dtype)


def computed(spec: ConvSpec, tensor: Tensor, load: Load, dtype: str, channel: Affine) -> Expr:
    """`compute`: a float as a number of the type that multiplications run in."""
    clause = spec.compute
    if clause is None or not isinstance(clause.scales, tuple):
        return Apply("round_bf16" if dtype == "bf16" else "convert", (load,), dtype)
    given = clause.scales[0 if tensor.role == "input" else 1]
    scale = Load(given, (channel,)) if isinstance(given, str) else Number(float(np.float32(given)), "f32")
    scaled = Apply("mul", (load, scale), "f32")
    return Apply(f"quantize_{clause.round or 'half_even'}", (scaled,), dtype)
