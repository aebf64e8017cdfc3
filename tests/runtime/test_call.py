"""The function object: arguments by position and name, results, lifetimes, and nothing leaked."""

from __future__ import annotations

import copy
import gc
import pickle
import sys
import threading
import weakref
from collections.abc import Callable

import numpy as np
import pytest

from convjit.errors import ConvError, InternalError
from convjit.kernel.program import Array, Program
from convjit.runtime.compiled import BoundConv
from convjit.runtime.native_conv import NativeConv
from convjit.runtime.slow import PythonCall
from convjit.runtime.vectorcall import MachineCallable
from tests.runtime import kernels

X = np.arange(8, dtype=np.float32).reshape(1, 8)
W = np.array([3], np.float32)


def test_by_position_and_by_name() -> None:
    kernel = kernels.scale()
    for result in (
        kernel(X, W),
        kernel(X, w=W),
        kernel(w=W, x=X),
        kernel(x=X, w=W, out=None),
        kernel.function(X, W),
    ):
        np.testing.assert_array_equal(result, X * 3)
        assert result.dtype == np.float32


def test_out_is_filled_and_returned() -> None:
    kernel = kernels.scale()
    y = np.zeros((1, 8), np.float32)
    assert kernel(X, W, out=y) is y
    np.testing.assert_array_equal(y, X * 3)
    y[:] = 0
    assert kernel.function(out=y, w=W, x=X) is y
    np.testing.assert_array_equal(y, X * 3)


def test_names_that_are_not_interned_are_equal_too() -> None:
    name = bytes([ord("o"), ord("u"), ord("t")]).decode()
    assert name is not sys.intern("out")
    y = np.empty((1, 8), np.float32)
    assert kernels.scale()(X, W, **{name: y}) is y


def test_open_sizes_are_read_off_the_shapes() -> None:
    kernel = kernels.opened()
    for h in (1, 5, 100):
        x = np.arange(h, dtype=np.float32)
        r = np.zeros((h, 2), np.float32)
        np.testing.assert_array_equal(kernel(x, W, r), x * 3)
        out = np.empty(h, np.float32)
        assert kernel(x, W, r, out=out) is out


@pytest.mark.parametrize("threads", [1, 2])
def test_a_bound_kernel_gives_the_same(threads: int) -> None:
    kernel = kernels.packed(threads=threads)
    bound = kernel.bind(W)
    assert isinstance(bound, BoundConv)
    assert bound.certificate is None
    np.testing.assert_array_equal(bound(X), kernel(X, W))
    np.testing.assert_array_equal(kernel.bind(w=W)(x=X), kernel(X, W))
    y = np.empty((1, 8), np.float32)
    assert bound(X, out=y) is y
    np.testing.assert_array_equal(y, X * 4)


def test_steps_over_bound_arrays_run_once() -> None:
    w = W.copy()
    bound = kernels.packed().bind(w)
    w[:] = 100
    np.testing.assert_array_equal(bound(X), X * 4)


def test_bound_arrays_are_kept_alive_where_the_call_reads_them() -> None:
    w = np.array([5], np.float32)
    before = sys.getrefcount(w)
    bound = kernels.scale().bind(w)
    assert sys.getrefcount(w) > before
    del bound
    assert sys.getrefcount(w) == before
    packed = kernels.packed().bind(w)
    assert sys.getrefcount(w) == before
    np.testing.assert_array_equal(packed(X), X * 6)


def test_an_open_size_that_a_bound_array_fixes() -> None:
    kernel = kernels.opened()
    r = np.zeros((4, 2), np.float32)
    bound = kernel.bind(r=r, w=W)
    np.testing.assert_array_equal(bound(np.ones(4, np.float32)), np.full(4, 3, np.float32))
    with pytest.raises(ValueError, match=r"^x: expected f32\[H=4\], got f32\[5\]\.$"):
        bound(np.ones(5, np.float32))


def test_everything_may_be_bound() -> None:
    bound = kernels.scale().bind(W, x=X)
    np.testing.assert_array_equal(bound(), X * 3)


def test_certify_sees_the_bound_arrays() -> None:
    program = kernels.scale_program()
    library = kernels.library(kernels.SCALE, program)
    kernel = NativeConv(program, library, threads=1, certify=lambda given: f"w <= {given['w'].max()}")
    assert kernel.bind(W).certificate == "w <= 3.0"


def test_temporaries_without_memory_are_a_memory_error() -> None:
    kernel = kernels.greedy()
    y = np.full((1, 8), 9, np.float32)
    with pytest.raises(MemoryError):
        kernel(X, W, out=y)
    with pytest.raises(MemoryError, match="There is no memory for the temporaries of 'greedy'."):
        kernel(X.view(type("Sub", (np.ndarray,), {})), W, out=y)
    assert (y == 9).all()


def test_no_reference_is_leaked() -> None:
    kernel, bound = kernels.packed(), kernels.packed().bind(W)
    y = np.empty((1, 8), np.float32)
    wrong = np.empty((1, 9), np.float32)
    frozen = y.copy()
    frozen.flags.writeable = False
    watched = (X, W, y, wrong, frozen, kernel, bound, np.ndarray, np.empty, X.dtype)
    gc.collect()
    before = [sys.getrefcount(o) for o in watched]
    for _ in range(50):
        kernel(X, W), kernel(X, W, out=y), kernel(x=X, w=W), bound(X), bound(X, out=y), kernel.function(X, W)
        for args, named in (
            ((wrong, W), {}),
            ((X, wrong), {}),
            ((X, W), {"out": wrong}),
            ((X, W), {"out": frozen}),
        ):
            with pytest.raises(ValueError):
                kernel(*args, **named)
        with pytest.raises(ValueError):
            kernel(X, W, out=X)
        with pytest.raises(TypeError):
            kernel(X, X, X, X)
    del args, named
    gc.collect()
    assert [sys.getrefcount(o) for o in watched] == before


def test_a_dropped_kernel_is_freed_at_once() -> None:
    gc.disable()
    try:
        kernel = kernels.packed()
        kernel(X, W)
        bound = kernel.bind(W)
        bound(X)
        unload, watch, watch_bound = kernel._library._unload, weakref.ref(kernel), weakref.ref(bound)
        del kernel
        np.testing.assert_array_equal(bound(X), X * 4)
        assert unload.alive
        assert watch() is bound.kernel
        del bound
        assert watch() is None
        assert watch_bound() is None
        assert not unload.alive
    finally:
        gc.enable()


def test_the_function_object_keeps_all_that_it_needs() -> None:
    kernel = kernels.scale()
    function, unload = kernel.function, kernel._library._unload
    del kernel
    gc.collect()
    np.testing.assert_array_equal(function(X, W), X * 3)
    assert function.__name__ == "scale"
    assert function.__doc__ == "scale(x, w, out=None)"
    del function
    gc.collect()
    assert not unload.alive


def test_a_kernel_in_a_cycle_is_collected() -> None:
    kernel = kernels.scale()
    kernel.itself = kernel  # type: ignore[attr-defined]
    watch, unload = weakref.ref(kernel), kernel._library._unload
    del kernel
    gc.collect()
    assert watch() is None
    assert not unload.alive


def test_kernels_come_and_go_while_others_run() -> None:
    stay = kernels.scale(1000, threads=2)
    x = np.ones((1, 1000), np.float32)
    stop = threading.Event()
    good: list[bool] = []

    def call_on() -> None:
        while not stop.is_set():
            good.append(bool((stay(x, W) == 3).all()))

    caller = threading.Thread(target=call_on)
    caller.start()
    for n in range(1, 40):
        assert kernels.scale(n, threads=2)(np.ones((1, n), np.float32), W).sum() == 3 * n
    stop.set()
    caller.join()
    assert good
    assert all(good)


def test_compiling_from_many_threads() -> None:
    sums: list[float] = []

    def compile_and_call(n: int) -> None:
        sums.append(float(kernels.scale(n)(np.ones((1, n), np.float32), W).sum()) / n)

    workers = [threading.Thread(target=compile_and_call, args=(n,)) for n in range(1, 9)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sums == [3.0] * 8


def test_an_object_that_was_never_set_up_cannot_be_called() -> None:
    with pytest.raises(TypeError, match="does not support vectorcall"):
        NativeConv.__new__(NativeConv)()
    with pytest.raises(TypeError):
        MachineCallable()()


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, pickle.dumps])
def test_copies_and_pickles_are_refused(how: Callable[[object], object]) -> None:
    with pytest.raises(TypeError) as caught:
        how(kernels.scale())
    assert str(caught.value) == (
        "'scale' is machine code of this process and can be neither copied nor pickled; pass on its text, "
        "str(kernel.spec), and compile that."
    )


def test_stages_are_made_when_asked_for() -> None:
    made: list[str] = []

    def late() -> str:
        made.append("asm")
        return "ret"

    program = kernels.scale_program()
    kernel = NativeConv(
        program,
        kernels.library(kernels.SCALE, program),
        spec="the spec",
        stages={"llvm": kernels.SCALE, "asm": late},
        explanation=lambda: "because",
    )
    assert kernel.stages == ("llvm", "asm")
    assert kernel.dump("llvm") == kernels.SCALE
    assert made == []
    assert [kernel.dump("asm"), kernel.dump("asm")] == ["ret", "ret"]
    assert made == ["asm"]
    assert [kernel.explain(), kernel.explain(), kernel.spec] == ["because", "because", "the spec"]
    with pytest.raises(ConvError) as caught:
        kernel.dump("lvm")
    assert str(caught.value) == (
        "error: There is no stage 'lvm'.\n  note: The stages are llvm asm.\n  hint: Did you mean 'llvm'?"
    )


def test_calls_are_printed_on_demand(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CONVJIT_VERBOSE", "calls")
    kernel = kernels.scale()
    np.testing.assert_array_equal(kernel(X, W), X * 3)
    line = capsys.readouterr().err
    assert line.startswith("convjit: scale ")
    assert line.endswith(" us\n")


def test_programs_beyond_the_limits_are_our_mistake() -> None:
    inputs = tuple(Array(f"x{i}", "f32", (1,)) for i in range(17))
    program = Program("wide", inputs, Array("y", "f32", (1,)), (), ())
    with pytest.raises(InternalError, match="program 'wide' has 17 inputs; the runtime takes 16"):
        NativeConv(program, kernels.library("", program))


def test_a_record_that_is_only_executed_refuses_a_call() -> None:
    python = kernels.scale()._python
    assert isinstance(python, PythonCall)
    slow = python.record._objects[0]
    with pytest.raises(InternalError, match="a record that is only executed was called"):
        slow()  # type: ignore[operator]
