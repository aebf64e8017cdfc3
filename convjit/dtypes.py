"""The number types of the language."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

from convjit.errors import ConvError, InternalError, did_you_mean
from convjit.source import Span


@dataclass(frozen=True)
class DType:
    """A number type: its name in the language, its bits in memory, and "float", "int" or "uint"."""

    name: str
    bits: int
    kind: str

    @property
    def numpy(self) -> np.dtype[Any]:
        """The NumPy type of an array's elements (from `ml_dtypes` where NumPy has none)."""
        return _NUMPY[self.name]


TYPES: dict[str, DType] = {
    t.name: t
    for t in (
        DType("f64", 64, "float"),
        DType("f32", 32, "float"),
        DType("f16", 16, "float"),
        DType("bf16", 16, "float"),
        DType("f8e4m3", 8, "float"),
        DType("f8e5m2", 8, "float"),
        DType("i64", 64, "int"),
        DType("i32", 32, "int"),
        DType("i16", 16, "int"),
        DType("i8", 8, "int"),
        DType("i4", 4, "int"),
        DType("u8", 8, "uint"),
        DType("u4", 4, "uint"),
    )
}

_NUMPY: dict[str, np.dtype[Any]] = {
    "f64": np.dtype(np.float64),
    "f32": np.dtype(np.float32),
    "f16": np.dtype(np.float16),
    "bf16": np.dtype(ml_dtypes.bfloat16),
    "f8e4m3": np.dtype(ml_dtypes.float8_e4m3fn),
    "f8e5m2": np.dtype(ml_dtypes.float8_e5m2),
    "i64": np.dtype(np.int64),
    "i32": np.dtype(np.int32),
    "i16": np.dtype(np.int16),
    "i8": np.dtype(np.int8),
    "i4": np.dtype(ml_dtypes.int4),
    "u8": np.dtype(np.uint8),
    "u4": np.dtype(ml_dtypes.uint4),
}


def get(name: str, span: Span | None = None) -> DType:
    """The type of that name; `ConvError`, placed at `span`, when there is none."""
    if name in TYPES:
        return TYPES[name]
    raise ConvError.of(
        f"Unknown type '{name}'.",
        span,
        "not a type",
        note=f"The types are {' '.join(TYPES)}.",
        hint=did_you_mean(name, TYPES),
    )


def bits(name: str) -> int:
    """Bits of one element in memory."""
    return get(name).bits


def is_float(name: str) -> bool:
    """Whether it is one of the floating-point types."""
    return get(name).kind == "float"


def is_signed(name: str) -> bool:
    """Whether it holds negative numbers."""
    return get(name).kind != "uint"


def fitting(value: float, name: str) -> float:
    """The number, or the end of the integer type beyond which it lies."""
    if is_float(name):
        return value
    low, high = limits(name)
    return min(max(value, low), high)


def limits(name: str) -> tuple[int, int]:
    """Least and greatest value of an integer type."""
    dtype = get(name)
    if dtype.kind == "float":
        raise InternalError(f"limits of {name}: only integer types have them")
    if dtype.kind == "uint":
        return 0, 2**dtype.bits - 1
    return -(2 ** (dtype.bits - 1)), 2 ** (dtype.bits - 1) - 1
