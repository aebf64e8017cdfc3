"""Rows that multiply bf16 and add up in f32, with the bits of VDPBF16PS on every CPU.

The instruction (`bf16_dot_product` is its definition) flushes denormal operands and results. Elsewhere the same is done
by fused multiply-adds, or in f64 where there are none. Those rows leave denormal operands alone: packing has flushed them,
and no row gives one.
"""

from __future__ import annotations

from functools import partial

from convjit.machine.machine import Row
from convjit.machine.meaning import bf16_dot_product, bf16_multiply_add

TYPES = ("bf16", "bf16", "f32")
HIGH = -(2**16)
SIGN = -(2**31)
WIDE = "0x43F0000000000000"
"""2^64: scaled by it, a number that is denormal in f32 has all its bits, and is rounded as if its exponent were free."""
LEAST_WIDE = "0x3C10000000000000"
"""2^-126, scaled."""
LEAST_EXACT = "0x380FFFFFF0000000"
"""2^-126 - 2^-151: what is smaller rounds to no normal f32."""


def _vector(word: str, n: int) -> str:
    return f"<{n} x {word}>" if n > 1 else word


def _every(word: str, n: int, number: int | str) -> str:
    """A constant operand."""
    return f"splat ({word} {number})" if n > 1 else f"{number}"


def native(*lanes: int) -> tuple[Row, ...]:
    """VDPBF16PS in vectors of 4, 8 or 16 sums; one sum takes a lane of four."""
    return tuple(_native(n) for n in lanes)


def _native(n: int) -> Row:
    width = max(n, 4)
    words, total, parts = f"<{width} x i32>", f"<{width} x float>", f"<{2 * width} x bfloat>"
    function = f"@llvm.x86.avx512bf16.dpbf16ps.{32 * width}"
    a, b, acc, out = "{a}", "{b}", "{acc}", "{out}"
    code: list[str] = []
    if n == 1:
        for name, type_, one in (("{a}", words, "i32"), ("{b}", words, "i32"), ("{acc}", total, "float")):
            code.append(f"{{t}}{name[1:-1]}v = insertelement {type_} zeroinitializer, {one} {name}, i32 0")
        a, b, acc, out = "{t}av", "{t}bv", "{t}accv", "{t}r"
    code += [
        f"{{t}}x = bitcast {words} {a} to {parts}",
        f"{{t}}w = bitcast {words} {b} to {parts}",
        f"{out} = call {total} {function}({total} {acc}, {parts} {{t}}x, {parts} {{t}}w)",
    ]
    code += [f"{{out}} = extractelement {total} {{t}}r, i32 0"] if n == 1 else []
    declare = (f"declare {total} {function}({total}, {parts}, {parts})",)
    return _dot(n, tuple(code), declare, "avx512bf16", flush=True)


def fused(*lanes: int, alone: bool = True) -> tuple[Row, ...]:
    """By fused multiply-adds. `alone`: one product for each sum; else two."""
    return tuple((_fused_one if alone else _fused_two)(n) for n in lanes)


def _fused_one(n: int) -> Row:
    code = (*_widened("{a}", "x", n), *_widened("{b}", "w", n), *_fused_step("{t}x", "{t}w", "{acc}", "{out}", "p", n))
    return _single(n, code, (_fma(n)[1],), "fma")


def _fused_two(n: int) -> Row:
    code = (
        *_halves("{a}", "x", n), *_halves("{b}", "w", n),
        *_fused_step("{t}xh", "{t}wh", "{acc}", "{t}s", "p", n), *_fused_step("{t}xl", "{t}wl", "{t}s", "{out}", "q", n),
    )  # fmt: skip
    return _dot(n, code, (_fma(n)[1],), "fma", flush=False)


def _fma(n: int) -> tuple[str, str]:
    """LLVM's function, and its declaration."""
    real, name = _vector("float", n), f"@llvm.fma.{f'v{n}' if n > 1 else ''}f32"
    return name, f"declare {real} {name}({real}, {real}, {real})"


def _fused_step(x: str, w: str, acc: str, out: str, tag: str, n: int) -> tuple[str, ...]:
    """out = x w + acc, and 0 with its sign where that is denormal: a second product, scaled, tells after rounding."""
    real, whole, mask = (_vector(word, n) for word in ("float", "i32", "i1"))
    t, (function, _) = f"{{t}}{tag}", _fma(n)
    return (
        f"{t}1 = fmul {real} {x}, {_every('float', n, WIDE)}",
        f"{t}2 = fmul {real} {acc}, {_every('float', n, WIDE)}",
        f"{t}3 = call {real} {function}({real} {t}1, {real} {w}, {real} {t}2)",
        f"{t}4 = bitcast {real} {t}3 to {whole}",
        f"{t}5 = and {whole} {t}4, {_every('i32', n, 2**31 - 1)}",
        f"{t}6 = bitcast {whole} {t}5 to {real}",
        f"{t}7 = fcmp olt {real} {t}6, {_every('float', n, LEAST_WIDE)}",
        f"{t}8 = and {whole} {t}4, {_every('i32', n, SIGN)}",
        f"{t}9 = bitcast {whole} {t}8 to {real}",
        f"{t}0 = call {real} {function}({real} {x}, {real} {w}, {real} {acc})",
        f"{out} = select {mask} {t}7, {real} {t}9, {real} {t}0",
    )


def in_double(alone: bool = True) -> Row:
    """Number by number in f64, where products are exact."""
    if alone:
        code = (*_widened("{a}", "x", 1), *_widened("{b}", "w", 1), *_double_step("{t}x", "{t}w", "{acc}", "{out}", "p"))
        return _single(1, code, (), "")
    code = (
        *_halves("{a}", "x", 1), *_halves("{b}", "w", 1),
        *_double_step("{t}xh", "{t}wh", "{acc}", "{t}s", "p"), *_double_step("{t}xl", "{t}wl", "{t}s", "{out}", "q"),
    )  # fmt: skip
    return _dot(1, code, (), "", flush=False)


def _double_step(x: str, w: str, acc: str, out: str, tag: str) -> tuple[str, ...]:
    """Rounded in f64 and again to f32, which is as if once: f64 rounds only where one of the two is less than 2^-28 of the
    other, and a sum next to a number of 16 bits, or of 24, lies far from a tie of f32 and from 2^-126 - 2^-151."""
    t = f"{{t}}{tag}"
    return (
        f"{t}x = fpext float {x} to double",
        f"{t}w = fpext float {w} to double",
        f"{t}c = fpext float {acc} to double",
        f"{t}p = fmul double {t}x, {t}w",
        f"{t}s = fadd double {t}p, {t}c",
        f"{t}i = bitcast double {t}s to i64",
        f"{t}j = and i64 {t}i, 9223372036854775807",
        f"{t}k = bitcast i64 {t}j to double",
        f"{t}l = fcmp olt double {t}k, {LEAST_EXACT}",
        f"{t}m = fptrunc double {t}s to float",
        f"{t}n = bitcast float {t}m to i32",
        f"{t}o = and i32 {t}n, {SIGN}",
        f"{t}q = bitcast i32 {t}o to float",
        f"{out} = select i1 {t}l, float {t}q, float {t}m",
    )


def _widened(value: str, name: str, n: int) -> tuple[str, ...]:
    """bf16 as f32: the same bits above, zeros below."""
    half, whole = _vector("i16", n), _vector("i32", n)
    return (
        f"{{t}}{name}z = zext {half} {value} to {whole}",
        f"{{t}}{name}i = shl {whole} {{t}}{name}z, {_every('i32', n, 16)}",
        f"{{t}}{name} = bitcast {whole} {{t}}{name}i to {_vector('float', n)}",
    )


def _halves(value: str, name: str, n: int) -> tuple[str, ...]:
    """The two bf16 in each 32 bits as f32."""
    whole, real = _vector("i32", n), _vector("float", n)
    return (
        f"{{t}}{name}u = and {whole} {value}, {_every('i32', n, HIGH)}",
        f"{{t}}{name}h = bitcast {whole} {{t}}{name}u to {real}",
        f"{{t}}{name}d = shl {whole} {value}, {_every('i32', n, 16)}",
        f"{{t}}{name}l = bitcast {whole} {{t}}{name}d to {real}",
    )


def _several(word: str, n: int) -> str:
    return f"{word}x{n}" if n > 1 else word


def _dot(n: int, code: tuple[str, ...], declare: tuple[str, ...], feature: str, flush: bool) -> Row:
    meaning, pairs = partial(bf16_dot_product, flush), _several("i32", n)
    return Row("dot_bf16", TYPES, (("n", n), ("k", 2)), (pairs, pairs, _several("f32", n)), code, meaning, declare, feature)


def _single(n: int, code: tuple[str, ...], declare: tuple[str, ...], feature: str) -> Row:
    one = _several("bf16", n)
    return Row("fma_bf16", TYPES, (("n", n),), (one, one, _several("f32", n)), code, bf16_multiply_add, declare, feature)
