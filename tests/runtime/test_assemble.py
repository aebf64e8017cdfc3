"""LLVM text to objects and code: what is refused, what stays alive, and that others' code generation is untouched."""

from __future__ import annotations

import ctypes
import subprocess
import sys
import threading

import llvmlite.binding as llvm
import pytest

from convjit import machine as machines
from convjit.errors import InternalError
from convjit.runtime.assemble import CodeTarget, assemble, assembly, load, refuse_deadly
from tests.runtime import kernels

HASWELL = CodeTarget("haswell", "+avx2,+fma")
STRIDED = """
define void @strided(ptr %x, ptr %w, ptr %y, i64 %n) {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %i.next, %loop ]
  %a = mul i64 %i, 36
  %p = getelementptr float, ptr %x, i64 %a
  %v = load float, ptr %p
  %b = mul i64 %i, 20
  %q = getelementptr float, ptr %w, i64 %b
  %u = load float, ptr %q
  %s = fadd float %v, %u
  %c = mul i64 %i, 12
  %r = getelementptr float, ptr %y, i64 %c
  store float %s, ptr %r
  %i.next = add i64 %i, 1
  %more = icmp slt i64 %i.next, %n
  br i1 %more, label %loop, label %done
done:
  ret void
}
"""


def somebody_elses_assembly(text: str = STRIDED) -> str:
    """The same text through llvmlite as another library would use it."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_triple(llvm.get_process_triple()).create_target_machine(
        cpu=HASWELL.cpu, features=HASWELL.features, opt=3, reloc="pic", codemodel="small"
    )
    with llvm.create_context() as context, llvm.parse_assembly(text, context) as module:
        module.triple, module.data_layout = llvm.get_process_triple(), str(machine.target_data)
        return str(machine.emit_assembly(module))


def test_our_code_is_made_without_lsr_and_others_with_it() -> None:
    before = somebody_elses_assembly()
    ours = assembly(STRIDED, HASWELL)
    assert ours != before
    assert somebody_elses_assembly() == before
    llvm.set_option("test", "-disable-lsr=true")
    try:
        assert somebody_elses_assembly() == ours
    finally:
        llvm.set_option("test", "-disable-lsr=false")


def tile_4x3() -> str:
    """A loop over 12 accumulators of AVX2: with 3 weights and a broadcast its 16 registers are full."""
    vector, sums = "<8 x float>", range(12)
    phis = [f"%a{n} = phi {vector} [ zeroinitializer, %entry ], [ %b{n}, %loop ]" for n in sums]
    weights = []
    for v in range(3):
        weights += [f"%q{v} = getelementptr i8, ptr %w, i64 {32 * v}", f"%w{v} = load {vector}, ptr %q{v}, align 4"]
    body = ["%at = mul i64 %i, 96", "%w = getelementptr i8, ptr %weight, i64 %at"]
    for p in range(4):
        body += [f"%x{p} = getelementptr i8, ptr %input, i64 {256 * p}"]
        body += [f"%y{p} = getelementptr float, ptr %x{p}, i64 %i", f"%s{p} = load float, ptr %y{p}"]
        body += [f"%t{p} = insertelement {vector} poison, float %s{p}, i64 0"]
        body += [f"%v{p} = shufflevector {vector} %t{p}, {vector} poison, <8 x i32> zeroinitializer"]
        body += weights if p == 0 else []
        for n in range(3 * p, 3 * p + 3):
            body += [f"%b{n} = call {vector} @llvm.fma.v8f32({vector} %v{p}, {vector} %w{n % 3}, {vector} %a{n})"]
    stores = []
    for n in sums:
        stores += [f"%o{n} = getelementptr i8, ptr %output, i64 {32 * n}", f"store {vector} %b{n}, ptr %o{n}, align 4"]
    lines = ["br label %loop", "loop:", "%i = phi i64 [ 0, %entry ], [ %j, %loop ]", *phis, *body]
    lines += ["%j = add i64 %i, 1", "%more = icmp slt i64 %j, %n", "br i1 %more, label %loop, label %done", "done:"]
    return "\n".join(
        [
            f"declare {vector} @llvm.fma.v8f32({vector}, {vector}, {vector})",
            "define void @tile(ptr %input, ptr %weight, ptr %output, i64 %n) {",
            "entry:",
            *lines,
            *stores,
            "ret void",
            "}",
        ]
    )


def test_a_tile_that_fills_the_registers_is_not_shuffled() -> None:
    text = assembly(tile_4x3(), HASWELL)
    moves = [line for line in text.splitlines() if "vmov" in line and line.count("%ymm") == 2]
    assert text.count("vfmadd") == 12
    assert "(%rsp)" not in text
    assert moves == []


def test_others_get_the_options_that_llvm_starts_with() -> None:
    """In a process of its own, where LLVM has never seen our options before the first look."""
    code = """
from tests.runtime import test_assemble as t
from convjit.runtime.assemble import assembly
texts = t.STRIDED, t.tile_4x3()
before = [t.somebody_elses_assembly(text) for text in texts]
ours = [assembly(text, t.HASWELL) for text in texts]
assert [t.somebody_elses_assembly(text) for text in texts] == before
assert all(a != b for a, b in zip(ours, before))
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_others_are_untouched_while_we_compile_in_another_thread() -> None:
    before = somebody_elses_assembly()
    ours = assembly(STRIDED, HASWELL)
    stop = threading.Event()
    seen: set[str] = set()

    def compile_on() -> None:
        while not stop.is_set():
            seen.add(assembly(STRIDED, HASWELL))

    thread = threading.Thread(target=compile_on)
    thread.start()
    try:
        assert {somebody_elses_assembly() for _ in range(60)} == {before}
    finally:
        stop.set()
        thread.join()
    assert seen <= {ours}


def test_options_are_back_after_a_failure() -> None:
    before = somebody_elses_assembly()
    with pytest.raises(InternalError):
        assemble("define void @f() { ret i32 }", HASWELL)
    assert somebody_elses_assembly() == before


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("define void @f( { ret void }", "LLVM IR parsing error"),
        (
            "define void @f(i32 %a) { %b = add i32 %a, %c\n %c = add i32 %a, 1\n ret void }",
            "does not dominate all uses",
        ),
        (
            'define void @f() { call void asm sideeffect "bogus", ""()\n ret void }',
            "inline assembly is not used on the CPU",
        ),
        ('module asm "bogus"', "inline assembly is not used on the CPU"),
        (
            'define void @f() #0 { ret void }\nattributes #0 = { "target-cpu"="x" }',
            "a function names its own processor",
        ),
        (
            "declare i32 @llvm.nvvm.read.ptx.sreg.tid.x()",
            "'llvm.nvvm.read.ptx.sreg.tid.x' is not among the intrinsics",
        ),
        (
            "declare <16 x float> @llvm.x86.avx512.add.ps.512(<16 x float>, <16 x float>, i32)",
            "'llvm.x86.avx512.add.ps.512' needs avx512f; the target has '+avx2,+fma'",
        ),
    ],
)
def test_what_llvm_cannot_take_is_an_error_with_the_module(text: str, reason: str) -> None:
    with pytest.raises(InternalError) as caught:
        assemble(text, HASWELL)
    message = str(caught.value)
    assert message.startswith("LLVM cannot take this module: ")
    assert reason in message
    assert message.endswith(f"--- the module ---\n{text}")


def test_a_256_bit_dot_product_needs_either_vnni() -> None:
    dot = "declare <8 x i32> @llvm.x86.avx512.vpdpbusd.256(<8 x i32>, <32 x i8>, <32 x i8>)"
    refuse_deadly(dot, CodeTarget("alderlake", "+avx2,+avxvnni"))
    refuse_deadly(dot, CodeTarget("icelake-server", "+avx512f,+avx512vl,+avx512vnni"))
    with pytest.raises(InternalError, match="needs avx512vl avx512vnni or avxvnni"):
        refuse_deadly(dot, HASWELL)
    wide = "declare <16 x i32> @llvm.x86.avx512.vpdpbusd.512(<16 x i32>, <64 x i8>, <64 x i8>)"
    with pytest.raises(InternalError, match=r"vpdpbusd\.512"):
        refuse_deadly(wide, CodeTarget("alderlake", "+avx2,+avxvnni"))


@pytest.mark.parametrize("name", [m.name for m in machines.MACHINES.values() if m.kind == "cpu"])
def test_every_machines_own_intrinsics_are_allowed(name: str) -> None:
    machine = machines.get(name)
    target = CodeTarget(machine.llvm_cpu, machine.llvm_features)
    for row in machine.rows:
        refuse_deadly("\n".join((*row.declare, *row.code)), target)


DEADLY = """
import sys
from convjit.runtime import assemble
if sys.argv[1] == "unguarded":
    assemble.refuse_deadly = lambda text, target: None
text = '''declare <16 x float> @llvm.x86.avx512.add.ps.512(<16 x float>, <16 x float>, i32)
define void @f(ptr %p) {
  %a = load <16 x float>, ptr %p
  %b = call <16 x float> @llvm.x86.avx512.add.ps.512(<16 x float> %a, <16 x float> %a, i32 4)
  store <16 x float> %b, ptr %p
  ret void
}'''
try:
    assemble.assemble(text, assemble.CodeTarget("haswell", "+avx2"))
except assemble.InternalError:
    sys.exit(5)
"""


@pytest.mark.parametrize(("how", "status"), [("guarded", 5), ("unguarded", -6)])
def test_the_refusal_keeps_the_process_alive(how: str, status: int) -> None:
    child = subprocess.run([sys.executable, "-c", DEADLY, how], capture_output=True, check=False)
    assert child.returncode == status, child.stderr.decode()


def test_loaded_code_lives_as_long_as_its_library() -> None:
    image = assemble(kernels.SCALE, kernels.TARGET)
    library = load(image, ["scale"])
    numbers = [(ctypes.c_float * 2)(*values) for values in ((2, 3), (5, 0), (0, 0))]
    signature = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, ctypes.c_int64, ctypes.c_int64)
    signature(library.address("scale"))(*numbers, 0, 2)
    assert list(numbers[2]) == [10, 15]
    unload = library._unload
    assert unload.alive
    del library
    assert not unload.alive


def test_symbols_that_are_not_there_are_our_mistake() -> None:
    image = assemble(kernels.SCALE, kernels.TARGET)
    with pytest.raises(InternalError, match=rf"LLVM cannot link an object of {len(image)} bytes: .*missing"):
        load(image, ["missing"])


def test_imports_are_addresses() -> None:
    text = "declare i32 @forty()\ndefine i32 @more() {\n %a = call i32 @forty()\n %b = add i32 %a, 2\n ret i32 %b\n}"
    forty = ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 40)
    address = ctypes.cast(forty, ctypes.c_void_p).value or 0
    library = load(assemble(text, kernels.TARGET), ["more"], {"forty": address})
    assert ctypes.CFUNCTYPE(ctypes.c_int)(library.address("more"))() == 42
