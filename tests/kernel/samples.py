"""Kernels written by hand, as text."""

from __future__ import annotations

DENSE = """kernel dense for cpu:avx2
parameter x f32
parameter w f32
parameter y f32 written
local scratch 64
size H
thread oh
{
  %zero = const f32x8 {values (0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0)}
  for %oh i64 %oh.begin to %oh.end step 1 {
    %1 = mul i64 %oh, 64
    %xp = step ptr %x, %1
    for %c i64 0 to 16 step 1 sure {
      carry %a f32x8 = %zero, then %f, gives %r
      %2 = mul i64 %c, 4
      %3 = step ptr %xp, %2
      %4 = load f32 %3 {align 4}
      %5 = splat f32x8 %4
      %6 = mul i64 %c, 32
      %7 = step ptr %w, %6
      %8 = load f32x8 %7 {align 4}
      %f = fma f32x8 %5, %8, %a
    }
    %9 = max f32x8 %r, 0.0
    %inside = ult i1 %oh, %H {type i64}
    if %inside {
      %10 = mul i64 %oh, 32
      %11 = step ptr %y, %10
      %mask = lanes_inside i1x8 0, %H {offsets (0 1 2 3 4 5 6 7)}
      store_masked f32x8 %9, %11, %mask {align 4}
    }
    prefetch %xp
  }
}"""
"""y[oh][oc] = max(sum over c of x[oh][c] * w[c][oc], 0), the lanes below H only; 16 channels, 8 outputs."""

TILE = """kernel tile for cuda:sm_80
parameter x f32 in global
parameter w f32 in global
parameter y f32 in global written
local s 1024 in shared at 0
local t 1024 in shared at 1024
size n
launch blocks (n 2) threads 64 shared 2048 min 2 cluster 1
{
  %tid = special i32 {register tid}
  %bid = special i32 {register ctaid}
  %mine = shl i32 %tid, 4
  %block = mul i32 %bid, 1024
  %from = add i32 %block, %mine
  %xp = step ptr.global %x, %from
  %sp = step ptr.shared %s, %mine
  cp_async %xp, %sp {bytes 16}
  cp_async_commit
  %rest = sub i32 1024, %mine
  %some = min i32 %rest, 16
  %wp = step ptr.global %w, %mine
  %tp = step ptr.shared %t, %mine
  cp_async_fill i32 %wp, %tp, %some {bytes 16}
  cp_async_commit
  cp_async_wait {groups 0}
  barrier
  for %k i32 0 to 64 step 1 sure {
    carry %a f32 = 0.0, then %f, gives %r
    %k16 = shl i32 %k, 4
    %p = step ptr.shared %s, %k16
    %v = load f32x4 %p {align 16}
    %q = step ptr.shared %t, %k16
    %u = load f32 %q {align 4}
    %v0 = extract f32 %v {lane 0, from f32x4}
    %f = fma f32 %v0, %u, %a
  }
  %inside = lt i1 %tid, 48 {type i32}
  %ctaoffset = mul i32 %bid, 192
  %yo = shl i32 %tid, 2
  %yo2 = add i32 %yo, %ctaoffset
  %yp = step ptr.global %y, %yo2
  if %inside {
    %old = load f32 %yp {align 4}
    %new = add f32 %old, %r
    store f32 %new, %yp {align 4}
  }
}"""
"""y[b][t] += sum over k of x[b][k][0] * w[k][0], for 48 of 64 threads; x is loaded through shared memory."""

PLAIN_TILE = """kernel plain_tile for cuda:sm_75
parameter x f32 in global
parameter y f32 in global written
local s 256 in shared at 0
launch blocks (3) threads 64 shared 256 min 0 cluster 1
{
  %tid = special i32 {register tid}
  %bid = special i32 {register ctaid}
  %row = shl i32 %bid, 6
  %at = add i32 %row, %tid
  %bytes = shl i32 %at, 2
  %xp = step ptr.global %x, %bytes
  %v = load f32 %xp {align 4, constant 1}
  %mine = shl i32 %tid, 2
  %sp = step ptr.shared %s, %mine
  store f32 %v, %sp {align 4}
  barrier
  for %k i32 %tid to 64 step 1 {
    carry %a f32 = 0.0, then %f, gives %r
    %k4 = shl i32 %k, 2
    %p = step ptr.shared %s, %k4
    %u = load f32 %p {align 4}
    %f = add f32 %a, %u
  }
  %yp = step ptr.global %y, %bytes
  store f32 %r, %yp {align 4}
}"""
"""y[b][t] = the sum of x[b][k] for k >= t: threads leave the loop one after the other."""
