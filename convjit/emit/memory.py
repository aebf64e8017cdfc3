"""How memory, copies, barriers and a GPU's own registers are written."""

from __future__ import annotations

from convjit.emit.form import Form, Written
from convjit.emit.words import llvm_type, suffix
from convjit.kernel.ir import vector


def load(f: Form) -> Written:
    constant = f.machine.kind == "cuda" and f.integer("constant", 0)
    note = ", !invariant.load !0" if constant else ""
    return (f"{{0}} = load {f.type}, {f.operand(0)} {{1}}, align {f.integer('align')}{note}",), ()


def store(f: Form) -> Written:
    return (f"store {f.type} {{1}}, {f.operand(1)} {{2}}, align {f.integer('align')}",), ()


SPACES = {"ptr": "p0", "ptr.global": "p1", "ptr.shared": "p3"}


def load_masked(f: Form) -> Written:
    """Vectors only: a single number under a mask is a branch, which `emit.llvm` writes."""
    mask, pointer, align = llvm_type(vector("i1", f.lanes)), f.operand(0), f.integer("align")
    name = f"@llvm.masked.load.{suffix(f.op.type)}.{SPACES[f.operands[0]]}"
    line = (
        f"{{0}} = call {f.type} {name}({pointer} align {align} {{1}}, {mask} {{2}}, {f.type} zeroinitializer)"
    )
    return (line,), (f"declare {f.type} {name}({pointer}, {mask}, {f.type})",)


def store_masked(f: Form) -> Written:
    mask, pointer, align = llvm_type(vector("i1", f.lanes)), f.operand(1), f.integer("align")
    name = f"@llvm.masked.store.{suffix(f.op.type)}.{SPACES[f.operands[1]]}"
    line = f"call void {name}({f.type} {{1}}, {pointer} align {align} {{2}}, {mask} {{3}})"
    return (line,), (f"declare void {name}({f.type}, {pointer}, {mask})",)


def prefetch(f: Form) -> Written:
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


def special(f: Form) -> Written:
    register = f.op.attribute("register")
    name = f"@llvm.nvvm.read.ptx.sreg.{register}.x"
    above = f.threads if register == "tid" else (1 << 31) - 1
    return (f"{{0}} = call range(i32 0, {above}) i32 {name}()",), (f"declare i32 {name}()",)


def barrier(f: Form) -> Written:
    name = "@llvm.nvvm.barrier.cta.sync.aligned.all"
    return (f"call void {name}(i32 0)",), (f"declare void {name}(i32)",)


def cp_async(f: Form) -> Written:
    """Only 16 bytes can bypass L1 (`cg`)."""
    count, fill = f.integer("bytes"), f.op.name == "cp_async_fill"
    name = f"@llvm.nvvm.cp.async.{'cg' if count == 16 else 'ca'}.shared.global.{count}{'.s' if fill else ''}"
    kinds = "ptr addrspace(3), ptr addrspace(1)" + (", i32" if fill else "")
    size = ", i32 {3}" if fill else ""
    return (
        (f"call void {name}(ptr addrspace(3) {{2}}, ptr addrspace(1) {{1}}{size})",),
        (f"declare void {name}({kinds})",),
    )


def cp_async_commit(f: Form) -> Written:
    name = "@llvm.nvvm.cp.async.commit.group"
    return (f"call void {name}()",), (f"declare void {name}()",)


def cp_async_wait(f: Form) -> Written:
    name = "@llvm.nvvm.cp.async.wait.group"
    return (f"call void {name}(i32 {f.integer('groups')})",), (f"declare void {name}(i32)",)
