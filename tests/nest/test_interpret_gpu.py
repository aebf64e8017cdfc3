"""Threads, shared memory, barriers and copies that land late; every planted fault must be found."""

from __future__ import annotations

import numpy as np
import pytest

from convjit.errors import InternalError
from convjit.nest.interpret import interpret
from convjit.nest.parse import parse
from convjit.nest.verify import verify

SUMS = """\
nest g
  grid 3 threads 64
  memory x: f32[i, c] of i=160 c=64
  memory y: f32[i] of i=160
  shared x.s: f32[i, c] ring 3 of i=64 c=8
  registers y.r: f32[]
  let i.0 in 3 step 64 of block
  par
    y.r[] = 0:f32
  unroll step in 0..2
    par i~1 in 64 of thread; unroll c~0 in 0..8
      x.s@step[i~1, c~0] = (x[i.0+i~1, c~0+8*step] inside 0<=i.0+i~1<160) by cp.async
    commit
  for step in 0..8
    wait 1
    barrier
    if 0<=step+2<8; par i~1 in 64 of thread; unroll c~0 in 0..8
      x.s@step+2[i~1, c~0] = (x[i.0+i~1, c~0+8*step+16] inside 0<=i.0+i~1<160) by cp.async
    commit
    par i.1 in 64 of thread; unroll c.1 in 0..8
      y.r[] += x.s@step[-i.1+63, c.1] * x.s@step[i.1, c.1]
  wait 0
  par i.1 in 64 of thread
    y[i.0+i.1] = y.r[] when 0<=i.0+i.1<160"""
"""Every row times the mirrored row of its block, eight columns at a time through a ring."""


def sums(text: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """What the nest computes, and what it should."""
    x = (np.arange(160 * 64) * 7 % 11 - 5).reshape(160, 64).astype(np.float32)
    y = np.full(160, 99, np.float32)
    interpret(parse(text), {"x": x, "y": y}, seed=seed)
    blocks = np.pad(x, ((0, 32), (0, 0))).reshape(3, 64, 64)
    return y, (blocks * blocks[:, ::-1]).sum(2).reshape(-1)[:160]


def test_ring_of_asynchronous_copies() -> None:
    for seed in range(3):
        got, want = sums(SUMS, seed)
        assert np.array_equal(got, want)


def test_counts_of_threads() -> None:
    x, y = np.zeros((160, 64), np.float32), np.zeros(160, np.float32)
    counts = interpret(verify(parse(SUMS)), {"x": x, "y": y})
    assert counts.elements == {
        ("x", "copy"): 160 * 64,  # asynchronously, past the registers
        ("x.s", "store"): 192 * 64,
        ("x.s", "load"): 2 * 192 * 64,
        ("x.s", "use"): 2 * 192 * 64,
        ("y.r", "store"): 192 * 64 + 192,
        ("y.r", "load"): 192 * 64 + 160,
        ("y", "store"): 160,
    }
    assert counts.operations == {("product", "f32"): 192 * 64, ("sum", "f32"): 192 * 64}


RACE = "another thread is at this place of x.s, and no barrier between"
POISON = "stores what was never written"

FAULTS = [
    ("    barrier\n", "", RACE),  # nobody waits for the other threads' copies
    ("    wait 1\n    barrier\n", "    barrier\n    wait 1\n", RACE),  # the copies land after the barrier
    ("    wait 1\n", "", POISON),  # nobody waits for the copies
    ("    wait 1\n", "    wait 2\n", POISON),  # one group too few
    ("x.s@step+2[", "x.s@step+3[", RACE),  # filled while it is read
    ("ring 3", "ring 2", RACE),
    ("0<=step+2<8", "0<=step+3<8", POISON),  # the last tile is not filled
    ("unroll step in 0..2", "unroll step in 0..1", POISON),  # nor the second
]


@pytest.mark.parametrize(("old", "new", "what"), FAULTS)
def test_planted_fault(old: str, new: str, what: str) -> None:
    assert old in SUMS
    with pytest.raises(InternalError) as error:
        sums(SUMS.replace(old, new))
    assert str(error.value).splitlines()[1] == f"  {what}"


def test_a_fault_names_statement_and_point() -> None:
    with pytest.raises(InternalError) as error:
        sums(SUMS.replace("    barrier\n", ""), seed=1)
    statement, what, at = str(error.value).splitlines()
    assert statement == "y.r[] += x.s@step[-i.1+63, c.1] * x.s@step[i.1, c.1]"
    assert what == f"  {RACE}"
    assert "step = 0" in at and "i.1 = 0" in at and "thread = 0" in at


def test_blocks_that_share_memory_race() -> None:
    text = (
        "nest g\n  grid 4 threads 2\n  memory y: f32[i] of i=4\n  let i.0 in 4 of block\n"
        "  par i.1 in 2 of thread\n    y[i.0] = 1:f32 when 0<=i.1<1\n"
        "  barrier\n  par i.1 in 2 of thread\n    y[{}] = add:f32(y[i.0], y[i.0]) when 0<=i.1<1"
    )
    y = np.zeros(4, np.float32)
    interpret(parse(text.format("i.0")), {"y": y})
    assert y.tolist() == [2, 2, 2, 2]
    with pytest.raises(InternalError) as error:
        interpret(parse(text.format("-i.0+3")), {"y": y})
    assert str(error.value).splitlines()[1] == "  another thread is at this place of y, and no barrier between"


def test_warps_lanes_groups_and_all_threads() -> None:
    text = ("nest g\n  grid N threads 256\n  size N\n  memory y: f32[i, j] of i=N j=256\n").replace(
        "  grid N threads 256\n  size N\n", "  size N\n  grid N threads 256\n"
    )
    for binds, where in (
        ("par w.0 in 8 step 32 of warp | l.0 in 32 of lane", "w.0+l.0"),
        ("par g.0 in 2 step 128 of group | w.0 in 8 of warp | t.0 in 256 of thread", "t.0"),
        ("par b.0 in N step 256, t.0 in 256 of global", "t.0"),
    ):
        y = np.zeros((3, 256), np.float32)
        body = f"  let i.0 in N of block\n  {binds}\n    y[i.0, {where}] = 1:f32"
        interpret(verify(parse(text + body)), {"y": y}, {"N": 3})
        assert (y == 1).all()


def test_threads_have_registers_of_their_own_and_loops_of_their_own_length() -> None:
    text = (
        "nest g\n  grid 1 threads 4\n  memory y: f32[i] of i=4\n  registers r: f32[k]\n"
        "  par i.0 in 4 of thread\n    r[0] = 0:f32\n    r[1] = 1:f32\n"
        "    for k.0 in 0..i.0\n      r[0] += r[1] * r[1]\n      r[0] += r[1] * r[1]\n    y[i.0] = r[0]"
    )
    y = np.full(4, 99, np.float32)
    interpret(parse(text), {"y": y})
    assert y.tolist() == [0, 2, 4, 6]
