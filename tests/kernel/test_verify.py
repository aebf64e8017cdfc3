"""Whatever is wrong with a kernel is said with the statement's text, before code is made of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from convjit import machine
from convjit.errors import InternalError
from convjit.kernel.ir import Op
from convjit.kernel.parse import parse
from convjit.kernel.rules import check_op
from convjit.kernel.verify import verify
from convjit.machine import Machine, Row
from tests.kernel.random_kernels import random_kernel
from tests.kernel.samples import DENSE, PLAIN_TILE, TILE

AVX2 = machine.get("cpu:avx2")


def fault(text: str, on: Machine | None = None) -> str:
    kernel = parse(text)
    with pytest.raises(InternalError) as caught:
        verify(kernel, on or machine.get(kernel.machine))
    return str(caught.value)


@pytest.mark.parametrize("text", [DENSE, TILE, PLAIN_TILE], ids=["dense", "tile", "plain_tile"])
def test_samples_are_sound(text: str) -> None:
    kernel = parse(text)
    verify(kernel, machine.get(kernel.machine))


@pytest.mark.parametrize("target", ["cpu:scalar", "cpu:avx2", "cpu:avx512"])
def test_random_kernels_are_sound(target: str) -> None:
    for seed in range(10):
        verify(random_kernel(seed, machine.get(target)), machine.get(target))


CPU = """kernel f for cpu:avx2
parameter x f32
parameter y f32 written
size n
{
%s
}"""
GPU = """kernel f for cuda:sm_80
parameter x f32 in global
parameter y f32 in global written
local s 64 in shared at 0
size n
launch blocks (1) threads 32 shared 64 min 0 cluster 1
{
%s
}"""

WRONG_OPS = {
    # values
    "%1 = add i64 %n, %2": "%2 is not visible here",
    "%1 = add i32 %n, 1": "%n is i64, i32 is wanted",
    "%1 = add i64 1, 2\n%1 = add i64 1, 2": "%1 is assigned twice",
    "%1 = add i64 1": "it takes 2 operands",
    "add i64 1, 2": "it gives i64",
    "%1 = store f32 1.0, %y {align 4}": "it gives nothing",
    "%1 = add i64 1.5, 2": "1.5 is not a whole number",
    "%1 = add i8 1, 200": "200 does not fit into i8",
    "%1 = add u8 1, -1": "-1 does not fit into u8",
    "%1 = load f32 12 {align 4}": "12 is no pointer",
    "%1 = load f32 %n {align 4}": "%n is i64, a pointer is wanted",
    "%1 = select ptr 1, %x, 0": "0 is no ptr",
    # types
    "%1 = add f33 1.0, 2.0": "there is no type 'f33'",
    "%1 = add f32x65 1.0, 2.0": "there is no type 'f32x65'",
    "%1 = add f32x1 1.0, 2.0": "there is no type 'f32x1'",
    "%1 = add f16 1.0, 2.0": "not for type f16",
    "%1 = div i32 1, 2": "not for type i32",
    "%1 = abs u8 1": "not for type u8",
    "%1 = udiv f32 1.0, 2.0": "not for type f32",
    "%1 = lt i32 1, 2 {type i32}": "not for type i32",
    "prefetch f32 %x": "it has no type, not 'f32'",
    "%1 = sine f32 1.0": "cpu:avx2 has no instruction of that name and type",
    "%1 = fma f32x16 1.0, 1.0, 1.0": "cpu:avx2 has no instruction of that name and type",
    # attributes
    "%1 = load f32 %x": "its attributes are (align), given are ()",
    "%1 = load f32 %x {align 4, volatile 1}": "its attributes are (align), given are (align volatile)",
    "%1 = load f32 %x {align 4, align 4}": "its attributes are (align), given are (align align)",
    "%1 = load f32 %x {align 3}": "align must be a power of two, not 3",
    "%1 = load f32 %x {align 0}": "align must be a power of two, not 0",
    "%1 = load f32 %x {align 4, constant 2}": "constant is 0 or 1",
    "%1 = const f32x2 {values (1.0)}": "it takes a number for each of 2 lanes",
    "%1 = const i32x2 {values (1 2.5)}": "2.5 is not a whole number",
    "%1 = lt i1x4 1.0, 2.0 {type f32x8}": "8 lanes of f32x8 cannot give i1x4",
    "%1 = ult i1 1.0, 2.0 {type f32}": "it does not compare f32",
    "%1 = eq i1 %x, %x {type ptr}": "it does not compare ptr",
    "%1 = convert f32x4 %n {from i64}": "1 lanes of i64 cannot give f32x4",
    "%1 = convert f32 %n {from word}": "there is no type 'word'",
    "%1 = convert f32 1 {from bf16}": "there is no conversion from bf16",
    "%1 = convert f64 1 {from f16}": "there is no conversion from f16",
    "%1 = bitcast f32 %n {from i64}": "i64 has 8 bytes",
    "%1 = bitcast i64 %x {from ptr}": "not from type ptr",
    "%1 = insert f32x4 1.0, 2.0 {lane 4}": "there is no lane 4 in f32x4",
    "%1 = insert f32 1.0, 2.0 {lane 0}": "there is no lane 0 in f32",
    "%1 = extract f64 1.0 {lane 0, from f32x4}": "a lane of f32x4 is no f64",
    "%1 = shuffle f32x4 1.0, 1.0 {order (0 1), from f32x4}": "order must name 4 lanes",
    "%1 = shuffle f32x2 1.0, 1.0 {order (0 8), from f32x4}": "the operands' lanes are numbered 0 to 7",
    "%1 = shuffle f32x2 1.0, 1.0 {order (0 1), from f64x4}": "lanes of f64x4 cannot give f32x2",
    "%1 = pack u8x16 1, 2 {from i32x8}": "lanes of i32x8 cannot give u8x16",
    "%1 = pack i16x4 1, 2 {from i32x2}": "lanes of i32x2 cannot give i16x4",
    "%1 = pack i32x4 1, 2 {from i64x2}": "not for type i32x4",
    "%1 = lanes_inside i1x4 0, 1 {offsets (0)}": "it takes an offset for each of 4 lanes",
    "%1 = lanes_inside i1 0, 1 {offsets (9999999999)}": "9999999999 does not fit into i32",
    # memory and targets
    "store f32 1.0, %x {align 4}": "parameter x is only read",
    "%1 = step ptr %x, 4\nstore f32 1.0, %1 {align 4}": "parameter x is only read",
    "%1 = load f32 %y {align 4, constant 1}": "parameter y is written, so it is not constant",
    "%1 = step ptr.global %x, 1": "%x is ptr",
    "barrier": "this op is not for cpu",
}


@pytest.mark.parametrize("ops", WRONG_OPS)
def test_wrong_ops(ops: str) -> None:
    assert fault(CPU % ops) == f"f: {ops.splitlines()[-1]}: {WRONG_OPS[ops]}"


WRONG_GPU_OPS = {
    "cp_async %x, %s {bytes 12}": "it copies 4, 8 or 16 bytes, not 12",
    "cp_async %x, %s {bytes 16, align 8}": "16 bytes must be aligned to 16",
    "cp_async %s, %x {bytes 16}": "it copies from global to shared memory",
    "cp_async_wait {groups 9}": "it waits for 0 to 7 groups, not 9",
    "%1 = special i32 {register clock}": "there is no register clock",
    "prefetch %s": "shared memory is not prefetched",
    "%1 = step ptr.shared %x, 4": "%x is ptr.global",
    "%1 = fma f32x4 1.0, 1.0, 1.0": "cuda:sm_80 has no instruction of that name and type",
}


@pytest.mark.parametrize("ops", WRONG_GPU_OPS)
def test_wrong_gpu_ops(ops: str) -> None:
    assert fault(GPU % ops) == f"f: {ops}: {WRONG_GPU_OPS[ops]}"


def test_asynchronous_copies_need_sm_80() -> None:
    text = (GPU % "cp_async %x, %s {bytes 16}").replace("sm_80", "sm_75")
    assert fault(text) == "f: cp_async %x, %s {bytes 16}: it needs sm_80, the machine is cuda:sm_75"


def test_scalar_has_neither_vectors_nor_f16() -> None:
    scalar = CPU.replace("avx2", "scalar")
    add, convert = "%1 = add f32x4 1.0, 2.0", "%1 = convert f32 1.0 {from f16}"
    assert fault(scalar % add) == f"f: {add}: cpu:scalar has no vectors"
    assert fault(scalar % convert) == f"f: {convert}: converting f16 needs f16c"


WRONG_LOOPS = {
    "for %k i32 0 to 4 step 1 {\n}": "a counter is i64 and its step at least 1",
    "for %k i64 0 to 4 step 0 {\n}": "a counter is i64 and its step at least 1",
    "for %k i64 4 to 4 step 1 sure {\n}": "it is said to run, but does not",
    "for %k i64 0 to %m step 1 {\n}": "%m is not visible here",
    "for %k i64 0 to 4 step 1 {\ncarry %a f32 = 0.0, then %n, gives %r\n}": "%n is i64, f32 is wanted",
    "for %k i64 0 to 4 step 1 {\ncarry %a f32 = %n, then 0.0, gives %r\n}": "%n is i64, f32 is wanted",
    "for %k i64 0 to 4 step 1 {\ncarry %a g32 = 0.0, then 0.0, gives %r\n}": "there is no type 'g32'",
    "for %k i64 0 to 4 step 1 {\ncarry %a ptr = %x, then %y, gives %r\n}": "%a starts in 'x' and goes on in 'y'",
    "for %n i64 0 to 4 step 1 {\n}": "%n is assigned twice",
}


@pytest.mark.parametrize("text", WRONG_LOOPS)
def test_wrong_loops(text: str) -> None:
    assert fault(CPU % text) == f"f: {text.split(' {')[0]}: {WRONG_LOOPS[text]}"


WRONG_BRANCHES = {
    "if %n {\n}": "%n is i64, i1 is wanted",
    "%c = lt i1 1, 2 {type i32}\nif %c {\nmerge %r f32 = 0.0, else %q\n}": "%q is not visible here",
    "%c = lt i1 1, 2 {type i32}\nif %c {\nmerge %r f32 = %q, else 0.0\n}": "%q is not visible here",
}


@pytest.mark.parametrize("text", WRONG_BRANCHES)
def test_wrong_branches(text: str) -> None:
    line = next(line for line in text.splitlines() if line.startswith("if"))
    assert fault(CPU % text) == f"f: {line.removesuffix(' {')}: {WRONG_BRANCHES[text]}"


def test_values_of_a_body_are_not_visible_after_it() -> None:
    loop = "for %k i64 0 to 4 step 1 {\n%a = add i64 %k, 1\n}\n%b = add i64 %a, 1"
    branch = "%c = lt i1 1, 2 {type i32}\nif %c {\n%a = add i64 1, 1\n}\n%b = add i64 %a, 1"
    for text in (loop, branch):
        assert fault(CPU % text) == "f: %b = add i64 %a, 1: %a is not visible here"


WRONG_KERNELS = {
    ("kernel f for cpu:avx2", "kernel f for cpu:avx512"): "f: kernel: it is for cpu:avx512, not for cpu:avx2",
    ("parameter x f32\n", "parameter x f33\n"): "f: parameter x: f33 in '' on cpu:avx2",
    ("parameter x f32\n", "parameter x f32 in global\n"): "f: parameter x: f32 in 'global' on cpu:avx2",
    ("size n", "size x"): "f: size: %x is assigned twice",
    ("size n", "local a 0"): "f: local a: 0 bytes at 0",
    ("size n", "local a 16 in shared at 0"): "f: local a: in 'shared' on cpu:avx2",
    ("size n", "local a 600000"): "f: locals: 600000 bytes on the stack, at most 524288",
    ("size n", "launch blocks (1) threads 32 shared 0 min 0 cluster 1"): (
        "f: kernel: a launch belongs to a GPU's kernel, and only to that"
    ),
}


@pytest.mark.parametrize("change", WRONG_KERNELS)
def test_wrong_kernels(change: tuple[str, str]) -> None:
    assert fault((CPU % "").replace(*change), AVX2) == WRONG_KERNELS[change]


def test_names_that_llvm_would_not_take() -> None:
    kernel = parse(CPU % "")
    with pytest.raises(InternalError, match=r"^a\(b: kernel: 'a\(b' cannot be a function's name$"):
        verify(replace(kernel, name="a(b"), AVX2)
    with pytest.raises(InternalError, match=r"^f: %a\$b = add i64 1, 2: '%a\$b' is not a value's name$"):
        verify(replace(kernel, body=(Op("%a$b", "add", "i64", (1, 2)),)), AVX2)


WRONG_LAUNCHES = {
    ("threads 32", "threads 0"): "launch: 0 threads in a block, 1 to 1024 can be",
    ("threads 32", "threads 1025"): "launch: 1025 threads in a block, 1 to 1024 can be",
    ("shared 64", "shared 200000"): "launch: 200000 bytes of shared memory, cuda:sm_80 has 166912",
    ("shared 64", "shared 32"): "launch: locals end at 64, shared memory has 32 bytes",
    ("min 0", "min 65"): "launch: 65 blocks of 32 threads cannot run side by side",
    ("cluster 1", "cluster 2"): "launch: a cluster of 2 on cuda:sm_80",
    ("blocks (1)", "blocks ()"): "launch: no blocks",
    ("blocks (1)", "blocks (m)"): "launch: blocks m",
    ("blocks (1)", "blocks (0)"): "launch: blocks 0",
    ("at 0", "at 8"): "local s: 64 bytes at 8",
    ("size n", "thread oh"): "thread oh: a GPU's kernel has no thread axes",
}


@pytest.mark.parametrize("change", WRONG_LAUNCHES)
def test_wrong_launches(change: tuple[str, str]) -> None:
    assert fault((GPU % "").replace(*change)) == f"f: {WRONG_LAUNCHES[change]}"


def with_row(on: Machine, **changes: object) -> tuple[Op, Machine]:
    """A machine with one more row, past the checks that a machine makes of its own."""
    row = replace(on.rows[0], name="odd", **changes)  # type: ignore[arg-type]
    other = replace(on)
    object.__setattr__(other, "rows", (*on.rows, row))
    type = row.operands[2]
    return Op("%1", "odd", type, (1.0, 1.0, 1.0)), other


def test_rows_that_the_machine_cannot_run() -> None:
    turing, scalar = machine.get("cuda:sm_75"), machine.get("cpu:scalar")
    wide: Row = machine.get("cpu:avx512").rows[0]
    assert check_op(*with_row(AVX2, feature="avx512f")) == (
        "it needs avx512f, cpu:avx2 has +avx2,+fma,+f16c,+bmi2"
    )
    assert check_op(*with_row(scalar, feature="fma")) == "it needs fma, cpu:scalar has no features"
    assert check_op(*with_row(turing, sm=80)) == "it needs sm_80, the machine is cuda:sm_75"
    assert check_op(*with_row(AVX2, code=wide.code)) == "'llvm.fma.v16f32' needs avx512f"
    assert check_op(*with_row(turing, code=("call void @llvm.nvvm.nonsense()",))) == (
        "'llvm.nvvm.nonsense' is not among the functions that a row may call"
    )
    assert (
        check_op(*with_row(scalar, operands=("f32x4", "f32x4", "f32x4"), code=()))
        == "cpu:scalar has no vectors"
    )


def test_a_function_that_needs_a_newer_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    from convjit.machine.intrinsics import INTRINSICS, Need

    monkeypatch.setitem(INTRINSICS, "llvm.nvvm.newer", Need(sm=90, ptx=80))
    op, on = with_row(machine.get("cuda:sm_80"), code=("call void @llvm.nvvm.newer()",))
    assert check_op(op, on) == "'llvm.nvvm.newer' needs sm_90, the machine is cuda:sm_80"


def test_registers_may_not_run_side_by_side_too_often() -> None:
    assert fault((GPU % "").replace("min 0", "min -1")) == (
        "f: launch: -1 blocks of 32 threads cannot run side by side"
    )
