"""GPU kernels as PTX, assembled without a GPU."""

from __future__ import annotations

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from convjit import machine
from convjit.emit.llvm import emit, emit_module
from convjit.emit.passes import PASSES
from convjit.emit.ptx import NEWEST_PTX, USABLE, ptx, ptx_version
from convjit.errors import InternalError
from convjit.kernel.parse import parse
from convjit.kernel.verify import verify
from convjit.runtime.ptxas import Usage, assemble_ptx
from tests.emit.ops import cases, fits, kernel
from tests.kernel.samples import PLAIN_TILE, TILE

GPUS = [name for name in machine.NAMES if name.startswith("cuda")]


def on(name: str, text: str) -> str:
    kernel = replace(parse(text), machine=name)
    verify(kernel, machine.get(name))
    return ptx(emit(kernel, machine.get(name)), machine.get(name))


@pytest.mark.parametrize("name", GPUS)
def test_a_tile_in_shared_memory(name: str) -> None:
    text = on(name, PLAIN_TILE)
    for instruction in ("ld.global.nc.b32", "st.shared.b32", "bar.sync", "ld.shared.b32", ".reqntid 64"):
        assert instruction in text
    (usage,) = assemble_ptx(text, name.removeprefix("cuda:")).kernels
    assert usage.name == "plain_tile"
    assert usage.registers <= 32
    own = 1024 if name == "cuda:sm_90a" else 0  # Hopper keeps 1 KB of shared memory for itself
    assert usage == Usage("plain_tile", usage.registers, 0, 0, 0, own)


@pytest.mark.parametrize("name", GPUS[1:])
def test_asynchronous_copies(name: str) -> None:
    text = on(name, TILE)
    for instruction in (
        "cp.async.cg.shared.global",
        "cp.async.commit_group",
        "cp.async.wait_group",
        "fma.rn.f32",
    ):
        assert instruction in text
    (usage,) = assemble_ptx(text, name.removeprefix("cuda:")).kernels
    assert (usage.spill_stores, usage.spill_loads, usage.stack) == (0, 0, 0)
    assert usage.registers <= 40


@pytest.mark.parametrize(
    ("name", "version"), [("cuda:sm_75", "6.3"), ("cuda:sm_80", "7.0"), ("cuda:sm_90a", "8.0")]
)
def test_the_lowest_version_that_will_do(name: str, version: str) -> None:
    text = on(name, PLAIN_TILE)
    assert f".version {version}\n" in text
    assert f".target {name.removeprefix('cuda:')}\n" in text


@pytest.mark.parametrize("name", GPUS)
def test_every_op_compiles_and_assembles(name: str) -> None:
    """And calls nothing: an unknown function would silently become an external one."""
    gpu = machine.get(name)
    chosen = [c for c in cases(gpu) if fits(c) and "x8" not in c.op.type]
    kernels = tuple(kernel(case, gpu, f"op{at}") for at, case in enumerate(chosen))
    for one in kernels:
        verify(one, gpu)
    text = ptx(emit_module(kernels, gpu), gpu)
    assert not re.search(r"^\s*(?:\.extern \.func|call)", text, re.MULTILINE)
    if name == "cuda:sm_80":
        assert len(assemble_ptx(text, "sm_80").kernels) == len(kernels)


MASKED = """kernel f for cuda:sm_75
parameter x f32 in global
parameter y f32 in global written
launch blocks (1) threads 32 shared 0 min 0 cluster 1
{
  %tid = special i32 {register tid}
  %at = shl i32 %tid, 4
  %p = step ptr.global %x, %at
  %q = step ptr.global %y, %at
  prefetch %p
  %m = lanes_inside i1x4 %tid, 20 {offsets (0 1 2 3)}
  %v = load_masked f32x4 %p, %m {align 16}
  store_masked f32x4 %v, %q, %m {align 16}
  %one = lt i1 %tid, 5 {type i32}
  %u = load_masked f32 %p, %one {align 4}
  store_masked f32 %u, %q, %one {align 4}
}"""


@pytest.mark.parametrize("name", GPUS)
def test_masks_and_prefetch(name: str) -> None:
    text = on(name, MASKED)
    assert ("prefetch.global.L2" in text) == (name == "cuda:sm_90a")
    assert assemble_ptx(text, name.removeprefix("cuda:")).kernels[0].spill_stores == 0


def test_vectors_are_loaded_whole() -> None:
    text = TILE.replace("%v0, %u, %a", "%v3, %v0, %a").replace(
        "    %f = fma", "    %v3 = extract f32 %v {lane 3, from f32x4}\n    %f = fma"
    )
    assert "ld.shared.v4.b32" in on("cuda:sm_80", text)


def test_passes_are_data() -> None:
    assert PASSES["cpu"].level == 0
    assert (PASSES["cuda"].level, PASSES["cuda"].unroll, PASSES["cuda"].vectorize) == (3, False, False)


def test_compiling_from_many_threads() -> None:
    with ThreadPoolExecutor(4) as pool:
        texts = list(pool.map(lambda _: on("cuda:sm_90a", TILE), range(12)))
    assert len(set(texts)) == 1


def module(call: str, declare: str) -> str:
    return f"{declare}\ndefine ptx_kernel void @k() {{\n  {call}\n  ret void\n}}\n"


UNKNOWN = module("call void @llvm.nvvm.no.such.thing()", "declare void @llvm.nvvm.no.such.thing()")
TOO_NEW = module(
    "call void @llvm.nvvm.cp.async.commit.group()", "declare void @llvm.nvvm.cp.async.commit.group()"
)


def test_what_would_end_the_process_is_refused() -> None:
    turing = machine.get("cuda:sm_75")
    with pytest.raises(
        InternalError, match="'llvm.nvvm.no.such.thing' is not among the functions that GPU code may use"
    ):
        ptx(UNKNOWN, turing)
    with pytest.raises(
        InternalError, match="'llvm.nvvm.cp.async.commit.group' needs sm_80, the machine is cuda:sm_75"
    ):
        ptx(TOO_NEW, turing)
    with pytest.raises(InternalError, match="'llvm.exp.f32' is not among"):
        ptx(module("%1 = call float @llvm.exp.f32(float 1.0)", "declare float @llvm.exp.f32(float)"), turing)
    with pytest.raises(InternalError, match=f"PTX 99 is newer than {NEWEST_PTX}"):
        ptx(module("", ""), replace(turing, ptx=99))
    with pytest.raises(
        InternalError, match="(?s)^LLVM cannot take this module: .*expected instruction opcode"
    ):
        ptx("define void @k() {\n  rubbish\n}\n", turing)


def test_a_function_raises_the_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(USABLE, "llvm.nvvm.no.such.thing", (75, 71))
    assert ptx_version(UNKNOWN, machine.get("cuda:sm_75")) == 71


CHILD = """
import sys
from convjit import machine
from convjit.emit import ptx
from convjit.emit.llvm import emit
from convjit.kernel.parse import parse
from convjit.kernel.verify import verify
text, name, what = sys.argv[1:]
on = machine.get(name)
if what == "checked":
    verify(parse(text), on)
else:
    ptx.USABLE = dict.fromkeys([*ptx.USABLE, "llvm.nvvm.no.such.thing"], (0, 0))
module = text if what == "module" else emit(parse(text), on)
print(ptx.ptx(module, on))
print("survived")
"""

BAD = """kernel f for cuda:sm_75
parameter x f32 in global
local s 16 in shared at 0
launch blocks (1) threads 32 shared 16 min 0 cluster 1
{
%s
}"""


def child(text: str, what: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", CHILD, text, "cuda:sm_75", what], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("ops", "reason"),
    [
        ("cp_async %x, %s {bytes 16}", "it needs sm_80, the machine is cuda:sm_75"),
        ("cp_async_commit", "it needs sm_80, the machine is cuda:sm_75"),
    ],
)
def test_bad_kernels_end_a_process_and_are_refused_before(ops: str, reason: str) -> None:
    """Past the verifier the back end ends the process (in a child, here); the verifier refuses the same kernel."""
    unchecked, checked = child(BAD % ops, "unchecked"), child(BAD % ops, "checked")
    assert unchecked.returncode < 0 or "LLVM ERROR" in unchecked.stderr
    assert "survived" not in unchecked.stdout
    assert checked.returncode == 1
    assert f"InternalError: f: {ops}: {reason}" in checked.stderr


def test_an_unknown_function_would_become_an_external_one() -> None:
    got = child(UNKNOWN, "module")
    assert ".extern .func" in got.stdout
    assert "survived" in got.stdout
