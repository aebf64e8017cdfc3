"""The function object's code, as LLVM IR text: from the arguments of a Python call to `convjit.execute`.

It is the same code for every kernel: what differs stands in a `CallRecord`. `convjit.call` follows CPython's vectorcall
convention, which is also that of METH_FASTCALL | METH_KEYWORDS. It takes NumPy arrays that fit exactly; for everything
else, errors included, it calls the Python path (`CallRecord.slow`) with the same arguments and has touched nothing.
"""

from __future__ import annotations

import sys

from convjit.runtime.argument import HEAD
from convjit.runtime.layout import MAX_PARAMS, MAX_SIZES, MAX_SLOTS

READ = 0x3C
"""PyBUF_C_CONTIGUOUS | PyBUF_FORMAT"""

WRITE = READ | 1
"""... | PyBUF_WRITABLE"""

RECORD = HEAD + 8
"""Where in the called object the address of its `CallRecord` stands (see `vectorcall`)."""

ARGUMENTS = sys.maxsize
"""Masks the flag bit out of vectorcall's number of arguments."""

CALL = f"""
declare ptr @PyObject_Vectorcall(ptr, ptr, i64, ptr)
declare ptr @PyTuple_New(i64)
declare i32 @PyTuple_SetItem(ptr, i64, ptr)
declare ptr @PyLong_FromSsize_t(i64)
declare ptr @PyErr_NoMemory()
declare void @Py_IncRef(ptr)
declare void @Py_DecRef(ptr)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)

; The output's shape as a new tuple, or null with an exception set.
define internal ptr @shape(ptr %param, ptr %sizes) {{
entry:
  %rank.p = field Param.rank, %param
  %rank = load i64, ptr %rank.p
  %dims = field Param.dims, %param
  %tuple = call ptr @PyTuple_New(i64 %rank)
  %bad = icmp eq ptr %tuple, null
  br i1 %bad, label %failed, label %head
head:
  %i = phi i64 [ 0, %entry ], [ %i.next, %set ]
  %more = icmp ult i64 %i, %rank
  br i1 %more, label %dim, label %done
dim:
  %code.p = getelementptr i64, ptr %dims, i64 %i
  %code = load i64, ptr %code.p
  %extent = call i64 @extent(i64 %code, ptr %sizes)
  %number = call ptr @PyLong_FromSsize_t(i64 %extent)
  %none = icmp eq ptr %number, null
  br i1 %none, label %drop, label %set
set:
  %stored = call i32 @PyTuple_SetItem(ptr %tuple, i64 %i, ptr %number)
  %i.next = add i64 %i, 1
  br label %head
done:
  ret ptr %tuple
drop:
  call void @Py_DecRef(ptr %tuple)
  br label %failed
failed:
  ret ptr null
}}

; A new output from numpy.empty, or null with an exception set.
define internal ptr @new_output(ptr %call, ptr %param, ptr %sizes) {{
entry:
  %two = alloca [2 x ptr], align 16
  %fixed.p = field Call.shape, %call
  %fixed = load ptr, ptr %fixed.p
  %open = icmp eq ptr %fixed, null
  br i1 %open, label %build, label %keep
build:
  %built = call ptr @shape(ptr %param, ptr %sizes)
  %bad = icmp eq ptr %built, null
  br i1 %bad, label %failed, label %make
keep:
  call void @Py_IncRef(ptr %fixed)
  br label %make
make:
  %shape = phi ptr [ %built, %build ], [ %fixed, %keep ]
  %dtype.p = field Call.dtype, %call
  %dtype = load ptr, ptr %dtype.p
  %empty.p = field Call.empty, %call
  %empty = load ptr, ptr %empty.p
  store ptr %shape, ptr %two
  %second = getelementptr ptr, ptr %two, i64 1
  store ptr %dtype, ptr %second
  %array = call ptr @PyObject_Vectorcall(ptr %empty, ptr %two, i64 2, ptr null)
  call void @Py_DecRef(ptr %shape)
  ret ptr %array
failed:
  ret ptr null
}}

define internal void @release(ptr %views, i64 %count) {{
entry:
  br label %head
head:
  %i = phi i64 [ 0, %entry ], [ %i.next, %one ]
  %more = icmp ult i64 %i, %count
  br i1 %more, label %one, label %done
one:
  %v = getelementptr %View, ptr %views, i64 %i
  call void @PyBuffer_Release(ptr %v)
  %i.next = add i64 %i, 1
  br label %head
done:
  ret void
}}

define ptr @convjit.call(ptr %self, ptr %args, i64 %flagged, ptr %names) {{
entry:
  %objects = alloca [{MAX_PARAMS + 1} x ptr], align 16
  %views = alloca [{MAX_PARAMS + 1} x %View], align 16
  %slots = alloca [{MAX_SLOTS} x ptr], align 16
  %sizes = alloca [{MAX_SIZES} x i64], align 16
  %n = and i64 %flagged, {ARGUMENTS}
  %call.p = getelementptr i8, ptr %self, i64 {RECORD}
  %call = load ptr, ptr %call.p
  %fast.p = field Call.fast, %call
  %fast = load i64, ptr %fast.p
  %is.fast = icmp ne i64 %fast, 0
  br i1 %is.fast, label %arguments, label %slow
arguments:
  %params.p = field Call.params, %call
  %params = load ptr, ptr %params.p
  %count.p = field Call.param_count, %call
  %count = load i64, ptr %count.p
  %arranged = call i32 @arrange(ptr %params, i64 %count, ptr %args, i64 %n, ptr %names, ptr %objects)
  %odd = icmp ne i32 %arranged, 0
  br i1 %odd, label %slow, label %start
start:
  %slot.count.p = field Call.slot_count, %call
  %slot.count = load i64, ptr %slot.count.p
  %slot.bytes = shl i64 %slot.count, 3
  %slots.p = field Call.slots, %call
  %slots.init = load ptr, ptr %slots.p
  call void @llvm.memcpy.p0.p0.i64(ptr %slots, ptr %slots.init, i64 %slot.bytes, i1 false)
  %size.count.p = field Call.size_count, %call
  %size.count = load i64, ptr %size.count.p
  %size.bytes = shl i64 %size.count, 3
  %sizes.p = field Call.size_values, %call
  %sizes.init = load ptr, ptr %sizes.p
  call void @llvm.memcpy.p0.p0.i64(ptr %sizes, ptr %sizes.init, i64 %size.bytes, i1 false)
  %type.p = field Call.array_type, %call
  %type = load ptr, ptr %type.p
  br label %head
head:
  %i = phi i64 [ 0, %start ], [ %i.next, %held ]
  %more = icmp ult i64 %i, %count
  br i1 %more, label %input, label %output
input:
  %object.p = getelementptr ptr, ptr %objects, i64 %i
  %object = load ptr, ptr %object.p
  %view = getelementptr %View, ptr %views, i64 %i
  %param = getelementptr %Param, ptr %params, i64 %i
  %checked = call i32 @check(ptr %object, ptr %view, ptr %param, i32 {READ}, ptr %type, ptr %sizes)
  %unfit = icmp ne i32 %checked, 0
  br i1 %unfit, label %back, label %held
held:
  %data.p = field View.data, %view
  %data = load ptr, ptr %data.p
  %slot.p = field Param.slot, %param
  %slot = load i64, ptr %slot.p
  %place = getelementptr ptr, ptr %slots, i64 %slot
  store ptr %data, ptr %place
  %i.next = add i64 %i, 1
  br label %head
output:
  %derived = call i32 @derive(ptr %call, ptr %sizes)
  %wrong = icmp ne i32 %derived, 0
  br i1 %wrong, label %back, label %find
find:
  %out.p = getelementptr ptr, ptr %objects, i64 %count
  %out.given = load ptr, ptr %out.p
  %out.view = getelementptr %View, ptr %views, i64 %count
  %out.param = getelementptr %Param, ptr %params, i64 %count
  %absent = icmp eq ptr %out.given, null
  br i1 %absent, label %allocate, label %given
allocate:
  %out.new = call ptr @new_output(ptr %call, ptr %out.param, ptr %sizes)
  %no.array = icmp eq ptr %out.new, null
  br i1 %no.array, label %error, label %ask
ask:
  %asked = call i32 @PyObject_GetBuffer(ptr %out.new, ptr %out.view, i32 {WRITE})
  %no.view = icmp ne i32 %asked, 0
  br i1 %no.view, label %unmake, label %run
given:
  %out.checked = call i32 @check(ptr %out.given, ptr %out.view, ptr %out.param, i32 {WRITE}, ptr %type, ptr %sizes)
  %out.unfit = icmp ne i32 %out.checked, 0
  br i1 %out.unfit, label %back, label %apart
apart:
  %begin.p = field View.data, %out.view
  %begin = load i64, ptr %begin.p
  %bytes.p = field View.bytes, %out.view
  %bytes = load i64, ptr %bytes.p
  %end = add i64 %begin, %bytes
  %shared = call i1 @overlaps(ptr %call, ptr %views, i64 %count, i64 %begin, i64 %end)
  br i1 %shared, label %unhold, label %lend
unhold:
  call void @PyBuffer_Release(ptr %out.view)
  br label %back
lend:
  call void @Py_IncRef(ptr %out.given)
  br label %run
run:
  %out = phi ptr [ %out.new, %ask ], [ %out.given, %lend ]
  %y.p = field View.data, %out.view
  %y = load ptr, ptr %y.p
  %y.slot.p = field Param.slot, %out.param
  %y.slot = load i64, ptr %y.slot.p
  %y.place = getelementptr ptr, ptr %slots, i64 %y.slot
  store ptr %y, ptr %y.place
  %status = call i32 @convjit.execute(ptr %call, ptr %slots, ptr %sizes)
  call void @PyBuffer_Release(ptr %out.view)
  call void @release(ptr %views, i64 %count)
  %ran = icmp eq i32 %status, 0
  br i1 %ran, label %done, label %poor
done:
  ret ptr %out
poor:
  call void @Py_DecRef(ptr %out)
  %memory.error = call ptr @PyErr_NoMemory()
  ret ptr null
unmake:
  call void @Py_DecRef(ptr %out.new)
  br label %error
error:
  call void @release(ptr %views, i64 %count)
  ret ptr null
back:
  %held.count = phi i64 [ %i, %input ], [ %count, %output ], [ %count, %given ], [ %count, %unhold ]
  call void @release(ptr %views, i64 %held.count)
  br label %slow
slow:
  %slow.p = field Call.slow, %call
  %python = load ptr, ptr %slow.p
  %result = call ptr @PyObject_Vectorcall(ptr %python, ptr %args, i64 %n, ptr %names)
  ret ptr %result
}}
"""
