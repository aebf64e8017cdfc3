"""The arguments of a call, as LLVM IR text: which is which, and whether an array is exactly what the program wants."""

from __future__ import annotations

HEAD = object.__basicsize__
"""Bytes of an object's head, which ends with its type."""

CHECK = f"""
declare i32 @PyObject_GetBuffer(ptr, ptr, i32)
declare void @PyBuffer_Release(ptr)
declare void @PyErr_Clear()

; 0 where the object is an array as `param` wants it: `view` then holds it. Otherwise -1, and nothing is held.
; A size that is still open (negative) is taken from the shape.
define internal i32 @check(ptr %object, ptr %view, ptr %param, i32 %flags, ptr %type, ptr %sizes) {{
entry:
  %owner.p = field View.owner, %view
  %type.p = getelementptr i8, ptr %object, i64 {HEAD - 8}
  %its.type = load ptr, ptr %type.p
  %is.array = icmp eq ptr %its.type, %type
  br i1 %is.array, label %get, label %no
get:
  %status = call i32 @PyObject_GetBuffer(ptr %object, ptr %view, i32 %flags)
  %refused = icmp ne i32 %status, 0
  br i1 %refused, label %clear, label %format
clear:
  call void @PyErr_Clear()
  br label %no
format:
  %format.p = field View.format, %view
  %text = load ptr, ptr %format.p
  %two = load i16, ptr %text, align 1
  %has = zext i16 %two to i64
  %wants.p = field Param.format, %param
  %wants = load i64, ptr %wants.p
  %same = icmp eq i64 %has, %wants
  %data.p = field View.data, %view
  %data = load i64, ptr %data.p
  %align.p = field Param.align, %param
  %align = load i64, ptr %align.p
  %off = and i64 %data, %align
  %aligned = icmp eq i64 %off, 0
  %rank.p = field View.rank, %view
  %rank.32 = load i32, ptr %rank.p
  %rank = zext i32 %rank.32 to i64
  %wanted.p = field Param.rank, %param
  %wanted = load i64, ptr %wanted.p
  %rank.same = icmp eq i64 %rank, %wanted
  %fits.0 = and i1 %same, %aligned
  %fits = and i1 %fits.0, %rank.same
  %shape.p = field View.shape, %view
  %shape = load ptr, ptr %shape.p
  %dims = field Param.dims, %param
  br i1 %fits, label %head, label %release
head:
  %i = phi i64 [ 0, %format ], [ %i.next, %next ]
  %more = icmp ult i64 %i, %rank
  br i1 %more, label %dim, label %yes
dim:
  %has.p = getelementptr i64, ptr %shape, i64 %i
  %extent = load i64, ptr %has.p
  %code.p = getelementptr i64, ptr %dims, i64 %i
  %code = load i64, ptr %code.p
  %i.next = add i64 %i, 1
  %number = icmp sge i64 %code, 0
  br i1 %number, label %compare, label %open
open:
  %s = xor i64 %code, -1
  %size.p = getelementptr i64, ptr %sizes, i64 %s
  %known = load i64, ptr %size.p
  %unknown = icmp slt i64 %known, 0
  br i1 %unknown, label %learn, label %compare
learn:
  store i64 %extent, ptr %size.p
  br label %next
compare:
  %expected = phi i64 [ %code, %dim ], [ %known, %open ]
  %equal = icmp eq i64 %extent, %expected
  br i1 %equal, label %next, label %release
next:
  br label %head
yes:
  ret i32 0
release:
  call void @PyBuffer_Release(ptr %view)
  br label %no
no:
  store ptr null, ptr %owner.p
  ret i32 -1
}}
"""

ARGS = """
declare ptr @PyTuple_GetItem(ptr, i64)
declare i64 @PyTuple_Size(ptr)

; Arguments by position and by name into `objects`, one for each parameter and the last for `out`.
; Names are compared as objects (the interpreter interns keywords). -1 where it is not a plain complete call.
define internal i32 @arrange(ptr %params, i64 %count, ptr %args, i64 %n, ptr %names, ptr %objects) {
entry:
  %many = icmp ugt i64 %n, %count
  br i1 %many, label %failed, label %head
head:
  %i = phi i64 [ 0, %entry ], [ %i.next, %put ]
  %all = icmp ugt i64 %i, %count
  br i1 %all, label %named, label %one
one:
  %given = icmp ult i64 %i, %n
  %arg.p = getelementptr ptr, ptr %args, i64 %i
  br i1 %given, label %read, label %put
read:
  %arg = load ptr, ptr %arg.p
  br label %put
put:
  %object = phi ptr [ null, %one ], [ %arg, %read ]
  %place = getelementptr ptr, ptr %objects, i64 %i
  store ptr %object, ptr %place
  %i.next = add i64 %i, 1
  br label %head
named:
  %plain = icmp eq ptr %names, null
  br i1 %plain, label %complete, label %measure
measure:
  %total = call i64 @PyTuple_Size(ptr %names)
  br label %name
name:
  %k = phi i64 [ 0, %measure ], [ %k.next, %found ]
  %more = icmp slt i64 %k, %total
  br i1 %more, label %get, label %complete
get:
  %text = call ptr @PyTuple_GetItem(ptr %names, i64 %k)
  br label %search
search:
  %p = phi i64 [ 0, %get ], [ %p.next, %next ]
  %last = icmp ugt i64 %p, %count
  br i1 %last, label %failed, label %compare
compare:
  %param = getelementptr %Param, ptr %params, i64 %p
  %its.p = field Param.name, %param
  %its = load ptr, ptr %its.p
  %match = icmp eq ptr %its, %text
  br i1 %match, label %hit, label %next
next:
  %p.next = add i64 %p, 1
  br label %search
hit:
  %target = getelementptr ptr, ptr %objects, i64 %p
  %there = load ptr, ptr %target
  %free = icmp eq ptr %there, null
  br i1 %free, label %found, label %failed
found:
  %value.i = add i64 %n, %k
  %value.p = getelementptr ptr, ptr %args, i64 %value.i
  %value = load ptr, ptr %value.p
  store ptr %value, ptr %target
  %k.next = add i64 %k, 1
  br label %name
complete:
  %c = phi i64 [ 0, %named ], [ 0, %name ], [ %c.next, %present ]
  %done = icmp uge i64 %c, %count
  br i1 %done, label %fine, label %test
test:
  %c.p = getelementptr ptr, ptr %objects, i64 %c
  %c.object = load ptr, ptr %c.p
  %absent = icmp eq ptr %c.object, null
  br i1 %absent, label %failed, label %present
present:
  %c.next = add i64 %c, 1
  br label %complete
fine:
  ret i32 0
failed:
  ret i32 -1
}
"""
