"""Kernel types, numbers and names as LLVM writes them."""

from __future__ import annotations

import re
import struct
from functools import lru_cache

import ml_dtypes
import numpy as np

from convjit.errors import InternalError
from convjit.kernel.ir import Type, element, lanes

ELEMENTS: dict[str, str] = {
    "i1": "i1",
    "i8": "i8",
    "u8": "i8",
    "i16": "i16",
    "u16": "i16",
    "i32": "i32",
    "u32": "i32",
    "i64": "i64",
    "f16": "i16",  # short floats are moved as integers: LLVM selects and shuffles vectors of them through f32,
    "bf16": "i16",  # by calls of a library where the machine does not convert
    "f32": "float",
    "f64": "double",
    "ptr": "ptr",
    "ptr.global": "ptr addrspace(1)",
    "ptr.shared": "ptr addrspace(3)",
}


@lru_cache(maxsize=1024)
def llvm_type(type: Type) -> str:
    """ "f32x8" as `<8 x float>`."""
    one = ELEMENTS.get(element(type))
    if one is None:
        raise InternalError(f"LLVM has no type for '{type}'")
    return f"<{lanes(type)} x {one}>" if lanes(type) > 1 else one


@lru_cache(maxsize=1024)
def suffix(type: Type) -> str:
    """How an overloaded intrinsic's name ends: "v8f32", "i32", "p0"."""
    one = element(type)
    word = {"u8": "i8", "u16": "i16", "u32": "i32", "f16": "i16", "bf16": "i16"}.get(one, one)
    return f"v{lanes(type)}{word}" if lanes(type) > 1 else word


def literal(type: Type, value: float) -> str:
    """A number as a constant of that type, the same in every lane."""
    return _literal(type, value) if value else _written(type, value)  # 0.0 and -0.0 are one key


@lru_cache(maxsize=4096, typed=True)
def _literal(type: Type, value: float) -> str:
    return _written(type, value)


def _written(type: Type, value: float) -> str:
    text = scalar_literal(element(type), value)
    return f"splat ({ELEMENTS[element(type)]} {text})" if lanes(type) > 1 else text


def vector_literal(type: Type, values: tuple[float, ...]) -> str:
    """One number for each lane."""
    if len(values) != lanes(type):
        raise InternalError(f"{len(values)} numbers for a constant of type {type}")
    if len({(v, str(v)) for v in values}) == 1:
        return literal(type, values[0])
    one = element(type)
    return "<" + ", ".join(f"{ELEMENTS[one]} {scalar_literal(one, v)}" for v in values) + ">"


def scalar_literal(type: Type, value: float) -> str:
    """A number of a scalar type. Floats are written as bit patterns: of a double, 16-bit ones as integers."""
    if type in ("f32", "f64"):
        exact = float(np.float32(value)) if type == "f32" else float(value)
        return f"0x{struct.pack('>d', exact).hex().upper()}"
    if type in ("f16", "bf16"):
        return str(int(np.array(value, np.float16 if type == "f16" else ml_dtypes.bfloat16).view(np.int16)))
    whole = int(value)
    if whole != value or type.startswith("ptr"):
        raise InternalError(f"{value!r} is not a number of type {type}")
    if type == "i1":
        return "true" if whole else "false"
    bits = int(type[1:])
    if not -(1 << bits - 1) <= whole < 1 << bits:
        raise InternalError(f"{value!r} does not fit into {type}")
    return str(whole - (1 << bits) if whole >= 1 << bits - 1 else whole)


_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")


def value_name(name: str) -> str:
    """A kernel value's name in LLVM: "%7" is `%.7` (a bare number would have to count up), "%oh.begin" stays.

    `verify` has seen to it that the name holds nothing but letters, digits, dots and underscores.
    """
    first = name[1]
    return name if first.isalpha() or first == "_" else f"%.{name[1:]}"


def symbol_name(name: str) -> str:
    """A function's name with its `@`."""
    return f"@{name}" if _PLAIN.fullmatch(name) else f'@"{name}"'


def entry_name(name: str) -> str:
    """What a GPU kernel is called in PTX, whose names have no dots: "res2a.pack" is `res2a$pack`."""
    plain = name.replace(".", "$")
    return f"{plain}$" if plain in ("_", "WARP_SZ") else plain
