"""Rows are found by types and roles."""

from __future__ import annotations

import pytest

from convjit import machine
from convjit.errors import InternalError
from convjit.kernel.ir import Op
from convjit.kernel.select import find_row, row_named, widths
from convjit.kernel.signature import operand_types

F32 = ("f32", "f32", "f32")


def test_find_row() -> None:
    avx2 = machine.get("cpu:avx2")
    row = find_row(avx2, F32, (("n", 8),))
    assert row is not None
    assert (row.name, row.operands) == ("fma", ("f32x8", "f32x8", "f32x8"))
    assert find_row(avx2, F32, (("n", 16),)) is None
    assert find_row(avx2, F32, (("n", 8), ("k", 2))) is None
    unproven = find_row(avx2, ("u8", "i8", "i32"), (("n", 8), ("k", 4)))
    assert unproven is not None and unproven.proof == "pairs"
    assert find_row(avx2.exact(pairs=False), ("u8", "i8", "i32"), (("n", 8), ("k", 4))) is None
    assert find_row(avx2, F32, ()) is find_row(avx2, F32, (("n", 1),)) is not None


def test_widths() -> None:
    assert widths(machine.get("cpu:avx512"), F32) == (16, 8, 4, 1)
    assert widths(machine.get("cpu:avx512"), ("f64", "f64", "f64")) == (8, 4, 2, 1)
    assert widths(machine.get("cuda:sm_80"), F32) == (1,)
    assert widths(machine.get("cpu:avx512"), ("i8", "i8", "i32")) == (16, 8, 4, 1)
    assert widths(machine.get("cpu:scalar"), ("i16", "i16", "i64")) == (1,)
    assert widths(machine.get("cpu:scalar"), ("i64", "i64", "i64")) == ()


def test_row_named() -> None:
    scalar = machine.get("cpu:scalar")
    row = row_named(scalar, "fma", "f64")
    assert row is not None
    assert row.code == ("{t} = fmul double {a}, {b}", "{out} = fadd double {t}, {acc}")
    assert row_named(scalar, "fma", "f64x2") is None


def test_operand_types() -> None:
    avx2, turing = machine.get("cpu:avx2"), machine.get("cuda:sm_75")
    assert operand_types(Op("%1", "step", "ptr", ()), avx2) == ("ptr*", "i64")
    assert operand_types(Op("%1", "step", "ptr.global", ()), turing) == ("ptr*", "i32")
    assert operand_types(Op("%1", "lt", "i1x8", (), (("type", "f32x8"),)), avx2) == ("f32x8", "f32x8")
    assert operand_types(Op("%1", "select", "f32x8", ()), avx2) == ("i1x8", "f32x8", "f32x8")
    with pytest.raises(InternalError, match="^cuda:sm_75 has no instruction fma that gives f32x8$"):
        operand_types(Op("%1", "fma", "f32x8", ()), turing)
