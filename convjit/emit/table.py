"""How each op is written: a table from the op's name to its lines of LLVM IR.

A line is a format string: {0} is the result, {1} {2} … are the operands, {0}$… names what stands in between (no
kernel value has a `$` in its name).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from convjit.emit.words import ELEMENTS, FLOATS, llvm_type, suffix, vector_literal
from convjit.errors import InternalError
from convjit.kernel.ir import Op, Type, element, lanes, vector
from convjit.machine import Machine


@dataclass(frozen=True)
class Form:
    """An op about to be written: its operands' types in the kernel and in LLVM."""

    op: Op
    operands: tuple[Type, ...]
    machine: Machine
    threads: int = 0

    @property
    def type(self) -> str:
        return llvm_type(self.op.type)

    @property
    def floats(self) -> bool:
        return element(self.op.type) in FLOATS

    @property
    def unsigned(self) -> bool:
        return self.op.type[0] == "u"

    @property
    def lanes(self) -> int:
        return lanes(self.op.type)

    def operand(self, at: int) -> str:
        return llvm_type(self.operands[at])

    def integer(self, name: str, default: int | None = None) -> int:
        value = self.op.attribute(name, default)
        if not isinstance(value, int):
            raise InternalError(f"{self.op.name}: attribute {name} must be a whole number, not {value!r}")
        return value

    def integers(self, name: str) -> tuple[int, ...]:
        value = self.op.attribute(name)
        if not isinstance(value, tuple):
            raise InternalError(f"{self.op.name}: attribute {name} must be a list, not {value!r}")
        return tuple(int(v) for v in value)


Written = tuple[tuple[str, ...], tuple[str, ...]]
"""Lines of the body, and the functions they call, as declarations."""
Writer = Callable[[Form], Written]


def _binary(integer: str, floating: str = "", unsigned: str = "") -> Writer:
    def write(f: Form) -> Written:
        word = floating if f.floats else unsigned if unsigned and f.unsigned else integer
        if not word:
            raise InternalError(f"{f.op.name} has no form for {f.op.type}")
        return (f"{{0}} = {word} {f.type} {{1}}, {{2}}",), ()

    return write


def _intrinsic(floating: str, integer: str = "", more: str = "") -> Writer:
    """A call of `llvm.NAME.TYPE` with one operand; `more` are constant operands after it."""

    def write(f: Form) -> Written:
        name = f"@llvm.{floating if f.floats else integer}.{suffix(f.op.type)}"
        extra = "" if f.floats else more
        kinds = "" if not extra else ", i1"
        return (f"{{0}} = call {f.type} {name}({f.type} {{1}}{extra})",), (
            f"declare {f.type} {name}({f.type}{kinds})",
        )

    return write


def _compare(integer: str, floating: str) -> Writer:
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


def _extreme(first: int, second: int) -> Writer:
    """`x < y ? second operand : first operand`, with x and y the operands of those numbers."""

    def write(f: Form) -> Written:
        test = _test(f.op.type, "slt", "olt")
        mask = llvm_type(vector("i1", f.lanes))
        return (
            f"{{0}}$c = {test} {{{first}}}, {{{second}}}",
            f"{{0}} = select {mask} {{0}}$c, {f.type} {{2}}, {f.type} {{1}}",
        ), ()

    return write


def _negate(f: Form) -> Written:
    return (
        f"{{0}} = fneg {f.type} {{1}}" if f.floats else f"{{0}} = sub {f.type} zeroinitializer, {{1}}",
    ), ()


def _round(f: Form) -> Written:
    if f.machine.rounding:
        return _intrinsic("rint")(f)
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


def _select(f: Form) -> Written:
    return (f"{{0}} = select {f.operand(0)} {{1}}, {f.type} {{2}}, {f.type} {{3}}",), ()


def conversion(source: Type, target: Type) -> str:
    """LLVM's word for the conversion of a number; "" where the bits are the same already."""
    a, b = element(source), element(target)
    x, y = bit_width(a), bit_width(b)
    if a in FLOATS and b in FLOATS:
        return "fpext" if x < y else "fptrunc" if x > y else ""
    if a in FLOATS:
        return "fptoui" if b[0] == "u" else "fptosi"
    if b in FLOATS:
        return "uitofp" if a[0] == "u" or a == "i1" else "sitofp"
    return "trunc" if x > y else "" if x == y else "zext" if a[0] == "u" or a == "i1" else "sext"


def bit_width(type: Type) -> int:
    """Bits of one lane."""
    return int(element(type).lstrip("biuf"))


def _convert(f: Form) -> Written:
    word = conversion(f.operands[0], f.op.type)
    return (f"{{0}} = {word or 'bitcast'} {f.operand(0)} {{1}} to {f.type}",), ()


def _bitcast(f: Form) -> Written:
    return (f"{{0}} = bitcast {f.operand(0)} {{1}} to {f.type}",), ()


def _splat(f: Form) -> Written:
    if f.lanes == 1:
        return (f"{{0}} = bitcast {f.type} {{1}} to {f.type}",), ()
    one = ELEMENTS[element(f.op.type)]
    return (
        f"{{0}}$i = insertelement {f.type} poison, {one} {{1}}, i32 0",
        f"{{0}} = shufflevector {f.type} {{0}}$i, {f.type} poison, <{f.lanes} x i32> zeroinitializer",
    ), ()


def _insert(f: Form) -> Written:
    one = ELEMENTS[element(f.op.type)]
    return (f"{{0}} = insertelement {f.type} {{1}}, {one} {{2}}, i32 {f.integer('lane')}",), ()


def _extract(f: Form) -> Written:
    return (f"{{0}} = extractelement {f.operand(0)} {{1}}, i32 {f.integer('lane')}",), ()


def _shuffle(f: Form) -> Written:
    order = ", ".join(f"i32 {lane}" for lane in f.integers("order"))
    t = f.operand(0)
    return (f"{{0}} = shufflevector {t} {{1}}, {t} {{2}}, <{f.lanes} x i32> <{order}>",), ()


def _lanes_inside(f: Form) -> Written:
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


def _load(f: Form) -> Written:
    constant = f.machine.kind == "cuda" and f.integer("constant", 0)
    note = ", !invariant.load !0" if constant else ""
    return (f"{{0}} = load {f.type}, {f.operand(0)} {{1}}, align {f.integer('align')}{note}",), ()


def _store(f: Form) -> Written:
    return (f"store {f.type} {{1}}, {f.operand(1)} {{2}}, align {f.integer('align')}",), ()


SPACES = {"ptr": "p0", "ptr.global": "p1", "ptr.shared": "p3"}


def _load_masked(f: Form) -> Written:
    """Vectors only: a single number under a mask is a branch, which `emit.llvm` writes."""
    mask, pointer, align = llvm_type(vector("i1", f.lanes)), f.operand(0), f.integer("align")
    name = f"@llvm.masked.load.{suffix(f.op.type)}.{SPACES[f.operands[0]]}"
    line = (
        f"{{0}} = call {f.type} {name}({pointer} align {align} {{1}}, {mask} {{2}}, {f.type} zeroinitializer)"
    )
    return (line,), (f"declare {f.type} {name}({pointer}, {mask}, {f.type})",)


def _store_masked(f: Form) -> Written:
    mask, pointer, align = llvm_type(vector("i1", f.lanes)), f.operand(1), f.integer("align")
    name = f"@llvm.masked.store.{suffix(f.op.type)}.{SPACES[f.operands[1]]}"
    line = f"call void {name}({f.type} {{1}}, {pointer} align {align} {{2}}, {mask} {{3}})"
    return (line,), (f"declare void {name}({f.type}, {pointer}, {mask})",)


def _prefetch(f: Form) -> Written:
    """A hint: where LLVM has no instruction for it (before sm_90) nothing is written."""
    if f.machine.kind == "cuda":
        if f.machine.sm < 90:
            return (), ()
        name = "@llvm.nvvm.prefetch.global.L2"
        return (f"call void {name}(ptr addrspace(1) {{1}})",), (f"declare void {name}(ptr addrspace(1))",)
    name = "@llvm.prefetch.p0"
    return (f"call void {name}(ptr {{1}}, i32 0, i32 3, i32 1)",), (
        f"declare void {name}(ptr, i32, i32, i32)",
    )


def _special(f: Form) -> Written:
    register = f.op.attribute("register")
    name = f"@llvm.nvvm.read.ptx.sreg.{register}.x"
    above = f.threads if register == "tid" else (1 << 31) - 1
    return (f"{{0}} = call range(i32 0, {above}) i32 {name}()",), (f"declare i32 {name}()",)


def _barrier(f: Form) -> Written:
    name = "@llvm.nvvm.barrier.cta.sync.aligned.all"
    return (f"call void {name}(i32 0)",), (f"declare void {name}(i32)",)


def _cp_async(f: Form) -> Written:
    """Only 16 bytes can bypass L1 (`cg`)."""
    count, fill = f.integer("bytes"), f.op.name == "cp_async_fill"
    name = f"@llvm.nvvm.cp.async.{'cg' if count == 16 else 'ca'}.shared.global.{count}{'.s' if fill else ''}"
    kinds = "ptr addrspace(3), ptr addrspace(1)" + (", i32" if fill else "")
    size = ", i32 {3}" if fill else ""
    return (
        (f"call void {name}(ptr addrspace(3) {{2}}, ptr addrspace(1) {{1}}{size})",),
        (f"declare void {name}({kinds})",),
    )


def _cp_async_commit(f: Form) -> Written:
    name = "@llvm.nvvm.cp.async.commit.group"
    return (f"call void {name}()",), (f"declare void {name}()",)


def _cp_async_wait(f: Form) -> Written:
    name = "@llvm.nvvm.cp.async.wait.group"
    return (f"call void {name}(i32 {f.integer('groups')})",), (f"declare void {name}(i32)",)


TABLE: dict[str, Writer] = {
    "add": _binary("add", "fadd"),
    "sub": _binary("sub", "fsub"),
    "mul": _binary("mul", "fmul"),
    "div": _binary("", "fdiv"),
    "neg": _negate,
    "abs": _intrinsic("fabs", "abs", ", i1 false"),
    "sqrt": _intrinsic("sqrt"),
    "max": _extreme(1, 2),
    "min": _extreme(2, 1),
    "rint": _round,
    "udiv": _binary("udiv"),
    "urem": _binary("urem"),
    "and": _binary("and"),
    "or": _binary("or"),
    "xor": _binary("xor"),
    "shl": _binary("shl"),
    "lshr": _binary("lshr"),
    "lt": _compare("slt", "olt"),
    "ge": _compare("sge", "oge"),
    "eq": _compare("eq", "oeq"),
    "ult": _compare("ult", ""),
    "select": _select,
    "convert": _convert,
    "bitcast": _bitcast,
    "splat": _splat,
    "insert": _insert,
    "extract": _extract,
    "shuffle": _shuffle,
    "lanes_inside": _lanes_inside,
    "load": _load,
    "store": _store,
    "load_masked": _load_masked,
    "store_masked": _store_masked,
    "prefetch": _prefetch,
    "special": _special,
    "barrier": _barrier,
    "cp_async": _cp_async,
    "cp_async_fill": _cp_async,
    "cp_async_commit": _cp_async_commit,
    "cp_async_wait": _cp_async_wait,
}
