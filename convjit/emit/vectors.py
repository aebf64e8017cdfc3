"""How ops that move lanes are written."""

from __future__ import annotations

from convjit.emit.form import Form, Written
from convjit.emit.words import ELEMENTS, llvm_type, vector_literal
from convjit.kernel.ir import element, vector
from convjit.kernel.types import size


def bitcast(f: Form) -> Written:
    return (f"{{0}} = bitcast {f.operand(0)} {{1}} to {f.type}",), ()


def splat(f: Form) -> Written:
    if f.lanes == 1:
        return (f"{{0}} = bitcast {f.type} {{1}} to {f.type}",), ()
    one = ELEMENTS[element(f.op.type)]
    return (
        f"{{0}}$i = insertelement {f.type} poison, {one} {{1}}, i32 0",
        f"{{0}} = shufflevector {f.type} {{0}}$i, {f.type} poison, <{f.lanes} x i32> zeroinitializer",
    ), ()


def insert(f: Form) -> Written:
    one = ELEMENTS[element(f.op.type)]
    return (f"{{0}} = insertelement {f.type} {{1}}, {one} {{2}}, i32 {f.integer('lane')}",), ()


def extract(f: Form) -> Written:
    return (f"{{0}} = extractelement {f.operand(0)} {{1}}, i32 {f.integer('lane')}",), ()


def shuffle(f: Form) -> Written:
    order = ", ".join(f"i32 {lane}" for lane in f.integers("order"))
    t = f.operand(0)
    return (f"{{0}} = shufflevector {t} {{1}}, {t} {{2}}, <{f.lanes} x i32> <{order}>",), ()


PACKED = {16: ("sse2", ".128"), 32: ("avx2", ""), 64: ("avx512", ".512")}
"""By bytes of a vector: how LLVM's packing intrinsics are named."""


def pack(f: Form) -> Written:
    """packssdw, packsswb, packuswb (Intel's manual, volume 2: PACKSSWB/PACKSSDW, PACKUSWB)."""
    word = {"i16": "packssdw", "i8": "packsswb", "u8": "packuswb"}[element(f.op.type)]
    family, width = PACKED[size(f.op.type)]
    name, source = f"@llvm.x86.{family}.{word}{width}", f.operand(0)
    return (f"{{0}} = call {f.type} {name}({source} {{1}}, {source} {{2}})",), (f"declare {f.type} {name}({source}, {source})",)


def lanes_inside(f: Form) -> Written:
    """One unsigned comparison: `second` is a size, never negative."""
    offsets, index = f.integers("offsets"), f.operands[0]
    if f.lanes == 1:
        return (f"{{0}}$s = add {index} {{1}}, {offsets[0]}", f"{{0}} = icmp ult {index} {{0}}$s, {{2}}"), ()
    wide = vector(index, f.lanes)
    t, zeros = llvm_type(wide), f"<{f.lanes} x i32> zeroinitializer"
    return (
        f"{{0}}$f = insertelement {t} poison, {index} {{1}}, i32 0",
        f"{{0}}$g = shufflevector {t} {{0}}$f, {t} poison, {zeros}",
        f"{{0}}$s = add {t} {{0}}$g, {vector_literal(wide, offsets)}",
        f"{{0}}$h = insertelement {t} poison, {index} {{2}}, i32 0",
        f"{{0}}$k = shufflevector {t} {{0}}$h, {t} poison, {zeros}",
        f"{{0}} = icmp ult {t} {{0}}$s, {{0}}$k",
    ), ()
