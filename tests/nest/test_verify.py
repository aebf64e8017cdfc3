"""What a nest may not be: each mistake in a sound nest, and the text that names it."""

from __future__ import annotations

import pytest

from convjit.errors import InternalError
from convjit.nest.affine import fixed_bound, number
from convjit.nest.ir import Buffer, Let, Loop, Nest
from convjit.nest.layout import Layout
from convjit.nest.parse import parse
from convjit.nest.verify import verify

CPU = """\
nest a
  size H
  size OH = (H-2)/1+1
  workers oh to OH step 2
  memory x: f32[h, c] of h=H c=8
  memory w: f32[oc, c] packed of oc=12 c=8 as oc/8 c oc
  memory y: f32[h, oc] of h=OH oc=12
  registers y.r: f32[oh.1, oc.1]
  worker oh.0 in max(0, oh.begin)..min(OH, oh.end) step 2; for oc.0 in 0..12 step 8
    unroll oh.1 in 0..2; simd oc.1 in 0..8
      y.r[oh.1, oc.1] = 0:f32
    for c.0 in 0..8; unroll oh.1 in 0..2; simd oc.1 in 0..8
      y.r[oh.1, oc.1] += (x[oh.0+oh.1, c.0] inside 0<=oh.0+oh.1<H) * w[oc.0+oc.1, c.0]
    unroll oh.1 in 0..min(2, OH-oh.0); simd oc.1 in 0..8
      y[oh.0+oh.1, oc.0+oc.1] = y.r[oh.1, oc.1] when 0<=oc.0+oc.1<12"""

GPU = """\
nest g
  grid 4 threads 64
  memory x: f32[i, c] of i=256 c=64
  memory y: f32[i] of i=256
  shared x.s: f32[i, c] ring 3 of i=64 c=8
  registers y.r: f32[]
  let i.0 in 4 step 64 of block
  par i.1 in 64 of thread
    y.r[] = 0:f32
  unroll step in 0..2
    par i~1 in 64 of thread; unroll c~0 in 0..8
      x.s@step[i~1, c~0] = x[i.0+i~1, c~0+8*step] by cp.async
    commit
  for step in 0..8
    wait 1
    barrier
    if 0<=step+2<8; par i~1 in 64 of thread; unroll c~0 in 0..8
      x.s@step+2[i~1, c~0] = x[i.0+i~1, c~0+8*step+16] by cp.async
    commit
    par i.1 in 64 of thread; unroll c.1 in 0..8
      y.r[] += x.s@step[-i.1+63, c.1] * x.s@step[i.1, c.1]
  wait 0
  par i.1 in 64 of thread
    y[i.0+i.1] = y.r[]"""


def test_sound_nests() -> None:
    for text in (CPU, GPU):
        nest = parse(text)
        assert verify(nest) is nest


LINE = "y.r[oh.1, oc.1] += (x[oh.0+oh.1, c.0] inside 0<=oh.0+oh.1<H) * w[oc.0+oc.1, c.0]"
END = "y[oh.0+oh.1, oc.0+oc.1] = y.r[oh.1, oc.1] when 0<=oc.0+oc.1<12"
ZERO = "y.r[oh.1, oc.1] = 0:f32"

CPU_MISTAKES = [
    ("* w[oc.0+oc.1, c.0]", "* v[oc.0]", LINE.replace("w[oc.0+oc.1, c.0]", "v[oc.0]"), "there is no buffer v"),
    ("* w[oc.0+oc.1, c.0]", "* w[oc.0]", LINE.replace("w[oc.0+oc.1, c.0]", "w[oc.0]"),
     "w has 2 dimensions, the index has 1"),
    ("x[oh.0+oh.1, c.0]", "x[oh.0+kh.0, c.0]", LINE.replace("x[oh.0+oh.1", "x[kh.0+oh.0"), "kh.0 is not known here"),
    ("x[oh.0+oh.1, c.0]", "x[oh.begin, c.0]", LINE.replace("x[oh.0+oh.1", "x[oh.begin"),
     "oh.begin belongs to the loops that workers share"),
    ("inside 0<=oh.0+oh.1<H", "inside 0<=oh.0<0", LINE.replace("oh.0+oh.1<H", "oh.0<0"), "nothing is inside 0<=oh.0<0"),
    ("inside 0<=oh.0+oh.1<H", "inside 0<=oh.7<H", LINE.replace("0<=oh.0+oh.1<H", "0<=oh.7<H"), "oh.7 is not known here"),
    ("for c.0 in", "for oc.0 in", "for oc.0 in 0..8 …", "oc.0 is known here already"),
    ("for c.0 in 0..8", "for c.0 in 0..8 step 0", "for c.0 in 0..8 step 0 …", "the step is not positive"),
    ("for c.0 in 0..8", "for c.0 in 0..ceil((H)/0)", "for c.0 in 0..ceil((H)/0) …",
     "a bound is divided by a number that is not positive"),
    ("for c.0 in 0..8", "for c.0 in 0..oh.end", "for c.0 in 0..oh.end …",
     "oh.end belongs to the loops that workers share"),
    ("min(OH, oh.end) step 2", "OH", "worker oh.0 in max(0, oh.begin)..OH …",
     "does not run from the begin to the end of a worker's part"),
    ("min(OH, oh.end) step 2", "min(OH, oh.end) step 4", "worker oh.0 in max(0, oh.begin)..min(OH, oh.end) step 4 …",
     "the parts that workers do are multiples of 2, not of its step"),
    ("y.r[oh.1, oc.1] = 0", "y.r[oh.1, oc.0] = 0", "y.r[oh.1, oc.0] = 0:f32",
     "oc.0 is not known when the code is written, so it cannot pick a register"),
    (ZERO, ZERO + " by tma", ZERO + " by tma", "there is no way to copy called tma"),
    (ZERO, ZERO.replace("f32", "f33"), "y.r[oh.1, oc.1] = 0:f33", "there is no type f33"),
    (ZERO, ZERO + " by cp.async", ZERO + " by cp.async",
     "cp.async copies elements of memory to shared memory, nothing else"),
    (ZERO, "y.r@oh.1[oh.1, oc.1] = 0:f32", "y.r@oh.1[oh.1, oc.1] = 0:f32", "y.r is no ring, so it has no slots"),
    (ZERO, "(y.r[oh.1, oc.1] inside 0<=oh.1<2) = 0:f32", "(y.r[oh.1, oc.1] inside 0<=oh.1<2) = 0:f32",
     "a target has no `inside`: what must not be written stands under `when`"),
    (ZERO, "par", "par …", "the nest has no grid of threads"),
    (ZERO, "let a in 2, b in 4 step 0 of oc.1", "let a in 2, b in 4 step 0 of oc.1", "a step is not positive"),
    (ZERO, "let oh.1 in 2 of oc.1", "let oh.1 in 2 of oc.1", "oh.1 is known here already"),
    (ZERO, "wait -1", "wait -1", "there is no such wait"),
    (ZERO, "read oh.1 = i[0] below 4", "read oh.1 = i[0] below 4", "there is no buffer i"),
    (ZERO, "read a = w[0, 0] below 4", "read a = w[0, 0] below 4", "a number for indices and bounds is a whole one, and below a size"),
    (f"{ZERO}\n", f"{ZERO}\n      y.r[oh.1, oc.1] = index:f32(oc.1)\n", "y.r[oh.1, oc.1] = index:f32(oc.1)",
     "an index is one number, and the lanes do not agree on oc.1"),
    ("memory y: f32", "memory x: f32", "memory x: f32[h, c] of h=H c=8", "two buffers have this name"),
    ("memory y: f32", "memory y: f31", "memory y: f31[h, oc] of h=OH oc=12", "there is no type f31"),
    ("y: f32[h, oc] of h=OH", "y: f32[h, oc] of h=OW", "memory y: f32[h, oc] of h=OW oc=12", "OW is no size of the nest"),
    ("y: f32[h, oc] of h=OH oc=12", "y: f32[h, oc] of h=OH oc=12 as h",
     "memory y: f32[h, oc] of h=OH oc=12 as h", "the layout does not say where oc lies"),
    ("y: f32[h, oc] of h=OH oc=12", "y: f32[h, oc] of h=OH oc=12 as h oc kh",
     "memory y: f32[h, oc] of h=OH oc=12 as h oc kh", "kh is no dimension with a size"),
    ("f32[oh.1, oc.1]", "f32[oh.1, oc.1] of oh.1=2", "registers y.r: f32[oh.1, oc.1] of oh.1=2",
     "registers have no layout, and everything else has one"),
    ("memory y: f32[h, oc]", "memory y: f32[h, oc] ring 2", "memory y: f32[h, oc] ring 2 of h=OH oc=12",
     "only shared memory has rings"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "where", "what"), CPU_MISTAKES)
def test_mistake(old: str, new: str, where: str, what: str) -> None:
    check(CPU, old, new, where, what)


LIST = """\
nest l
  memory i: i32[e] of e=8
  memory y: f32[e] of e=8
  read first.0 = i[0] below 8
  read count.0 = i[1] below 8
  for entry.0 in first.0..count.0+first.0; simd oc.0 in 0..8
    y[oc.0] = 1:f32"""

LIST_MISTAKES = [
    ("read count.0 = i[1]", "read first.0 = i[1]", "read first.0 = i[1] below 8", "first.0 is known here already"),
    ("i[1] below 8", "i[1] below 0", "read count.0 = i[1] below 0", "a number for indices and bounds is a whole one, and below a size"),
    ("    y[oc.0]", "    read tap.0 = i[oc.0] below 8\n    y[tap.0]", "read tap.0 = i[oc.0] below 8",
     "it is one number, and the lanes do not agree on oc.0"),
    ("nest l\n", "nest l\n  grid 1 threads 4\n", "read first.0 = i[0] below 8",
     "a number for indices and bounds is read without guards, on a CPU"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "where", "what"), LIST_MISTAKES)
def test_mistake_of_lists(old: str, new: str, where: str, what: str) -> None:
    verify(parse(LIST))
    check(LIST, old, new, where, what)


COPY = "x.s@step+2[i~1, c~0] = x[i.0+i~1, c~0+8*step+16] by cp.async"
WORK = "y.r[] += x.s@step[-i.1+63, c.1] * x.s@step[i.1, c.1]"
LATE = "reads x.s, and no barrier stands between that and what wrote it"

GPU_MISTAKES = [
    ("    barrier\n", "", WORK, LATE),
    ("    wait 1\n", "", WORK, LATE),
    ("    wait 1\n    barrier\n", "    barrier\n    wait 1\n", WORK, LATE),
    ("x.s@step+2[", "x.s@step+3[", WORK, LATE),
    ("  wait 0\n  par i.1 in 64 of thread\n    y[i.0+i.1] = y.r[]",
     "  par i.1 in 64 of thread\n    y[i.0+i.1] = x.s@9[0, 0]", "y[i.0+i.1] = x.s@9[0, 0]", LATE),
    ("    wait 1\n    barrier\n    if", "    wait 1\n    if", WORK, LATE),
    ("ring 3", "ring 2", WORK, LATE),
    ("for step in 0..8\n    wait 1\n    barrier",
     "for step in 0..8\n    wait 1\n    barrier\n    par i.1 in 64 of thread\n      y.r[] = x.s@step+2[0, 0]",
     COPY, "writes x.s, and no barrier stands between that and what still reads it"),
    ("if 0<=step+2<8; par i~1 in 64 of thread", "par i~1 in 64 of thread; if 0<=i~1<8", "if 0<=i~1<8 …",
     "the threads of a block do not agree on i~1"),
    ("  par i.1 in 64 of thread\n    y[", "  par i.1 in 64 of thread\n    barrier\n    y[", "barrier",
     "waits where only some of the threads may come by"),
    ("    y[i.0+i.1] =", "    par\n    y[i.0+i.1] =", "par …", "stands where each thread is by itself already"),
    ("let i.0 in 4 step 64 of block", "let i.0 in 4 step 64 of thread", "let i.0 in 4 step 64 of thread",
     "thread is not known here"),
    ("y[i.0+i.1] = y.r[]", "y[i.0+thread] = y.r[]", "y[i.0+thread] = y.r[]", "thread is not known here"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "where", "what"), GPU_MISTAKES)
def test_mistake_of_threads(old: str, new: str, where: str, what: str) -> None:
    check(GPU, old, new, where, what)


def test_every_thread_comes_by_a_wait() -> None:
    text = "nest g\n  grid 1 threads 4\n  par i.0 in 4 of thread; for j.0 in 0..i.0\n    wait 0"
    check(text, "", "", "wait 0", "waits where only some of the threads may come by")


def check(text: str, old: str, new: str, where: str, what: str) -> None:
    """The mistake is found and named."""
    assert old in text
    with pytest.raises(InternalError) as error:
        verify(parse(text.replace(old, new, 1)))
    assert str(error.value) == f"{where}\n  {what}"


BUILT = [
    (
        Nest("a", (), (Loop("i.0", fixed_bound(0), fixed_bound(4), 1, "matrix", ()),)),
        "matrix i.0 in 0..4 …\n  there is no kind of loop called matrix",
    ),
    (
        Nest("a", (), (Loop("i.0", fixed_bound(0), (), 1, "serial", ()),)),
        "for i.0 in 0..min() …\n  a bound is missing",
    ),
    (
        Nest("a", (), (Let((), (), (), number(3)),)),
        "let  of 3\n  names, counts and steps of the digits do not match",
    ),
    (
        Nest("a", (Buffer("x", (), "f32", "L2", Layout((), ())),), ()),
        "L2 x: f32[] of\n  there is no level called L2",
    ),
]


@pytest.mark.parametrize(("nest", "message"), BUILT)
def test_what_no_text_can_say(nest: Nest, message: str) -> None:
    with pytest.raises(InternalError) as error:
        verify(nest)
    assert str(error.value) == message
