"""Every kind of GPU kernel: exact in the interpreter, and assembled for every machine that has what it needs."""

from __future__ import annotations

import re
from functools import lru_cache

import numpy as np
import pytest

from convjit import machine
from convjit.kernel.interpret import interpret
from convjit.pipeline import Compilation, stage_texts
from convjit.runtime.array_call import shape_of
from convjit.runtime.cuda_code import version_of
from convjit.runtime.ptxas import assemble_ptx
from convjit.spec.reference import reference
from tests.gpu.cases import CASES, Case

GPUS = [machine.get(name) for name in ("cuda:sm_75", "cuda:sm_80", "cuda:sm_90a")]
EACH = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@lru_cache(maxsize=32)
def compiled(case: Case, name: str) -> Compilation:
    return case.on(name)


@EACH
def test_the_interpreter_gives_the_exact_result(case: Case) -> None:
    gpu = next(m for m in GPUS if m.sm >= case.least)
    c = compiled(case, gpu.name)
    rng, opened = np.random.default_rng(1), {"N": 3}
    arrays = {
        t.name: rng.integers(-4, 5, [s or opened["N"] for s in t.sizes]).astype(np.float32) for t in c.spec.arguments
    }
    want = reference(c.spec, *arrays.values())
    arrays["y"] = np.full(want.shape, np.nan, np.float32)
    for temporary in c.program.temporaries:
        arrays[temporary.name] = np.full(shape_of(temporary, opened), np.nan, np.float32)
    for kernel in c.kernels:
        sizes = {name: opened[name.removeprefix("size.")] for name in kernel.sizes}
        interpret(kernel, gpu, {p.name: arrays[p.name] for p in kernel.parameters}, sizes)
    np.testing.assert_array_equal(arrays["y"], want)


@pytest.mark.parametrize("gpu", GPUS, ids=lambda gpu: gpu.llvm_cpu)
@EACH
def test_it_assembles_without_spills(case: Case, gpu: machine.Machine) -> None:
    if gpu.sm < case.least:
        pytest.skip(f"{case.name} needs sm_{case.least}")
    c = compiled(case, gpu.name)
    text = stage_texts(c)["ptx"]()
    assert version_of(text) == {75: 63, 80: 70, 90: 80}[gpu.sm]
    assert f".target {gpu.llvm_cpu}\n" in text
    assert not re.search(r"^\s*(?:\.extern \.func|call)", text, re.MULTILINE)
    usages = assemble_ptx(text, gpu.llvm_cpu).kernels
    assert len(usages) == len(c.kernels)
    for usage in usages:
        assert (usage.spill_stores, usage.spill_loads, usage.stack) == (0, 0, 0)
        assert usage.registers <= case.registers
    assert max(k.launch.shared_bytes for k in c.kernels if k.launch) == case.shared


def test_what_each_case_is_about_is_in_its_code() -> None:
    """Loads to shared memory without registers, and vector loads where neighbours are read."""
    text = stage_texts(compiled(CASES[0], "cuda:sm_80"))["ptx"]()
    for words in ("cp.async.cg.shared.global", "cp.async.wait_group", "ld.shared.v4.b32", "fma.rn.f32", "bar.sync"):
        assert words in text
    plain = stage_texts(compiled(CASES[1], "cuda:sm_75"))["ptx"]()
    assert "cp.async" not in plain and "ld.global.nc.v4.b32" in plain and "st.shared.v4.b32" in plain
