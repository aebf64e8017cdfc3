"""The worker pool, as LLVM IR text: one per process, made of as many workers as a call has asked for so far.

A job is open while the epoch in the upper half of `@state` is odd. Workers that are free join an open job by counting
themselves into the lower bits of the same word, as long as it wants helpers; the caller works too, closes the job when
no chunk is left, and waits for those who joined. So nobody waits for a worker that is still asleep, and a job's record
on the caller's stack is never read after the caller has left. A worker that finds nothing to do spins for a while and
then sleeps on the epoch (a futex).

Every worker has a range of the chunks of its own, the same in every call, and takes from the others' ranges once it is
done: what it read and wrote in the call before, or in the layer before, is in its own caches.

Only one job runs at a time: a caller that finds the pool taken, from another Python thread, runs its step alone.
"""

from __future__ import annotations

SPIN = 8_000
"""Pauses before a worker sleeps: about 0.2 ms, longer than Python takes between two layers of a network."""

SPIN_JOIN = 4_000
"""Pauses of the caller waiting for the last chunks before it gives its time slice away."""

RANGES = 64
"""Ranges at most: more workers share them."""

POOL = f"""
@state = internal global i64 0, align 128      ; epoch (32 bits) | helpers wanted (16) | workers inside (16)
@taken = internal global [{RANGES} x [16 x i64]] zeroinitializer, align 128  ; chunks taken of each range of the open job
@job = internal global ptr null, align 128
@sleepers = internal global i32 0, align 128
@busy = internal global i32 0, align 128       ; 1 while a caller owns the pool
@created = internal global i32 0, align 4

declare i32 @pthread_create(ptr, ptr, ptr, ptr)
declare i32 @pthread_detach(i64)
declare i32 @pthread_sigmask(i32, ptr, ptr)
declare i64 @syscall(i64, ...)
declare i32 @sched_yield()
declare void @llvm.x86.sse2.pause()
declare void @llvm.x86.sse.stmxcsr(ptr)
declare void @llvm.x86.sse.ldmxcsr(ptr)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
declare i64 @llvm.smin.i64(i64, i64)

; In a forked child there are no workers, and no job of another thread goes on.
define void @convjit.after_fork() {{
  store atomic i64 0, ptr @state seq_cst, align 8
  store atomic i32 0, ptr @sleepers seq_cst, align 4
  store atomic i32 0, ptr @busy seq_cst, align 4
  store i32 0, ptr @created
  ret void
}}

define i32 @convjit.workers() {{
  %n = load i32, ptr @created
  ret i32 %n
}}

; Chunks until none is left, those of the worker's own range first.
define internal void @work(ptr %job, i64 %who) {{
entry:
  %range = alloca [{2 * 6} x i64], align 16
  %task.p = field Job.task, %job
  %task = load ptr, ptr %task.p
  %slots.p = field Job.slots, %job
  %slots = load ptr, ptr %slots.p
  %sizes.p = field Job.sizes, %job
  %sizes = load ptr, ptr %sizes.p
  %axes.p = field Job.axis_count, %job
  %axes = load i64, ptr %axes.p
  %total.p = field Job.total, %job
  %total = load i64, ptr %total.p
  %ranges.p = field Job.ranges, %job
  %ranges = load i64, ptr %ranges.p
  %grid = field Job.grid, %job
  %own = urem i64 %who, %ranges
  br label %turn
turn:
  %r = phi i64 [ %own, %entry ], [ %r.next, %empty ]
  %unseen = phi i64 [ %ranges, %entry ], [ %unseen.less, %empty ]
  %r.up = add i64 %r, 1
  %r.total = mul i64 %r, %total
  %first = udiv i64 %r.total, %ranges
  %up.total = mul i64 %r.up, %total
  %beyond = udiv i64 %up.total, %ranges
  %taken = getelementptr [16 x i64], ptr @taken, i64 %r
  br label %next
next:
  %before = atomicrmw add ptr %taken, i64 1 monotonic
  %i = add i64 %first, %before
  %some = icmp ult i64 %i, %beyond
  br i1 %some, label %axis, label %empty
axis:                                          ; innermost axis first: a mixed-radix number
  %left = phi i64 [ %axes, %next ], [ %a, %axis ]
  %rest = phi i64 [ %i, %next ], [ %rest.next, %axis ]
  %a = sub i64 %left, 1
  %g = getelementptr %Grid, ptr %grid, i64 %a
  %extent.p = field Grid.extent, %g
  %extent = load i64, ptr %extent.p
  %chunk.p = field Grid.chunk, %g
  %chunk = load i64, ptr %chunk.p
  %parts.p = field Grid.parts, %g
  %parts = load i64, ptr %parts.p
  %part = urem i64 %rest, %parts
  %rest.next = udiv i64 %rest, %parts
  %begin = mul i64 %part, %chunk
  %end.full = add i64 %begin, %chunk
  %end = call i64 @llvm.smin.i64(i64 %end.full, i64 %extent)
  %slot = shl i64 %a, 1
  %begin.p = getelementptr i64, ptr %range, i64 %slot
  store i64 %begin, ptr %begin.p
  %end.p = getelementptr i64, ptr %begin.p, i64 1
  store i64 %end, ptr %end.p
  %outer = icmp eq i64 %a, 0
  br i1 %outer, label %run, label %axis
run:
  call void %task(ptr %slots, ptr %sizes, ptr %range)
  br label %next
empty:
  %unseen.less = sub i64 %unseen, 1
  %last = icmp eq i64 %r.up, %ranges
  %r.next = select i1 %last, i64 0, i64 %r.up
  %all = icmp eq i64 %unseen.less, 0
  br i1 %all, label %done, label %turn
done:
  ret void
}}

define internal ptr @worker(ptr %number) {{
entry:
  %mode = alloca i32, align 4
  %who = ptrtoint ptr %number to i64
  br label %spin
spin:
  %seen = phi i32 [ 0, %entry ], [ %seen, %pause ], [ %seen, %awake ], [ %seen, %join ], [ %epoch, %full ],
                  [ %epoch, %leave ]
  %n = phi i32 [ {SPIN}, %entry ], [ %n.less, %pause ], [ {SPIN}, %awake ], [ %n, %join ], [ %n, %full ],
               [ {SPIN}, %leave ]
  %s = load atomic i64, ptr @state acquire, align 8
  %epoch.wide = lshr i64 %s, 32
  %epoch = trunc i64 %epoch.wide to i32
  %open = trunc i32 %epoch to i1
  %new = icmp ne i32 %epoch, %seen
  %go = and i1 %open, %new
  br i1 %go, label %look, label %idle
idle:
  %n.less = sub i32 %n, 1
  %patient = icmp sgt i32 %n.less, 0
  br i1 %patient, label %pause, label %tired
pause:
  call void @llvm.x86.sse2.pause()
  br label %spin
tired:                                         ; announce the sleep, then look again: the caller does it in reverse
  %before = atomicrmw add ptr @sleepers, i32 1 seq_cst
  %s.now = load atomic i64, ptr @state seq_cst, align 8
  %e.wide = lshr i64 %s.now, 32
  %e = trunc i64 %e.wide to i32
  %e.open = trunc i32 %e to i1
  %e.new = icmp ne i32 %e, %seen
  %e.go = and i1 %e.open, %e.new
  br i1 %e.go, label %awake, label %sleep
sleep:
  %word = getelementptr i8, ptr @state, i64 4
  %slept = call i64 (i64, ...) @syscall(i64 202, ptr %word, i32 128, i32 %e, ptr null, ptr null, i32 0)
  br label %awake
awake:
  %after = atomicrmw sub ptr @sleepers, i32 1 seq_cst
  br label %spin
look:
  %wanted.up = lshr i64 %s, 16
  %wanted = and i64 %wanted.up, 65535
  %inside = and i64 %s, 65535
  %room = icmp ult i64 %inside, %wanted
  br i1 %room, label %join, label %full
full:
  br label %spin
join:
  %s.in = add i64 %s, 1
  %tried = cmpxchg ptr @state, i64 %s, i64 %s.in acq_rel acquire
  %in = extractvalue {{ i64, i1 }} %tried, 1
  br i1 %in, label %leave, label %spin
leave:
  %job = load ptr, ptr @job
  %mode.p = field Job.mode, %job
  %mode.wide = load i64, ptr %mode.p
  %mode.word = trunc i64 %mode.wide to i32
  store i32 %mode.word, ptr %mode
  call void @llvm.x86.sse.ldmxcsr(ptr %mode)
  call void @work(ptr %job, i64 %who)
  %out = atomicrmw sub ptr @state, i64 1 release
  br label %spin
}}

; Workers up to `wanted`, with all signals left to the threads that were there before. Fewer where none can be had.
define internal void @hire(i32 %wanted) {{
entry:
  %thread = alloca i64, align 8
  %all = alloca [128 x i8], align 8
  %old = alloca [128 x i8], align 8
  %now = load i32, ptr @created
  %enough = icmp sge i32 %now, %wanted
  br i1 %enough, label %done, label %mask
mask:
  call void @llvm.memset.p0.i64(ptr %all, i8 -1, i64 128, i1 false)
  %masked = call i32 @pthread_sigmask(i32 2, ptr %all, ptr %old)
  br label %one
one:
  %have = phi i32 [ %now, %mask ], [ %more, %made ]
  %more = add i32 %have, 1
  %more.wide = zext i32 %more to i64
  %number = inttoptr i64 %more.wide to ptr
  %status = call i32 @pthread_create(ptr %thread, ptr null, ptr @worker, ptr %number)
  %ok = icmp eq i32 %status, 0
  br i1 %ok, label %made, label %unmask
made:
  %id = load i64, ptr %thread
  %detached = call i32 @pthread_detach(i64 %id)
  store i32 %more, ptr @created
  %full = icmp sge i32 %more, %wanted
  br i1 %full, label %unmask, label %one
unmask:
  %unmasked = call i32 @pthread_sigmask(i32 2, ptr %old, ptr null)
  br label %done
done:
  ret void
}}

; Open the job, work, close it, wait for the helpers. The caller owns the pool.
define internal void @fork_join(ptr %job, i64 %helpers) {{
entry:
  store ptr %job, ptr @job
  %workers = add i64 %helpers, 1
  %ranges = call i64 @llvm.smin.i64(i64 %workers, i64 {RANGES})
  %ranges.p = field Job.ranges, %job
  store i64 %ranges, ptr %ranges.p
  br label %clear
clear:
  %r = phi i64 [ 0, %entry ], [ %r.up, %clear ]
  %taken = getelementptr [16 x i64], ptr @taken, i64 %r
  store atomic i64 0, ptr %taken monotonic, align 8
  %r.up = add i64 %r, 1
  %all = icmp eq i64 %r.up, %ranges
  br i1 %all, label %open.it, label %clear
open.it:
  %s = load atomic i64, ptr @state monotonic, align 8
  %epoch = and i64 %s, -4294967296
  %epoch.open = add i64 %epoch, 4294967296
  %wanted = shl i64 %helpers, 16
  %open = or i64 %epoch.open, %wanted
  store atomic i64 %open, ptr @state seq_cst, align 8
  %asleep = load atomic i32, ptr @sleepers seq_cst, align 4
  %any = icmp ne i32 %asleep, 0
  br i1 %any, label %wake, label %share
wake:
  %word = getelementptr i8, ptr @state, i64 4
  %count = trunc i64 %helpers to i32
  %woken = call i64 (i64, ...) @syscall(i64 202, ptr %word, i32 129, i32 %count, ptr null, ptr null, i32 0)
  br label %share
share:
  call void @work(ptr %job, i64 0)
  %closed = atomicrmw add ptr @state, i64 4294967296 acq_rel
  br label %wait
wait:
  %n = phi i32 [ 0, %share ], [ %n.more, %pause ], [ %n, %yield ]
  %now = load atomic i64, ptr @state acquire, align 8
  %inside = and i64 %now, 65535
  %alone = icmp eq i64 %inside, 0
  br i1 %alone, label %done, label %busy
busy:
  %long = icmp sgt i32 %n, {SPIN_JOIN}
  br i1 %long, label %yield, label %pause
pause:
  %n.more = add i32 %n, 1
  call void @llvm.x86.sse2.pause()
  br label %wait
yield:
  %yielded = call i32 @sched_yield()
  br label %wait
done:
  ret void
}}
"""
