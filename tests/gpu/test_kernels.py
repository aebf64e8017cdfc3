"""Every kind of GPU kernel: exact in the interpreter, and assembled for every machine that has what it needs."""

from __future__ import annotations

import re
from functools import lru_cache

import numpy as np
import pytest

from convjit import machine
from convjit.dtypes import get
from convjit.kernel.interpret import interpret
from convjit.pipeline import Compilation, stage_texts
from convjit.runtime.array_call import shape_of
from convjit.runtime.cuda_code import version_of
from convjit.runtime.ptxas import assemble_ptx
from convjit.spec.reference import reference
from tests.gpu.cases import CASES, Case, arrays, conv

GPUS = [machine.get(name) for name in ("cuda:sm_75", "cuda:sm_80", "cuda:sm_90a")]
EACH = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@lru_cache(maxsize=32)
def compiled(case: Case, name: str) -> Compilation:
    return case.on(name)


@EACH
def test_the_interpreter_gives_the_exact_result(case: Case) -> None:
    check_exact(case)


def check_exact(case: Case) -> None:
    """On the oldest machine that has what the case needs."""
    gpu = next(m for m in GPUS if m.sm >= case.least)
    c = compiled(case, gpu.name)
    opened = {"N": 3}
    given = arrays(case, **opened)
    want = reference(c.spec, *given.values())
    given["y"] = np.full(want.shape, 77, get(c.spec.output.dtype).numpy)
    for temporary in c.program.temporaries:
        given[temporary.name] = np.full(shape_of(temporary, opened), 77, get(temporary.dtype).numpy)
    for kernel in c.kernels:
        sizes = {name: opened[name.removeprefix("size.")] for name in kernel.sizes}
        interpret(kernel, gpu, {p.name: given[p.name] for p in kernel.parameters}, sizes)
    np.testing.assert_array_equal(given["y"], want)


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


SIX = "n:block oh:block [y] kh kw c/6 {} c/4 ow:thread oc/4:thread oc:unroll c:unroll"
FOUND = {
    "a tile of x that its loops do not divide": (conv(1, 4, 5, 8, 8), SIX.format("[x: shared]"), 75),
    "a tile of both": (conv(1, 4, 5, 8, 8), SIX.format("[x: shared] [w: shared]"), 75),
    "a packed weight copied in its blocks": (
        conv(1, 4, 5, 8, 18),
        "n:block oh:block ow/2:block [y] kh kw c/4 [w: shared] oc/4:thread c:unroll ow:unroll oc:unroll\npack w: oc/4 kh kw oc c", 75,
    ),
    "asynchronous copies of what is all outside": (
        conv(1, 2, 1, 8, 8, "KH=1, KW=1", "stride (1, 2); pad ((0, 0), (1, 0))"),
        "n:block oh:block ow:block [y] c/4 [x: shared by cp.async] oc:thread c:unroll", 80,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FOUND)
def test_what_random_schedules_found(name: str) -> None:
    check_exact(Case("found", *FOUND[name]))


def test_what_each_case_is_about_is_in_its_code() -> None:
    """Loads to shared memory without registers, and vector loads where neighbours are read."""
    text = stage_texts(compiled(CASES[0], "cuda:sm_80"))["ptx"]()
    for words in ("cp.async.cg.shared.global", "cp.async.wait_group", "ld.shared.v4.b32", "fma.rn.f32", "bar.sync"):
        assert words in text
    plain = stage_texts(compiled(CASES[1], "cuda:sm_75"))["ptx"]()
    assert "cp.async" not in plain and "ld.global.nc.v4.b32" in plain and "st.shared.v4.b32" in plain
