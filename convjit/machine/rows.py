"""Instruction rows that several machines share. A row is data; `kernel.select` finds it, nobody else reads it."""

from __future__ import annotations

from convjit.machine.machine import Row
from convjit.machine.meaning import fused_multiply_add, integer_multiply_add, multiply_then_add

LLVM = {"f32": "float", "f64": "double"}


def fma(dtype: str, *lanes: int, feature: str = "") -> tuple[Row, ...]:
    """Fused multiply-add: a row for each number of lanes."""
    return tuple(_fma(dtype, n, feature) for n in lanes)


def _fma(dtype: str, n: int, feature: str) -> Row:
    kernel = f"{dtype}x{n}" if n > 1 else dtype
    text = f"<{n} x {LLVM[dtype]}>" if n > 1 else LLVM[dtype]
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


INTEGERS = {"i8": (8, "sext"), "u8": (8, "zext"), "i16": (16, "sext"), "i32": (32, "sext")}
"""Bits, and how a type becomes a wider one."""

EXACT: tuple[tuple[str, str, str], ...] = (
    *((x, w, acc) for x in ("u8", "i8") for w in ("i8", "u8") for acc in ("i32", "i64")),
    *(("i16", w, acc) for w in ("i16", "i8") for acc in ("i64", "i32")),
    ("i32", "i32", "i64"),
)
"""Input, weight and sum of every convolution of integers; sums are modulo 2^32 or 2^64."""


def mad(bits: int, *, feature: str = "") -> tuple[Row, ...]:
    """Multiply and add of integers, a product in each lane, for vectors of so many bits (0: numbers) and all halves of
    them down to 128, and numbers: nothing saturates, so these serve where nothing is known of the values."""
    found = []
    for x, w, acc in EXACT:
        most = bits // (32 if acc == "i32" else 64)
        wide = [n for n in (most, most // 2, most // 4) if n * int(acc[1:]) >= 128]
        found += [_mad(x, w, acc, n, feature if n > 1 else "") for n in (*wide, 1)]
    return tuple(found)


def _mad(x: str, w: str, acc: str, n: int, feature: str) -> Row:
    def many(word: str) -> str:
        return f"<{n} x {word}>" if n > 1 else word

    def kernel(word: str) -> str:
        return f"{word}x{n}" if n > 1 else word

    (xbits, xword), (wbits, wword) = INTEGERS[x], INTEGERS[w]
    product = "i32" if xbits + wbits <= 32 else "i64"  # where no product overflows
    code = [
        f"{{t}}x = {xword} {many(f'i{xbits}')} {{a}} to {many(product)}",
        f"{{t}}w = {wword} {many(f'i{wbits}')} {{b}} to {many(product)}",
        f"{{t}}p = mul {many(product)} {{t}}x, {{t}}w",
    ]
    wider = "{t}p"
    if product != acc:
        code.append(f"{{t}}q = sext {many(product)} {{t}}p to {many(acc)}")
        wider = "{t}q"
    code.append(f"{{out}} = add {many(acc)} {wider}, {{acc}}")
    return Row(
        name=f"mad_{x}_{w}",
        types=(x, w, acc),
        roles=(("n", n),),
        operands=(kernel(x), kernel(w), kernel(acc)),
        code=tuple(code),
        meaning=integer_multiply_add,
        feature=feature,
    )
