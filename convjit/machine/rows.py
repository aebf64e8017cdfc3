"""Instruction rows that several machines share. A row is data; `kernel.select` finds it, nobody else reads it."""

from __future__ import annotations

from functools import partial

from convjit.dtypes import bits, is_signed
from convjit.machine.machine import Row
from convjit.machine.meaning import (
    dot_product,
    fused_multiply_add,
    integer_multiply_add,
    multiply_halves,
    multiply_then_add,
    saturating_dot_product,
)

LLVM = {"f32": "float", "f64": "double"}


def _kernel(dtype: str, n: int) -> str:
    return f"{dtype}x{n}" if n > 1 else dtype


def _llvm(word: str, n: int) -> str:
    return f"<{n} x {word}>" if n > 1 else word


def _widen(dtype: str) -> str:
    return "sext" if is_signed(dtype) else "zext"


def fma(dtype: str, *lanes: int, feature: str = "") -> tuple[Row, ...]:
    """Fused multiply-add: a row for each number of lanes."""
    return tuple(_fma(dtype, n, feature) for n in lanes)


def _fma(dtype: str, n: int, feature: str) -> Row:
    kernel, text = _kernel(dtype, n), _llvm(LLVM[dtype], n)
    function = f"@llvm.fma.{f'v{n}' if n > 1 else ''}{dtype}"
    return Row(
        name="fma",
        types=(dtype, dtype, dtype),
        roles=(("n", n),),
        operands=(kernel, kernel, kernel),
        code=(f"{{out}} = call {text} {function}({text} {{a}}, {text} {{b}}, {text} {{acc}})",),
        meaning=fused_multiply_add,
        declare=(f"declare {text} {function}({text}, {text}, {text})",),
        feature=feature,
    )


def unfused(dtype: str) -> Row:
    """Multiply, then add, for machines without a fused instruction; LLVM does not contract them."""
    text = LLVM[dtype]
    return Row(
        name="fma",
        types=(dtype, dtype, dtype),
        roles=(("n", 1),),
        operands=(dtype, dtype, dtype),
        code=(f"{{t}} = fmul {text} {{a}}, {{b}}", f"{{out}} = fadd {text} {{t}}, {{acc}}"),
        meaning=multiply_then_add,
    )


EXACT: tuple[tuple[str, str, str], ...] = (
    *((x, w, acc) for x in ("u8", "i8") for w in ("i8", "u8") for acc in ("i32", "i64")),
    *(("i16", w, acc) for w in ("i16", "i8") for acc in ("i64", "i32")),
    ("i32", "i32", "i64"),
)
"""Input, weight and sum of every convolution of integers; sums are modulo 2^32 or 2^64."""


def mad(width: int = 0, feature: str = "") -> tuple[Row, ...]:
    """Multiply and add of integers, a product in each lane of vectors whose sums have so many bits (0: numbers). Nothing
    saturates, so these serve where nothing is known of the values."""
    return tuple(_mad(x, w, acc, max(width // bits(acc), 1), feature) for x, w, acc in EXACT)


def halves(lanes: int, feature: str) -> tuple[Row, ...]:
    """Products of the lower halves of 64-bit lanes (vpmuldq), for i32 that is packed as i64: read without a shuffle. The
    shifts say what the upper halves are, and cost nothing."""
    text, by = f"<{lanes} x i64>", "splat (i64 32)"
    code = [line for v, name in (("{a}", "x"), ("{b}", "w")) for line in
            (f"{{t}}{name}u = shl {text} {v}, {by}", f"{{t}}{name} = ashr {text} {{t}}{name}u, {by}")]  # fmt: skip
    code += [f"{{t}}p = mul {text} {{t}}x, {{t}}w", f"{{out}} = add {text} {{t}}p, {{acc}}"]
    row = Row(
        name="mad_halves",
        spare=1,
        types=("i64", "i64", "i64"),
        roles=(("n", lanes),),
        operands=(f"i64x{lanes}",) * 3,
        code=tuple(code),
        meaning=multiply_halves,
        feature=feature,
    )
    return (row,)


def pairs(lanes: int, function: str, feature: str) -> tuple[Row, ...]:
    """Two products for each 32-bit sum (vpmaddwd): of 16-bit numbers, or of 8-bit ones made wider."""
    pairs_ = [(x, w) for x, w, acc in EXACT if acc == "i32"]
    return tuple(_pair(x, w, lanes, function, feature) for x, w in pairs_)


def vnni(lanes: int, feature: str) -> tuple[Row, ...]:
    """Four products of bytes (vpdpbusd), or two of 16-bit numbers (vpdpwssd), for each 32-bit sum, with the addition. The
    bytes of one factor are unsigned: it may be either."""
    bytes_ = f"llvm.x86.avx512.vpdpbusd.{32 * lanes}"
    return (
        _vnni("dot_u8_i8", ("u8", "i8"), lanes, bytes_, feature),
        _vnni("dot_i8_u8", ("i8", "u8"), lanes, bytes_, feature),
        _vnni("dot_i16_i16", ("i16", "i16"), lanes, f"llvm.x86.avx512.vpdpwssd.{32 * lanes}", feature),
    )


def _vnni(name: str, types: tuple[str, str], n: int, function: str, feature: str) -> Row:
    one = bits(types[0])
    total, parts = f"<{n} x i32>", f"<{n * 32 // one} x i{one}>"
    first, second = ("x", "w") if types[1] != "u8" else ("w", "x")
    return Row(
        name=name,
        types=(*types, "i32"),
        roles=(("n", n), ("k", 32 // one)),
        operands=(f"i32x{n}",) * 3,
        code=(
            f"{{t}}x = bitcast {total} {{a}} to {parts}",
            f"{{t}}w = bitcast {total} {{b}} to {parts}",
            f"{{out}} = call {total} @{function}({total} {{acc}}, {parts} {{t}}{first}, {parts} {{t}}{second})",
        ),
        meaning=partial(dot_product, types),
        declare=(f"declare {total} @{function}({total}, {parts}, {parts})",),
        feature=feature,
    )


def quads(lanes: int, pairs: str, words: str, feature: str) -> tuple[Row, ...]:
    """Four products of bytes for each 32-bit sum where there is no vpdpbusd: two and two by vpmaddubsw, which saturates to
    16 bits, the two sums by vpmaddwd with ones. Exact only where no pair saturates."""
    return tuple(_quad(types, lanes, pairs, words, feature) for types in (("u8", "i8"), ("i8", "u8")))


def _quad(types: tuple[str, str], n: int, pairs: str, words: str, feature: str) -> Row:
    total, wide, narrow = f"<{n} x i32>", f"<{2 * n} x i16>", f"<{4 * n} x i8>"
    first, second = ("x", "w") if types[0] == "u8" else ("w", "x")
    ones = f"<{', '.join(['i16 1'] * (2 * n))}>"
    return Row(
        name=f"quad_{types[0]}_{types[1]}",
        types=(*types, "i32"),
        roles=(("n", n), ("k", 4)),
        operands=(f"i32x{n}",) * 3,
        code=(
            f"{{t}}x = bitcast {total} {{a}} to {narrow}",
            f"{{t}}w = bitcast {total} {{b}} to {narrow}",
            f"{{t}}p = call {wide} @{pairs}({narrow} {{t}}{first}, {narrow} {{t}}{second})",
            f"{{t}}s = call {total} @{words}({wide} {{t}}p, {wide} {ones})",
            f"{{out}} = add {total} {{t}}s, {{acc}}",
        ),
        spare=2,
        meaning=partial(saturating_dot_product, types),
        declare=(f"declare {wide} @{pairs}({narrow}, {narrow})", f"declare {total} @{words}({wide}, {wide})"),
        feature=feature,
        proof="pairs",
    )


def dp4a() -> tuple[Row, ...]:
    """Four products of bytes, signed or not each on its own, for one 32-bit sum, modulo 2^32: dp4a of NVIDIA GPUs
    (PTX ISA, "Integer Arithmetic Instructions: dp4a": sm_61, PTX 5.0)."""
    return tuple(_dp4a(x, w) for x in ("u8", "i8") for w in ("i8", "u8"))


def _dp4a(x: str, w: str) -> Row:
    function = f"@llvm.nvvm.idp4a.{_sign(x)}.{_sign(w)}"
    return Row(
        name=f"dp4a_{x}_{w}",
        types=(x, w, "i32"),
        roles=(("n", 1), ("k", 4)),
        operands=("i32", "i32", "i32"),
        code=(f"{{out}} = call i32 {function}(i32 {{a}}, i32 {{b}}, i32 {{acc}})",),
        meaning=partial(dot_product, (x, w)),
        declare=(f"declare i32 {function}(i32, i32, i32)",),
        sm=61,
        ptx=50,
    )


def _sign(dtype: str) -> str:
    return "s" if is_signed(dtype) else "u"


def _pair(x: str, w: str, n: int, function: str, feature: str) -> Row:
    wide = f"<{2 * n} x i16>"

    def halves(value: str, name: str, dtype: str) -> list[str]:
        if bits(dtype) == 16:
            return [f"{{t}}{name} = bitcast <{n} x i32> {value} to {wide}"]
        narrow = f"<{2 * n} x i8>"
        return [
            f"{{t}}{name}8 = bitcast <{n} x i16> {value} to {narrow}",
            f"{{t}}{name} = {_widen(dtype)} {narrow} {{t}}{name}8 to {wide}",
        ]

    total = f"<{n} x i32>"
    return Row(
        name=f"pair_{x}_{w}",
        types=(x, w, "i32"),
        roles=(("n", n), ("k", 2)),
        operands=(f"i{2 * bits(x)}x{n}", f"i{2 * bits(w)}x{n}", f"i32x{n}"),
        code=(
            *halves("{a}", "x", x),
            *halves("{b}", "w", w),
            f"{{t}}p = call {total} @{function}({wide} {{t}}x, {wide} {{t}}w)",
            f"{{out}} = add {total} {{t}}p, {{acc}}",
        ),
        spare=1 + (bits(x) < 16) + (bits(w) < 16),
        meaning=partial(dot_product, (x, w)),
        declare=(f"declare {total} @{function}({wide}, {wide})",),
        feature=feature,
    )


def _mad(x: str, w: str, acc: str, n: int, feature: str) -> Row:
    xs, ws, total = (_llvm(f"i{bits(dtype)}", n) for dtype in (x, w, acc))
    product = _llvm("i32" if bits(x) + bits(w) <= 32 else "i64", n)  # where no product overflows
    code = [
        f"{{t}}x = {_widen(x)} {xs} {{a}} to {product}",
        f"{{t}}w = {_widen(w)} {ws} {{b}} to {product}",
        f"{{t}}p = mul {product} {{t}}x, {{t}}w",
    ]
    code += [] if product == total else [f"{{t}}q = sext {product} {{t}}p to {total}"]
    code.append(f"{{out}} = add {total} {{t}}{'p' if product == total else 'q'}, {{acc}}")
    return Row(
        name=f"mad_{x}_{w}",
        types=(x, w, acc),
        roles=(("n", n),),
        operands=(_kernel(x, n), _kernel(w, n), _kernel(acc, n)),
        code=tuple(code),
        spare=1 if n > 1 else 0,
        meaning=integer_multiply_add,
        feature=feature,
    )
