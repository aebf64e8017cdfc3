"""Instruction rows that several machines share. A row is data; `kernel.select` finds it, nobody else reads it."""

from __future__ import annotations

from convjit.machine.machine import Row
from convjit.machine.meaning import fused_multiply_add, multiply_then_add

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
