"""One step over the grid of its thread axes, as LLVM IR text: cut into chunks for the pool, or in one piece."""

from __future__ import annotations

CHUNKS = 8
"""Chunks per worker that a grid is cut into, where it has as many values."""

STEP = f"""
declare i64 @llvm.smax.i64(i64, i64)

; An extent: a number, or -1-i for the i-th open size.
define internal i64 @extent(i64 %code, ptr %sizes) alwaysinline {{
entry:
  %plain = icmp sge i64 %code, 0
  br i1 %plain, label %number, label %open
number:
  ret i64 %code
open:
  %i = xor i64 %code, -1
  %p = getelementptr i64, ptr %sizes, i64 %i
  %v = load i64, ptr %p
  ret i64 %v
}}

define internal i64 @ceil_div(i64 %a, i64 %b) {{
  %a.less = sub i64 %a, 1
  %sum = add i64 %a.less, %b
  %q = udiv i64 %sum, %b
  ret i64 %q
}}

; One step over its grid. Axes are cut outermost first until there are about {CHUNKS} chunks for each worker.
define internal void @step(ptr %step, ptr %slots, ptr %sizes, i64 %threads) {{
entry:
  %job = alloca %Job, align 16
  %mode = alloca i32, align 4
  %range = alloca [12 x i64], align 16
  %task.p = field Step.task, %step
  %task = load ptr, ptr %task.p
  %count.p = field Step.axis_count, %step
  %count = load i64, ptr %count.p
  %axes = field Step.axes, %step
  %grid = field Job.grid, %job
  %want = mul i64 %threads, {CHUNKS}
  %none = icmp eq i64 %count, 0
  br i1 %none, label %alone, label %axis
axis:
  %a = phi i64 [ 0, %entry ], [ %a.next, %cut ]
  %rest = phi i64 [ %want, %entry ], [ %rest.next, %cut ]
  %total = phi i64 [ 1, %entry ], [ %total.next, %cut ]
  %axis.p = getelementptr %Axis, ptr %axes, i64 %a
  %extent.p = field Axis.extent, %axis.p
  %code = load i64, ptr %extent.p
  %extent = call i64 @extent(i64 %code, ptr %sizes)
  %two.a = shl i64 %a, 1
  %begin.p = getelementptr i64, ptr %range, i64 %two.a
  store i64 0, ptr %begin.p
  %end.p = getelementptr i64, ptr %begin.p, i64 1
  store i64 %extent, ptr %end.p
  %some = icmp sgt i64 %extent, 0
  br i1 %some, label %cut, label %done
cut:
  %step.p = field Axis.step, %axis.p
  %by = load i64, ptr %step.p
  %values = call i64 @ceil_div(i64 %extent, i64 %by)
  %many = icmp ult i64 %values, %rest
  %tried = select i1 %many, i64 %values, i64 %rest
  %per = call i64 @ceil_div(i64 %values, i64 %tried)
  %parts = call i64 @ceil_div(i64 %values, i64 %per)
  %chunk = mul i64 %per, %by
  %g = getelementptr %Grid, ptr %grid, i64 %a
  %g.extent = field Grid.extent, %g
  store i64 %extent, ptr %g.extent
  %g.chunk = field Grid.chunk, %g
  store i64 %chunk, ptr %g.chunk
  %g.parts = field Grid.parts, %g
  store i64 %parts, ptr %g.parts
  %total.next = mul i64 %total, %parts
  %rest.next = call i64 @ceil_div(i64 %rest, i64 %parts)
  %a.next = add i64 %a, 1
  %more = icmp ult i64 %a.next, %count
  br i1 %more, label %axis, label %choose
choose:
  %single = icmp eq i64 %total.next, 1
  %serial.asked = icmp ule i64 %threads, 1
  %serial = or i1 %single, %serial.asked
  br i1 %serial, label %alone, label %own
own:
  %owned = cmpxchg ptr @busy, i32 0, i32 1 acquire monotonic
  %mine = extractvalue {{ i32, i1 }} %owned, 1
  br i1 %mine, label %together, label %alone
together:
  %few = icmp ult i64 %total.next, %threads
  %workers = select i1 %few, i64 %total.next, i64 %threads
  %helpers = sub i64 %workers, 1
  %helpers.32 = trunc i64 %helpers to i32
  call void @hire(i32 %helpers.32)
  %j.task = field Job.task, %job
  store ptr %task, ptr %j.task
  %j.slots = field Job.slots, %job
  store ptr %slots, ptr %j.slots
  %j.sizes = field Job.sizes, %job
  store ptr %sizes, ptr %j.sizes
  %j.count = field Job.axis_count, %job
  store i64 %count, ptr %j.count
  %j.total = field Job.total, %job
  store i64 %total.next, ptr %j.total
  call void @llvm.x86.sse.stmxcsr(ptr %mode)
  %mode.32 = load i32, ptr %mode
  %mode.64 = zext i32 %mode.32 to i64
  %j.mode = field Job.mode, %job
  store i64 %mode.64, ptr %j.mode
  call void @fork_join(ptr %job, i64 %helpers)
  store atomic i32 0, ptr @busy release, align 4
  br label %done
alone:
  call void %task(ptr %slots, ptr %sizes, ptr %range)
  br label %done
done:
  ret void
}}
"""
