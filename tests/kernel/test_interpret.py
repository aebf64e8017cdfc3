"""The interpreter computes what a kernel means, and tells what hardware would not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from convjit import machine
from convjit.errors import InternalError
from convjit.kernel.interpret import Counts, interpret
from convjit.kernel.memory import Access
from convjit.kernel.parse import parse
from tests.kernel.samples import DENSE, PLAIN_TILE, TILE

Array = np.ndarray[Any, Any]
RANDOM = np.random.default_rng(0)


def whole(*shape: int) -> Array:
    """Whole numbers as f32, so that sums are exact."""
    return RANDOM.integers(-4, 5, shape).astype(np.float32)


def run(text: str, arrays: dict[str, Array], **sizes: int) -> Counts:
    kernel = parse(text)
    return interpret(kernel, machine.get(kernel.machine), arrays, sizes)


def test_dense_on_a_cpu() -> None:
    x, w, y = whole(5, 16), whole(16, 8), np.full((5, 8), 77, np.float32)
    kernel = parse(DENSE)
    arrays = {"x": x, "w": w, "y": y}
    counts = interpret(kernel, machine.get(kernel.machine), arrays, {"H": 3}, {"oh": (1, 5)})
    expected = np.full((5, 8), 77, np.float32)
    expected[1:3, :3] = np.maximum(x[1:3] @ w, 0)[:, :3]
    np.testing.assert_array_equal(y, expected)
    assert counts["x"] == Access(loads=4 * 16, loaded_bytes=4 * 16 * 4)
    assert counts["w"] == Access(loads=4 * 16, loaded_bytes=4 * 16 * 32)
    assert counts["y"] == Access(stores=2, stored_bytes=2 * 3 * 4)  # the lanes that were stored


def test_shared_memory_and_copies_on_a_gpu() -> None:
    x, w, y = whole(4, 64, 4), whole(64, 4), whole(4, 48)
    expected = y + (x[:, :, 0] @ w[:, 0])[:, None]
    counts = run(TILE, {"x": x, "w": w, "y": y}, n=2)
    np.testing.assert_array_equal(y, expected)
    assert counts["x"] == Access(loads=4 * 64, loaded_bytes=x.nbytes)
    assert counts["y"] == Access(4 * 48, 4 * 48, y.nbytes, y.nbytes)
    assert counts["s"] == Access(4 * 64 * 64, 4 * 64, 4 * 64 * 64 * 16, 4 * 1024)


def test_threads_leave_a_loop_one_after_the_other() -> None:
    x, y = whole(3, 64), np.zeros((3, 64), np.float32)
    run(PLAIN_TILE, {"x": x, "y": y})
    np.testing.assert_array_equal(y, x[:, ::-1].cumsum(axis=1)[:, ::-1])


CPU = """kernel f for cpu:avx2
parameter x f32
parameter y f32 written
local s 64
size n
{
%s
}"""


def cpu(ops: str, x: Array | None = None, n: int = 1) -> Array:
    y = np.zeros(16, np.float32)
    run(CPU % ops, {"x": whole(16) if x is None else x, "y": y}, n=n)
    return y


def fault(ops: str, n: int = 1) -> str:
    with pytest.raises(InternalError) as caught:
        cpu(ops, n=n)
    return str(caught.value)


def test_carried_values_are_exchanged_at_once() -> None:
    y = cpu("""for %i i64 0 to 5 step 2 {
      carry %a f32 = 1.0, then %b, gives %r
      carry %b f32 = 2.0, then %a, gives %q
    }
    store f32 %r, %y {align 4}
    %y1 = step ptr %y, 4
    store f32 %q, %y1 {align 4}""")
    assert y[:2].tolist() == [2.0, 1.0]


def test_a_loop_without_turns_and_a_branch_not_taken() -> None:
    y = cpu("""for %i i64 %n to 1 step 1 {
      carry %a f32 = 1.0, then 5.0, gives %r
    }
    %c = lt i1 %n, 1 {type i64}
    if %c {
      %b = add f32 1.0, 1.0
      merge %m f32 = %b, else %r
    }
    store f32 %m, %y {align 4}""")
    assert y[0] == 1.0


def test_masked_lanes_are_not_touched_at_the_end_of_an_array() -> None:
    x = whole(16)
    ops = """%x1 = step ptr %x, 48
    %y1 = step ptr %y, 48
    %m = lanes_inside i1x8 12, 16 {offsets (0 1 2 3 4 5 6 7)}
    %v = load_masked f32x8 %x1, %m {align 4}
    store_masked f32x8 %v, %y1, %m {align 4}"""
    np.testing.assert_array_equal(cpu(ops, x)[12:], x[12:])


FAULTS = {
    "%p = step ptr %x, 64\n%v = load f32 %p {align 4}": "%v = load f32 %p {align 4}: byte 67 of 'x', which has 64",
    "%p = step ptr %x, -4\n%v = load f32 %p {align 4}": "%v = load f32 %p {align 4}: byte -4 of 'x', which has 64",
    "%p = step ptr %x, 40\n%v = load f32x8 %p {align 4}": (
        "%v = load f32x8 %p {align 4}: byte 71 of 'x', which has 64"
    ),
    "%p = step ptr %y, 4\nstore f32x4 1.0, %p {align 16}": (
        "store f32x4 1.0, %p {align 16}: 'y' is accessed at what is no multiple of 16 bytes"
    ),
    "%p = step ptr %y, 4\n%m = const i1x4 {values (1 0 0 0)}\nstore_masked f32x4 1.0, %p, %m {align 8}": (
        "store_masked f32x4 1.0, %p, %m {align 8}: 'y' is accessed at what is no multiple of 8 bytes"
    ),
    "%p = step ptr %y, 60\n%m = const i1x4 {values (1 1 0 0)}\nstore_masked f32x4 1.0, %p, %m {align 4}": (
        "store_masked f32x4 1.0, %p, %m {align 4}: byte 67 of 'y', which has 64"
    ),
    "%v = load f32 %s {align 4}": "%v = load f32 %s {align 4}: reads bytes of 's' that nothing was written to",
    "%m = const i1x4 {values (0 1 0 0)}\n%v = load_masked f32x4 %s, %m {align 4}": (
        "%v = load_masked f32x4 %s, %m {align 4}: reads bytes of 's' that nothing was written to"
    ),
    "%p = step ptr %x, 99999999999999\n%v = load f32 %p {align 4}": (
        "%v = load f32 %p {align 4}: the address is far outside of every array"
    ),
    "%q = sub i64 %n, 1\n%v = udiv i64 5, %q": "%v = udiv i64 5, %q: the result is not defined",
    "%v = shl i32 5, 32": "%v = shl i32 5, 32: the result is not defined",
    "%v = convert i8 200.0 {from f32}": "%v = convert i8 200.0 {from f32}: the result is not defined",
    "%v = convert i64 nan {from f64}": "%v = convert i64 nan {from f64}: the result is not defined",
    "%v = lanes_inside i1 0, -1 {offsets (0)}": "%v = lanes_inside i1 0, -1 {offsets (0)}: the result is not defined",
    "for %i i64 %n to 1 step 1 sure {\n}": (
        "for %i i64 %n to 1 step 1 sure: it is said to run, but does not"
    ),
}


@pytest.mark.parametrize("ops", FAULTS)
def test_faults(ops: str) -> None:
    assert fault(ops) == f"f: {FAULTS[ops]}"


def test_locals_are_written_before_they_are_read() -> None:
    y = cpu("store f32x2 3.0, %s {align 4}\n%v = load f32 %s {align 4}\nstore f32 %v, %y {align 4}")
    assert y[0] == 3.0


def test_arguments_are_checked() -> None:
    kernel, avx2 = parse(CPU % ""), machine.get("cpu:avx2")
    x = np.zeros(4, np.float32)
    with pytest.raises(InternalError, match="^f: no number is given for n$"):
        interpret(kernel, avx2, {"x": x, "y": x})
    column = np.zeros((4, 4), np.float32)[:, 0]
    wrongs: tuple[dict[str, Array], ...] = (
        {"x": x},
        {"x": x, "y": x.astype(np.float64)},
        {"x": x, "y": column},
    )
    for wrong in wrongs:
        with pytest.raises(InternalError, match="^f: parameter y takes a contiguous array of f32$"):
            interpret(kernel, avx2, wrong, {"n": 1})


def test_an_attribute_that_is_no_number() -> None:
    """Unverified kernels are refused too, not guessed at."""
    kernel = parse(CPU % "%v = load f32 %x {align 1.5}")
    x = np.zeros(4, np.float32)
    with pytest.raises(InternalError, match="^load: attribute align must be a whole number, not 1.5$"):
        interpret(kernel, machine.get("cpu:avx2"), {"x": x, "y": x}, {"n": 1})


GPU = """kernel f for cuda:sm_80
parameter x f32 in global
parameter y f32 in global written
local s 256 in shared at 0
launch blocks (1) threads 32 shared 256 min 0 cluster 1
{
%%tid = special i32 {register tid}
%%t4 = shl i32 %%tid, 2
%%t8 = shl i32 %%tid, 3
%%next0 = add i32 %%t4, 4
%%next = and i32 %%next0, 127
%%mine = step ptr.shared %%s, %%t4
%%other = step ptr.shared %%s, %%next
%%xp = step ptr.global %%x, %%t4
%%yp = step ptr.global %%y, %%t4
%%few = lt i1 %%tid, 7 {type i32}
%s
}"""


def gpu(ops: str) -> tuple[Array, Array]:
    x, y = whole(64), np.zeros(64, np.float32)
    run(GPU % ops, {"x": x, "y": y})
    return x, y


def gpu_fault(ops: str) -> str:
    with pytest.raises(InternalError) as caught:
        gpu(ops)
    return str(caught.value)


STORE = "%v = load f32 %xp {align 4}\nstore f32 %v, %mine {align 4}\n"
LOAD = "\n%u = load f32 %other {align 4}\nstore f32 %u, %yp {align 4}"


def test_a_barrier_between_threads() -> None:
    x, y = gpu(STORE + "barrier" + LOAD)
    np.testing.assert_array_equal(y[:32], np.roll(x[:32], -1))


def test_shared_memory_starts_as_not_a_number() -> None:
    assert np.isnan(gpu("%u = load f32 %mine {align 4}\nstore f32 %u, %yp {align 4}")[1][:32]).all()


def test_a_copy_lands_when_it_is_waited_for() -> None:
    x, y = gpu("cp_async %xp, %mine {bytes 4}\ncp_async_commit\ncp_async_wait {groups 0}\nbarrier" + LOAD)
    np.testing.assert_array_equal(y[:32], np.roll(x[:32], -1))


def test_a_copy_fills_with_zeros() -> None:
    size = "%h = urem i32 %tid, 2\n%size = mul i32 %h, 4\n"
    x, y = gpu(
        size
        + "cp_async_fill i32 %xp, %mine, %size {bytes 4}\ncp_async_commit\ncp_async_wait {groups 0}\nbarrier"
        + LOAD
    )
    expected = np.where(np.arange(32) % 2 == 1, x[:32], 0)
    np.testing.assert_array_equal(y[:32], np.roll(expected, -1))


COPY = "cp_async %xp, %mine {bytes 4}\ncp_async_commit\n"
UNDER_WAY = ": touches what an asynchronous copy is still writing (block 0)"
GPU_FAULTS = {
    STORE
    + LOAD: "%u = load f32 %other {align 4}: reads what another thread wrote, with no barrier between (block 0)",
    "%u = load f32 %other {align 4}\nstore f32 %u, %mine {align 4}": (
        "store f32 %u, %mine {align 4}: writes what another thread reads, with no barrier between (block 0)"
    ),
    STORE + "store f32 %v, %other {align 4}": (
        "store f32 %v, %other {align 4}: writes what another thread wrote, with no barrier between (block 0)"
    ),
    "store f32 1.0, %s {align 4}": "store f32 1.0, %s {align 4}: is written by two threads at once (block 0)",
    "if %few {\nbarrier\n}": "barrier: only 7 of 32 threads get here (block 0)",
    "if %few {\ncp_async_commit\n}": "cp_async_commit: only 7 of 32 threads get here (block 0)",
    COPY + "%u = load f32 %mine {align 4}": f"%u = load f32 %mine {{align 4}}{UNDER_WAY}",
    COPY + "store f32 1.0, %mine {align 4}": f"store f32 1.0, %mine {{align 4}}{UNDER_WAY}",
    COPY + "cp_async_wait {groups 1}\nbarrier\n%u = load f32 %mine {align 4}": (
        f"%u = load f32 %mine {{align 4}}{UNDER_WAY}"
    ),
    "cp_async %xp, %mine {bytes 8}": (
        "cp_async %xp, %mine {bytes 8}: 'x' is accessed at what is no multiple of 8 bytes (block 0)"
    ),
    "for %k i32 %tid to 16 step 1 sure {\n}": (
        "for %k i32 %tid to 16 step 1 sure: it is said to run, but does not in every thread (block 0)"
    ),
    "%far = step ptr.global %xp, 132\n%u = load f32 %far {align 4}": (
        "%u = load f32 %far {align 4}: byte 259 of 'x', which has 256 (block 0)"
    ),
}


@pytest.mark.parametrize("ops", GPU_FAULTS)
def test_gpu_faults(ops: str) -> None:
    assert gpu_fault(ops) == f"f: {GPU_FAULTS[ops]}"


def test_inactive_threads_are_not_held_to_anything() -> None:
    ops = """if %few {
      %d = sub i32 7, %tid
      %q = udiv i32 7, %d
      %f = convert f32 %q {from i32}
      %far = step ptr.global %xp, 228
      %u = load f32 %far {align 4}
      %w = add f32 %u, %f
      merge %r f32 = %w, else 9.0
    }
    store f32 %r, %yp {align 4}"""
    x, y = gpu(ops)
    expected = np.full(32, 9, np.float32)
    expected[:7] = x[57:64] + 7 // (7 - np.arange(7))
    np.testing.assert_array_equal(y[:32], expected)


def test_masked_loads_and_stores_of_threads() -> None:
    ops = "%u = load_masked f32 %xp, %few {align 4}\nstore f32 %u, %yp {align 4}\nstore_masked f32 5.0, %yp, %few {align 4}"
    _, y = gpu(ops)
    assert y[:32].tolist() == [5.0] * 7 + [0.0] * 25


def test_elements_that_are_not_aligned_to_their_size() -> None:
    ops = "%a = load f32x2 %yp {align 1}\n%x1 = step ptr.global %x, %tid\n%b = load f32 %x1 {align 1}\nstore f32 %b, %yp {align 4}"
    x, y = gpu(ops)
    expected = [x.view(np.uint8)[t : t + 4].copy().view(np.float32)[0] for t in range(32)]
    np.testing.assert_array_equal(y[:32], np.array(expected))
