"""The words for types in the kernel: which there are, and how many bits a lane has."""

from __future__ import annotations

from functools import lru_cache

from convjit.kernel.ir import Type, element, lanes

BITS: dict[str, int] = {
    "i1": 1,
    "i8": 8,
    "u8": 8,
    "i16": 16,
    "u16": 16,
    "i32": 32,
    "u32": 32,
    "i64": 64,
    "f16": 16,
    "bf16": 16,
    "f32": 32,
    "f64": 64,
}
"""u8, u16 and u32 differ from i8, i16 and i32 in conversions and comparisons only."""
POINTERS = ("ptr", "ptr.global", "ptr.shared")
FLOATS = frozenset(("f16", "bf16", "f32", "f64"))
COMPUTED = frozenset(("f32", "f64"))
"""Floats that arithmetic is done in; f16 and bf16 are stored and converted."""
INTEGERS = frozenset(("i8", "u8", "i16", "u16", "i32", "u32", "i64"))
MOST_LANES = 64


@lru_cache(maxsize=1024)
def known(type: Type) -> bool:
    """Whether it is a type: a number, a vector of 2 to 64 of them, or a pointer."""
    if type in POINTERS or type in BITS:
        return True
    one, _, count = type.partition("x")
    return one in BITS and count.isdecimal() and 2 <= int(count) <= MOST_LANES and count[0] != "0"


def bits(type: Type) -> int:
    """Bits of one lane; a pointer has 64."""
    return BITS.get(element(type), 64)


def size(type: Type) -> int:
    """Bytes in memory."""
    return bits(type) * lanes(type) // 8
