"""How arithmetic, comparisons and conversions are written, on numbers and on each lane of vectors."""

from __future__ import annotations

from convjit.emit.form import Form, Writer, Written
from convjit.emit.words import llvm_type, suffix
from convjit.errors import InternalError
from convjit.kernel.ir import Type, element, vector
from convjit.kernel.types import FLOATS, bits


def binary(integer: str, floating: str = "", unsigned: str = "") -> Writer:
    def write(f: Form) -> Written:
        word = floating if f.floats else unsigned if unsigned and f.unsigned else integer
        if not word:
            raise InternalError(f"{f.op.name} has no form for {f.op.type}")
        return (f"{{0}} = {word} {f.type} {{1}}, {{2}}",), ()

    return write


def intrinsic(floating: str, integer: str = "", more: str = "") -> Writer:
    """A call of `llvm.NAME.TYPE` with one operand; `more` are constant operands after it."""

    def write(f: Form) -> Written:
        name = f"@llvm.{floating if f.floats else integer}.{suffix(f.op.type)}"
        extra = "" if f.floats else more
        kinds = "" if not extra else ", i1"
        return (f"{{0}} = call {f.type} {name}({f.type} {{1}}{extra})",), (
            f"declare {f.type} {name}({f.type}{kinds})",
        )

    return write


def compare(integer: str, floating: str) -> Writer:
    def write(f: Form) -> Written:
        return (f"{{0}} = {_test(f.operands[0], integer, floating)} {{1}}, {{2}}",), ()

    return write


def _test(type: Type, integer: str, floating: str) -> str:
    if element(type) in FLOATS:
        if not floating:
            raise InternalError(f"an unsigned comparison of {type}")
        return f"fcmp {floating} {llvm_type(type)}"
    word = integer.replace("s", "u") if type[0] == "u" else integer
    return f"icmp {word} {llvm_type(type)}"


def extreme(first: int, second: int) -> Writer:
    """`x < y ? second operand : first operand`, with x and y the operands of those numbers."""

    def write(f: Form) -> Written:
        test = _test(f.op.type, "slt", "olt")
        mask = llvm_type(vector("i1", f.lanes))
        return (
            f"{{0}}$c = {test} {{{first}}}, {{{second}}}",
            f"{{0}} = select {mask} {{0}}$c, {f.type} {{2}}, {f.type} {{1}}",
        ), ()

    return write


def negate(f: Form) -> Written:
    return (
        f"{{0}} = fneg {f.type} {{1}}" if f.floats else f"{{0}} = sub {f.type} zeroinitializer, {{1}}",
    ), ()


def round_(f: Form) -> Written:
    if f.machine.rounding:
        return intrinsic("rint")(f)
    return _round_by_adding(f)


def _round_by_adding(f: Form) -> Written:
    """Without a rounding instruction LLVM would call the C library. Adding and subtracting 2^23 (2^52) with the
    number's sign rounds what is smaller than that; everything else is whole already, or not a number."""
    big = "0x4160000000000000" if f.op.type == "f32" else "0x4330000000000000"
    absolute, sign = f"@llvm.fabs.{f.op.type}", f"@llvm.copysign.{f.op.type}"
    t = f.type
    return (
        f"{{0}}$b = call {t} {sign}({t} {big}, {t} {{1}})",
        f"{{0}}$s = fadd {t} {{1}}, {{0}}$b",
        f"{{0}}$d = fsub {t} {{0}}$s, {{0}}$b",
        f"{{0}}$r = call {t} {sign}({t} {{0}}$d, {t} {{1}})",
        f"{{0}}$a = call {t} {absolute}({t} {{1}})",
        f"{{0}}$c = fcmp olt {t} {{0}}$a, {big}",
        f"{{0}} = select i1 {{0}}$c, {t} {{0}}$r, {t} {{1}}",
    ), (f"declare {t} {sign}({t}, {t})", f"declare {t} {absolute}({t})")


def select(f: Form) -> Written:
    return (f"{{0}} = select {f.operand(0)} {{1}}, {f.type} {{2}}, {f.type} {{3}}",), ()


def conversion(source: Type, target: Type) -> str:
    """LLVM's word for the conversion of a number; "" where the bits are the same already."""
    a, b = element(source), element(target)
    x, y = bits(a), bits(b)
    if a in FLOATS and b in FLOATS:
        return "fpext" if x < y else "fptrunc" if x > y else ""
    if a in FLOATS:
        return "fptoui" if b[0] == "u" else "fptosi"
    if b in FLOATS:
        return "uitofp" if a[0] == "u" or a == "i1" else "sitofp"
    return "trunc" if x > y else "" if x == y else "zext" if a[0] == "u" or a == "i1" else "sext"


def convert(f: Form) -> Written:
    word = conversion(f.operands[0], f.op.type)
    half = llvm_type(vector("i16", f.lanes)).replace("i16", "half")
    if element(f.op.type) == "f16":
        return (f"{{0}}$h = {word} {f.operand(0)} {{1}} to {half}", f"{{0}} = bitcast {half} {{0}}$h to {f.type}"), ()
    if element(f.operands[0]) == "f16":
        return (f"{{0}}$h = bitcast {f.operand(0)} {{1}} to {half}", f"{{0}} = {word} {half} {{0}}$h to {f.type}"), ()
    return (f"{{0}} = {word or 'bitcast'} {f.operand(0)} {{1}} to {f.type}",), ()
