"""Small kernels written by hand, with their programs, for the tests of the runtime."""

from __future__ import annotations

from convjit.kernel.program import Array, Program, Step, ThreadAxis
from convjit.nest.ir import OpenSize
from convjit.runtime.assemble import CodeTarget, Library, assemble, load
from convjit.runtime.native_conv import NativeConv
from convjit.runtime.tasks import task_symbols, with_tasks

TARGET = CodeTarget("x86-64")

SCALE = """
define void @scale(ptr %x, ptr %w, ptr %y, i64 %begin, i64 %end) {
entry:
  %w0 = load float, ptr %w
  %some = icmp slt i64 %begin, %end
  br i1 %some, label %loop, label %done
loop:
  %i = phi i64 [ %begin, %entry ], [ %i.next, %loop ]
  %xp = getelementptr float, ptr %x, i64 %i
  %xv = load float, ptr %xp
  %v = fmul float %xv, %w0
  %yp = getelementptr float, ptr %y, i64 %i
  store float %v, ptr %yp
  %i.next = add i64 %i, 1
  %more = icmp slt i64 %i.next, %end
  br i1 %more, label %loop, label %done
done:
  ret void
}
"""
"""y[i] = x[i] * w[0], over one thread axis."""

PACK = """
define void @pack(ptr %w, ptr %p) {
  %a = load float, ptr %w
  %b = fadd float %a, 1.0
  store float %b, ptr %p
  %count.p = getelementptr float, ptr %p, i64 1
  store float 0.0, ptr %count.p
  ret void
}
"""
"""p[0] = w[0] + 1, the "packed weights"."""

GRID = """
define void @grid(ptr %y, i64 %n, i64 %b0, i64 %e0, i64 %b1, i64 %e1) {
entry:
  br label %row
row:
  %i = phi i64 [ %b0, %entry ], [ %i.next, %row.end ]
  %row.more = icmp slt i64 %i, %e0
  br i1 %row.more, label %column, label %done
column:
  %j = phi i64 [ %b1, %row ], [ %j.next, %cell ]
  %more = icmp slt i64 %j, %e1
  br i1 %more, label %cell, label %row.end
cell:
  %r = mul i64 %i, %n
  %o = add i64 %r, %j
  %p = getelementptr i32, ptr %y, i64 %o
  %old = load i32, ptr %p
  %new = add i32 %old, 1
  store i32 %new, ptr %p
  %j.next = add i64 %j, 1
  br label %column
row.end:
  %i.next = add i64 %i, 1
  br label %row
done:
  ret void
}
"""
"""y[i, j] += 1 over two thread axes: shows whether every value is given exactly once."""


FIRST = """
define void @first(ptr %y, i64 %begin, i64 %end) {
  %p = getelementptr i32, ptr %y, i64 %begin
  %old = load i32, ptr %p
  %new = add i32 %old, 1
  store i32 %new, ptr %p
  ret void
}
"""
"""y[begin] += 1: shows where chunks begin."""

WAIT = """
declare void @llvm.x86.sse2.pause()
define void @wait(ptr %x, ptr %y) {
entry:
  br label %look
look:
  %n = phi i64 [ 0, %entry ], [ %n.next, %again ]
  %v = load atomic i32, ptr %x acquire, align 4
  %set = icmp ne i32 %v, 0
  br i1 %set, label %done, label %again
again:
  call void @llvm.x86.sse2.pause()
  %n.next = add i64 %n, 1
  %tired = icmp ugt i64 %n.next, 50000000
  br i1 %tired, label %done, label %look
done:
  store i32 %v, ptr %y
  ret void
}
"""
"""y[0] = x[0], once another thread has set it (or, after seconds, 0)."""

COPY = """
define void @copy(ptr %x, ptr %y) {
  %v = load i16, ptr %x
  store i16 %v, ptr %y
  ret void
}
"""
"""y[0] = x[0], 16 bits of any type."""


def library(text: str, program: Program) -> Library:
    """The program's code in this process."""
    return load(assemble(with_tasks(text, program), TARGET), task_symbols(program))


def scale_program(n: int = 8, dtype: str = "f32") -> Program:
    """y = x * w[0] for arrays of n."""
    step = Step("scale", ("x", "w", "y"), ("y",), threads=(ThreadAxis("n", n, 1),))
    inputs = (Array("x", dtype, (1, n)), Array("w", dtype, (1,)))
    return Program("scale", inputs, Array("y", dtype, (1, n)), (), (step,))


def open_program() -> Program:
    """y = x * w[0] for open H, with OH = (H - 1) // 1 + 1."""
    step = Step("scale", ("x", "w", "y"), ("y",), threads=(ThreadAxis("h", "OH", 1),))
    inputs = (Array("x", "f32", ("H",)), Array("w", "f32", (1,)), Array("r", "f32", ("H", 2)))
    sizes = (OpenSize("H"), OpenSize("OH", "H", -1, 1))
    return Program("open", inputs, Array("y", "f32", ("OH",)), (), (step,), sizes)


def packed_program(n: int = 8) -> Program:
    """y = x * (w[0] + 1), the sum through a temporary."""
    pack = Step("pack", ("w", "p"), ("p",))
    scale = Step("scale", ("x", "p", "y"), ("y",), threads=(ThreadAxis("n", n, 1),))
    inputs = (Array("x", "f32", (1, n)), Array("w", "f32", (1,)))
    return Program("packed", inputs, Array("y", "f32", (1, n)), (Array("p", "f32", (16,)),), (pack, scale))


def grid_program(rows: int, columns: int, step_r: int = 1, step_c: int = 1) -> Program:
    """y[i, j] += 1, to be called with out=."""
    axes = (ThreadAxis("i", rows, step_r), ThreadAxis("j", columns, step_c))
    step = Step("grid", ("y",), ("y",), ("columns",), axes)
    sizes = (OpenSize("columns"),)
    inputs = (Array("like", "i8", ("columns",)),)
    return Program("grid", inputs, Array("y", "i32", (rows, columns)), (), (step,), sizes)


AXES = {"x": ("N", "C"), "w": ("OC",), "y": ("N", "OC")}


def scale(n: int = 8, threads: int = 1) -> NativeConv:
    program = scale_program(n)
    return NativeConv(program, library(SCALE, program), threads=threads, axes=AXES)


def packed(n: int = 8, threads: int = 1) -> NativeConv:
    program = packed_program(n)
    return NativeConv(program, library(SCALE + PACK, program), threads=threads, axes=AXES)


def opened(threads: int = 1) -> NativeConv:
    program = open_program()
    return NativeConv(program, library(SCALE, program), threads=threads)


def grid(rows: int, columns: int, threads: int, step_r: int = 1, step_c: int = 1) -> NativeConv:
    program = grid_program(rows, columns, step_r, step_c)
    return NativeConv(program, library(GRID, program), threads=threads)


def first(extent: int, step: int, threads: int) -> NativeConv:
    axes = (ThreadAxis("n", extent, step),)
    program = Program(
        "first", (), Array("y", "i32", (extent,)), (), (Step("first", ("y",), ("y",), (), axes),)
    )
    return NativeConv(program, library(FIRST, program), threads=threads)


def wait() -> NativeConv:
    inputs = (Array("x", "i32", (1,)),)
    program = Program("wait", inputs, Array("y", "i32", (1,)), (), (Step("wait", ("x", "y"), ("y",)),))
    return NativeConv(program, library(WAIT, program), threads=1)


def copy16(dtype: str) -> NativeConv:
    inputs = (Array("x", dtype, (1,)),)
    program = Program("copy", inputs, Array("y", dtype, (1,)), (), (Step("copy", ("x", "y"), ("y",)),))
    return NativeConv(program, library(COPY, program), threads=1)


def greedy() -> NativeConv:
    """A kernel whose temporary fits into no memory."""
    step = Step("scale", ("x", "w", "t"), ("t",), threads=(ThreadAxis("n", 8, 1),))
    inputs = (Array("x", "f32", (1, 8)), Array("w", "f32", (1,)))
    huge = (Array("t", "f32", (2**50, 2**50)),)
    program = Program("greedy", inputs, Array("y", "f32", (1, 8)), huge, (step,))
    return NativeConv(program, library(SCALE, program), threads=1)
