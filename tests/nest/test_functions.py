"""sigmoid, tanh, silu, gelu and their like: how exact they are, what becomes of NaN and infinity, on every machine."""

from __future__ import annotations

import re

import numpy as np
import pytest

from convjit import dtypes
from convjit import machine as machines
from convjit.emit.llvm import emit_module
from convjit.emit.ptx import ptx
from convjit.nest.functions import operations, steps
from convjit.nest.ir import Apply, Load, Number
from convjit.nest.meaning import OPS
from convjit.runtime.assemble import assembly
from convjit.runtime.ptxas import assemble_ptx
from convjit.spec.functions import FUNCTIONS as REFERENCE
from tests.compiled import target as code_target
from tests.functions import ALL, SLOPE, TYPES, Array, exact, interpreted, kernel, run, special

GPUS = [name for name in machines.NAMES if name.startswith("cuda")]
CPUS = [pytest.param("cpu:scalar"), pytest.param("cpu:avx2", marks=pytest.mark.isa("avx2", "fma"))]
TINY = {"f32": 1e-36, "f64": 1e-305}
"""Where the exact result is nearer to 0, the difference is at most this."""
BOUNDS = {
    ("f32", "cpu:scalar"): {"sigmoid": 3, "tanh": 3, "silu": 3, "gelu": 8},
    ("f32", "cpu:avx2"): {"sigmoid": 3, "tanh": 3, "silu": 3, "gelu": 6},
    ("f64", "cpu:scalar"): {"sigmoid": 3, "tanh": 3, "silu": 3, "gelu": 10},
    ("f64", "cpu:avx2"): {"sigmoid": 3, "tanh": 3, "silu": 3, "gelu": 7},
}
"""Units in the last place: as the docstring of `functions` says."""
NAMES = tuple(BOUNDS["f32", "cpu:scalar"])
NRMSE = {"f32": 1e-7, "f64": 2e-16}
REACH = {"f32": 110.0, "f64": 750.0}


def inputs(dtype: str, count: int) -> Array:
    """Of every size, and many of the usual ones."""
    r = np.random.default_rng(count)
    every = np.exp2(r.uniform(-40, np.log2(REACH[dtype]), count)) * r.choice([-1, 1], count)
    return np.concatenate([every, r.normal(0, 2, count), r.uniform(-40, 40, count)]).astype(dtypes.get(dtype).numpy)


def judge(name: str, dtype: str, target: str, x: Array, want: Array) -> Array:
    """In units in the last place; the errors."""
    error: Array = np.abs(run(name, dtype, target, x) - want)
    tiny = np.abs(want) < TINY[dtype]
    assert error[tiny].max(initial=0) <= TINY[dtype]
    units = error[~tiny] / np.spacing(np.abs(want[~tiny]).astype(x.dtype)).astype(np.float64)
    worst = units.max(initial=0)
    assert worst <= BOUNDS[dtype, target][name], f"{name} of {x[~tiny][units == worst]} is off by {worst} units"
    return error


def judge_mean(dtype: str, x: Array, want: Array, error: Array) -> None:
    """The mean error beside the mean size, of negative and of positive numbers."""
    for side in (x < 0, x > 0):
        assert np.sqrt(np.mean(error[side] ** 2) / np.mean(want[side] ** 2)) < NRMSE[dtype]


@pytest.mark.parametrize("target", CPUS)
@pytest.mark.parametrize("name", NAMES)
def test_f32_is_exact_to_a_few_units(name: str, target: str) -> None:
    """Beside the reference in float64."""
    x = inputs("f32", 20_000)
    want = REFERENCE[name](x.astype(np.float64))
    judge_mean("f32", x, want, judge(name, "f32", target, x, want))


@pytest.mark.sweep
@pytest.mark.parametrize("target", CPUS)
@pytest.mark.parametrize("name", NAMES)
def test_f32_everywhere(name: str, target: str) -> None:
    """Every 97th number."""
    for start in range(0, 1 << 32, 97 << 20):
        bits = np.arange(start, min(start + (97 << 20), 1 << 32), 97, dtype=np.uint32)
        x = bits.view(np.float32)
        x = x[np.abs(x) < 1000]
        with np.errstate(over="ignore"):
            want = REFERENCE[name](x.astype(np.float64))
        judge(name, "f32", target, x, want)


@pytest.mark.parametrize("target", CPUS)
@pytest.mark.parametrize("name", NAMES)
def test_f64_is_exact_to_a_few_units(name: str, target: str) -> None:
    """Beside decimal arithmetic."""
    x = inputs("f64", 150)
    want = np.array([exact(name, v) for v in x.tolist()])
    judge_mean("f64", x, want, judge(name, "f64", target, x, want))


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", ALL)
def test_every_machine_gives_the_same(name: str, dtype: str) -> None:
    """Bit for bit where there is a fused multiply-add; what the formula gives for NaN, infinity, the ends of the range."""
    x = special(dtype)
    more = (np.asarray(SLOPE).astype(x.dtype),) if name == "leaky_relu" else ()
    with np.errstate(all="ignore"):
        wide = REFERENCE[name](x.astype(np.float64), *more)
        want = wide.astype(x.dtype)
        meaning = OPS[name](x, *more)
    results = {t: interpreted(name, dtype, t, x) for t in ("cpu:scalar", "cpu:avx2", "cpu:avx512", "cuda:sm_75")}
    for target, got in {**results, "the nest": meaning}.items():
        assert np.array_equal(np.isnan(got), np.isnan(want)), target
        assert np.array_equal(np.isinf(got), np.isinf(want)), target
        np.testing.assert_allclose(got, wide, rtol=1e-6 if dtype == "f32" else 1e-13, atol=TINY[dtype])
    for target in ("cpu:avx512", "cuda:sm_75"):
        assert np.array_equal(results[target], results["cpu:avx2"], equal_nan=True), target


@pytest.mark.parametrize("target", CPUS)
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", ALL)
def test_the_processor_does_what_the_interpreter_does(name: str, dtype: str, target: str) -> None:
    x = special(dtype)
    assert np.array_equal(run(name, dtype, target, x), interpreted(name, dtype, target, x), equal_nan=True)


def test_nothing_is_called() -> None:
    """No library: neither on a CPU nor on a GPU, whose code is assembled too."""
    for name in ("cpu:scalar", "cpu:avx2", "cpu:avx512"):
        machine = machines.get(name)
        text = assembly(
            emit_module(tuple(kernel(f, d, machine) for f in ALL for d in TYPES), machine), code_target(machine)
        )
        assert "gelu_f64" in text
        assert not re.findall(r"^\s+(?:call|jmp)q?\s+[^.\s]\S*$", text, re.MULTILINE)


@pytest.mark.parametrize("name", GPUS)
def test_gpu_code_is_assembled(name: str) -> None:
    machine = machines.get(name)
    text = ptx(emit_module(tuple(kernel(f, d, machine) for f in ALL for d in TYPES), machine), machine)
    assert "call" not in text
    assert ".approx" not in text
    used = assemble_ptx(text, machine.llvm_cpu).kernels
    assert {u.name for u in used} == {f"{f}_{d}" for f in ALL for d in TYPES}
    assert all((u.spill_stores, u.spill_loads) == (0, 0) and u.registers <= 64 for u in used)


def test_operations_are_counted() -> None:
    x = Load("x", ())
    bias = Apply("add", (x, Load("b", ())), "f32")
    assert operations(x) == operations(Number(1.0, "f32")) == 0
    assert operations(bias) == 1
    assert operations(Apply("gelu", (bias,), "f32")) == 1 + len(steps("gelu", "f32"))
    assert {f: len(steps(f, "f32")) for f in ALL} == {
        "sigmoid": 21, "tanh": 21, "silu": 21, "gelu": 42, "hardswish": 5, "leaky_relu": 3,
    }  # fmt: skip
