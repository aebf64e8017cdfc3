"""Every op and every row, compiled and run, against its meaning, on edge values; and none calls a library."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from convjit import machine
from convjit.emit.llvm import emit, emit_module
from convjit.kernel.interpret import interpret
from convjit.kernel.ir import Kernel, element
from convjit.kernel.meaning import NUMPY
from convjit.kernel.types import FLOATS
from convjit.kernel.verify import verify
from convjit.runtime.assemble import assemble, assembly, load
from tests.compiled import call, compiled, target
from tests.emit.ops import STRIDE, TURNS, Case, cases, fits, kernel

Array = np.ndarray[Any, Any]
EDGES = {
    "f": (
        0.0,
        -0.0,
        1.0,
        -1.5,
        2.5,
        -2.5,
        0.5,
        1e-40,
        -3e38,
        1e308,
        123456.7,
        8388609.0,
        float("inf"),
        float("nan"),
    ),
    "i": (0, 1, -1, 2, 127, -128, 32767, -32768, 2**31 - 1, -(2**31), 2**63 - 1, -(2**63), 77),
}


def operand(case: Case, at: int, random: np.random.Generator) -> Array:
    """Values of an operand for each turn, whose result is defined."""
    if at >= len(case.operands):
        return np.zeros(TURNS * STRIDE, np.uint8)
    dtype = NUMPY[element(case.operands[at])]
    shape = TURNS, STRIDE // dtype.itemsize
    floats = element(case.operands[at]) in FLOATS
    name = case.op.name
    with np.errstate(all="ignore"):
        if name == "convert" and floats and element(case.op.type) not in FLOATS:
            low = 0 if case.op.type[0] == "u" else -128
            values = random.choice([low, 0, 0.99, -0.99 if low else 0.5, 126.5, 1.5], shape)
        elif name in ("shl", "lshr", "ashr") and at == 1:
            values = random.integers(0, 8 * dtype.itemsize, shape)
        elif name in ("udiv", "urem") and at == 1:
            values = random.integers(1, 100, shape)
        else:
            edges = np.array(EDGES["f" if floats else "i"], np.float64 if floats else np.int64)
            values = random.choice(edges, shape)
            if floats:
                near = random.standard_normal(shape) * 100
                values = np.where(random.random(shape) < 0.5, near, values)
            if name.endswith("_bf16") and at == 2:  # no row gives a denormal sum, so none takes one
                values = np.where(np.abs(values) < 2.0**-126, 0.0, values)
        return values.astype(dtype).reshape(-1).view(np.uint8).copy()


def compare(name: str, op: str) -> None:
    """Every type of one op, compiled together."""
    on, random = machine.get(name), np.random.default_rng(7)
    chosen = [c for c in cases(on) if c.op.name == op and fits(c)]
    kernels = tuple(kernel(case, on, f"op{at}") for at, case in enumerate(chosen))
    library = compiled(kernels, on)
    for case, one in zip(chosen, kernels, strict=True):
        verify(one, on)
        arrays = {f"{label}s": operand(case, at, random) for at, label in enumerate("abc")}
        expected, got = np.zeros(TURNS * STRIDE, np.uint8), np.zeros(TURNS * STRIDE, np.uint8)
        interpret(one, on, {**arrays, "y": expected})
        call(library, one, {**arrays, "y": got})
        np.testing.assert_array_equal(got, expected, err_msg=case.name)


def names(name: str) -> list[str]:
    return sorted({case.op.name for case in cases(machine.get(name))})


@pytest.mark.parametrize("op", names("cpu:scalar"))
def test_scalar(op: str) -> None:
    compare("cpu:scalar", op)


@pytest.mark.isa("avx2", "fma", "f16c")
@pytest.mark.parametrize("op", names("cpu:avx2"))
def test_avx2(op: str) -> None:
    compare("cpu:avx2", op)


@pytest.mark.isa("avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512cd")
@pytest.mark.parametrize("op", names("cpu:avx512"))
def test_avx512(op: str) -> None:
    compare("cpu:avx512", op)


@pytest.mark.isa("avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512cd", "avx512_vnni", "avx512_bf16")
@pytest.mark.parametrize("op", ["dot_bf16", "fma_bf16"])
def test_avx512_bf16(op: str) -> None:
    compare("cpu:avx512_bf16", op)


def all_ops(name: str) -> tuple[Kernel, ...]:
    on = machine.get(name)
    return tuple(kernel(case, on, f"op{at}") for at, case in enumerate(cases(on)))


@pytest.mark.parametrize("name", [n for n in machine.NAMES if n.startswith("cpu")])
def test_no_op_calls_a_library(name: str) -> None:
    """The object links though it imports nothing: a `call` would be to a function that is not there."""
    on, kernels = machine.get(name), all_ops(name)
    text = assembly(emit_module(kernels, on), target(on))
    assert not re.findall(r"^\s+(?:call|jmp)\w*\s+\w+@PLT", text, re.MULTILINE)


@pytest.mark.parametrize("name", ["cpu:scalar", "cpu:avx2"])
def test_named_features_only(name: str) -> None:
    on = machine.get(name)
    text = assembly(emit_module(all_ops(name), on), target(on))
    assert not re.search(r"%zmm|%k[1-7]|%[xy]mm(1[6-9]|2\d|3[01])", text)
    if name == "cpu:scalar":
        assert not re.search(
            r"%ymm|^\s+v[a-z]|^\s+(?:add|mul|sub|div|max|min|sqrt)p[sd]\s", text, re.MULTILINE
        )


@pytest.mark.parametrize("name", ["cpu:avx2", "cpu:avx512", "cpu:avx512_bf16"])
def test_a_row_becomes_its_instruction(name: str) -> None:
    """Looked for in the assembly, so that it holds where the machine itself is not at hand."""
    on = machine.get(name)
    registers = {4: "xmm", 8: "ymm", 16: "zmm", 1: "xmm", 2: "xmm"}
    for case in cases(on):
        if case.op.name != "fma":
            continue
        one = kernel(case, on)
        verify(one, on)
        kind, _, count = case.op.type.partition("x")
        lanes = int(count or 1) * (2 if kind == "f64" and count else 1)
        suffix = ("s" if not count else "p") + ("s" if kind == "f32" else "d")
        found = re.search(
            rf"vfn?m(?:add|sub)\d+{suffix}\s.*%{registers[lanes]}", assembly(emit(one, on), target(on))
        )
        assert found, case.op.type


def test_objects_load_without_imports() -> None:
    on = machine.get("cpu:scalar")
    library = load(assemble(emit_module(all_ops("cpu:scalar"), on), target(on)), ["op0"])
    assert library.address("op0")
