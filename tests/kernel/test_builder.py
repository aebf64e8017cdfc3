"""What the writer of ops refuses: numbers beyond the type that addresses are computed in."""

from __future__ import annotations

import pytest

from convjit import machine
from convjit.errors import ConvError
from convjit.kernel.builder import Builder
from convjit.pipeline import Compilation
from convjit.spec.from_ast import from_text

FAR = 1 << 33
CONV = """conv far {{
    input x : f32[N=1, H=8, W=?, C=4]
    weight w : f32[KH=1, KW=3, IC=4, OC=4]
    {}
}}"""


@pytest.mark.parametrize("clause", [f"stride (1, {FAR})", f"dilation (1, {FAR})", "stride (1, 268435456)"])
def test_offsets_that_32_bits_do_not_hold_are_the_users_mistake(clause: str) -> None:
    spec = next(iter(from_text(CONV.format(clause)).values()))
    with pytest.raises(ConvError, match=r"too large: an offset of \d+ does not fit into i32"):
        Compilation(spec, machine.get("cuda:sm_80")).llvm  # noqa: B018


def test_numbers_at_the_edge() -> None:
    builder = Builder("i32")
    assert builder.arith("add", (1 << 31) - 2, 1) == (1 << 31) - 1
    assert builder.arith("sub", -(1 << 31) + 1, 1) == -(1 << 31)
    with pytest.raises(ConvError, match="an offset of 2147483648 does not fit into i32"):
        builder.arith("add", (1 << 31) - 1, 1)
    with pytest.raises(ConvError, match="an offset of -2147483649 does not fit into i32"):
        builder.arith("mul", "%i", -(1 << 31) - 1)
    assert Builder("i64").arith("mul", 1 << 31, 1 << 31) == 1 << 62
