"""How the arguments of a call go together, as LLVM IR text: open sizes that follow from others, memory in common."""

from __future__ import annotations

RELATE = """
; Sizes that follow from others. -1 where one is still unknown, or not positive (Python answers calls without images).
define internal i32 @derive(ptr %call, ptr %sizes) {
entry:
  %count.p = field Call.size_count, %call
  %count = load i64, ptr %count.p
  %rules.p = field Call.sizes, %call
  %rules = load ptr, ptr %rules.p
  br label %head
head:
  %i = phi i64 [ 0, %entry ], [ %i.next, %known ]
  %more = icmp ult i64 %i, %count
  br i1 %more, label %size, label %fine
size:
  %i.next = add i64 %i, 1
  %rule = getelementptr %Size, ptr %rules, i64 %i
  %value.p = getelementptr i64, ptr %sizes, i64 %i
  %source.p = field Size.source, %rule
  %source = load i64, ptr %source.p
  %read = icmp slt i64 %source, 0
  br i1 %read, label %check, label %compute
check:
  %value = load i64, ptr %value.p
  %missing = icmp slt i64 %value, 1
  br i1 %missing, label %failed, label %known
compute:
  %from.p = getelementptr i64, ptr %sizes, i64 %source
  %from = load i64, ptr %from.p
  %add.p = field Size.add, %rule
  %add = load i64, ptr %add.p
  %divisor.p = field Size.divisor, %rule
  %divisor = load i64, ptr %divisor.p
  %sum = add i64 %from, %add
  %small = icmp slt i64 %sum, 0
  br i1 %small, label %failed, label %divide
divide:
  %quotient = udiv i64 %sum, %divisor
  %derived = add i64 %quotient, 1
  store i64 %derived, ptr %value.p
  br label %known
known:
  br label %head
fine:
  ret i32 0
failed:
  ret i32 -1
}

; Whether [%begin, %end) shares a byte with a view or a bound array.
define internal i1 @overlaps(ptr %call, ptr %views, i64 %count, i64 %begin, i64 %end) {
entry:
  %fixed.p = field Call.fixed, %call
  %fixed = load ptr, ptr %fixed.p
  %fixed.count.p = field Call.fixed_count, %call
  %fixed.count = load i64, ptr %fixed.count.p
  br label %head
head:
  %i = phi i64 [ 0, %entry ], [ %i.next, %view ]
  %more = icmp ult i64 %i, %count
  br i1 %more, label %view, label %head.fixed
view:
  %i.next = add i64 %i, 1
  %v = getelementptr %View, ptr %views, i64 %i
  %data.p = field View.data, %v
  %data = load i64, ptr %data.p
  %bytes.p = field View.bytes, %v
  %bytes = load i64, ptr %bytes.p
  %data.end = add i64 %data, %bytes
  %before = icmp ult i64 %begin, %data.end
  %after = icmp ult i64 %data, %end
  %both = and i1 %before, %after
  br i1 %both, label %yes, label %head
head.fixed:
  %j = phi i64 [ 0, %head ], [ %j.next, %range ]
  %left = icmp ult i64 %j, %fixed.count
  br i1 %left, label %range, label %no
range:
  %j.next = add i64 %j, 1
  %f = getelementptr %Fixed, ptr %fixed, i64 %j
  %f.begin.p = field Fixed.begin, %f
  %f.begin = load i64, ptr %f.begin.p
  %f.end.p = field Fixed.end, %f
  %f.end = load i64, ptr %f.end.p
  %f.before = icmp ult i64 %begin, %f.end
  %f.after = icmp ult i64 %f.begin, %end
  %f.both = and i1 %f.before, %f.after
  br i1 %f.both, label %yes, label %head.fixed
yes:
  ret i1 true
no:
  ret i1 false
}
"""
