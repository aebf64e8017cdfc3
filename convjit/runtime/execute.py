"""The steps of a call one after the other, as LLVM IR text: memory for temporaries, and the GIL released."""

from __future__ import annotations

EXECUTE = """
declare ptr @aligned_alloc(i64, i64)
declare void @free(ptr)
declare ptr @PyEval_SaveThread()
declare void @PyEval_RestoreThread(ptr)
declare { i64, i1 } @llvm.umul.with.overflow.i64(i64, i64)

; Bytes of a temporary, rounded up to 64, or -1 where they do not fit into 62 bits.
define internal i64 @temp_bytes(ptr %temp, ptr %sizes) {
entry:
  %bits.p = field Temp.bits, %temp
  %bits = load i64, ptr %bits.p
  %rank.p = field Temp.rank, %temp
  %rank = load i64, ptr %rank.p
  %dims = field Temp.dims, %temp
  br label %head
head:
  %i = phi i64 [ 0, %entry ], [ %i.next, %dim ]
  %n = phi i64 [ %bits, %entry ], [ %n.next, %dim ]
  %more = icmp ult i64 %i, %rank
  br i1 %more, label %dim, label %done
dim:
  %dim.p = getelementptr i64, ptr %dims, i64 %i
  %code = load i64, ptr %dim.p
  %extent = call i64 @extent(i64 %code, ptr %sizes)
  %product = call { i64, i1 } @llvm.umul.with.overflow.i64(i64 %n, i64 %extent)
  %n.next = extractvalue { i64, i1 } %product, 0
  %over = extractvalue { i64, i1 } %product, 1
  %i.next = add i64 %i, 1
  br i1 %over, label %huge, label %head
done:
  %up = add i64 %n, 511
  %bytes.8 = lshr i64 %up, 9
  %bytes = shl i64 %bytes.8, 6
  %large = icmp ugt i64 %n, 4611686018427387904
  %result = select i1 %large, i64 -1, i64 %bytes
  ret i64 %result
huge:
  ret i64 -1
}

; Addresses for the temporaries. They lie in one block that the kernel keeps between calls: a call takes it out of the
; record and puts it back, and a second call at the same time makes one of its own. Capacity stands in its first word.
define internal i32 @take_scratch(ptr %call, ptr %slots, ptr %sizes, ptr %taken) {
entry:
  store ptr null, ptr %taken
  %count.p = field Call.temp_count, %call
  %count = load i64, ptr %count.p
  %temps.p = field Call.temps, %call
  %temps = load ptr, ptr %temps.p
  %none = icmp eq i64 %count, 0
  br i1 %none, label %fine, label %measure
measure:
  %i = phi i64 [ 0, %entry ], [ %i.next, %again ]
  %sum = phi i64 [ 64, %entry ], [ %sum.next, %again ]
  %temp = getelementptr %Temp, ptr %temps, i64 %i
  %bytes = call i64 @temp_bytes(ptr %temp, ptr %sizes)
  %huge = icmp slt i64 %bytes, 0
  br i1 %huge, label %failed, label %counted
counted:
  %sum.next = add i64 %sum, %bytes
  %i.next = add i64 %i, 1
  %sum.huge = icmp slt i64 %sum.next, 0
  br i1 %sum.huge, label %failed, label %again
again:
  %more = icmp ult i64 %i.next, %count
  br i1 %more, label %measure, label %get
get:
  %scratch.p = field Call.scratch, %call
  %kept = atomicrmw xchg ptr %scratch.p, ptr null acq_rel
  %absent = icmp eq ptr %kept, null
  br i1 %absent, label %make, label %try
try:
  %capacity = load i64, ptr %kept
  %fits = icmp uge i64 %capacity, %sum.next
  br i1 %fits, label %place, label %drop
drop:
  call void @free(ptr %kept)
  br label %make
make:
  %new = call ptr @aligned_alloc(i64 64, i64 %sum.next)
  %bad = icmp eq ptr %new, null
  br i1 %bad, label %failed, label %made
made:
  store i64 %sum.next, ptr %new
  br label %place
place:
  %block = phi ptr [ %kept, %try ], [ %new, %made ]
  store ptr %block, ptr %taken
  br label %one
one:
  %j = phi i64 [ 0, %place ], [ %j.next, %one ]
  %offset = phi i64 [ 64, %place ], [ %offset.next, %one ]
  %t = getelementptr %Temp, ptr %temps, i64 %j
  %slot.p = field Temp.slot, %t
  %slot = load i64, ptr %slot.p
  %address = getelementptr i8, ptr %block, i64 %offset
  %entry.p = getelementptr ptr, ptr %slots, i64 %slot
  store ptr %address, ptr %entry.p
  %size = call i64 @temp_bytes(ptr %t, ptr %sizes)
  %offset.next = add i64 %offset, %size
  %j.next = add i64 %j, 1
  %left = icmp ult i64 %j.next, %count
  br i1 %left, label %one, label %fine
fine:
  ret i32 0
failed:
  ret i32 -1
}

; All steps, without the GIL. 0, or -1 where there is no memory for the temporaries (then nothing has run).
define i32 @convjit.execute(ptr %call, ptr %slots, ptr %sizes) {
entry:
  %taken = alloca ptr, align 8
  %got = call i32 @take_scratch(ptr %call, ptr %slots, ptr %sizes, ptr %taken)
  %bad = icmp ne i32 %got, 0
  br i1 %bad, label %failed, label %start
start:
  %threads.p = field Call.threads, %call
  %threads = load i64, ptr %threads.p
  %count.p = field Call.step_count, %call
  %count = load i64, ptr %count.p
  %steps.p = field Call.steps, %call
  %steps = load ptr, ptr %steps.p
  %state = call ptr @PyEval_SaveThread()
  br label %head
head:
  %i = phi i64 [ 0, %start ], [ %i.next, %step ]
  %more = icmp ult i64 %i, %count
  br i1 %more, label %step, label %end
step:
  %s = getelementptr %Step, ptr %steps, i64 %i
  call void @step(ptr %s, ptr %slots, ptr %sizes, i64 %threads)
  %i.next = add i64 %i, 1
  br label %head
end:
  call void @PyEval_RestoreThread(ptr %state)
  %block = load ptr, ptr %taken
  %none = icmp eq ptr %block, null
  br i1 %none, label %fine, label %give
give:
  %scratch.p = field Call.scratch, %call
  %other = atomicrmw xchg ptr %scratch.p, ptr %block acq_rel
  call void @free(ptr %other)
  br label %fine
fine:
  ret i32 0
failed:
  ret i32 -1
}
"""
