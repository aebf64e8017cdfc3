"""LLVM's back end ends the process on what it cannot select: the verifier must refuse all of it.

A kernel is damaged in one place at a time, in a child process. What the verifier lets through must compile.
"""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys

import pytest

from convjit.kernel.ops import OPS
from tests.gpu.cases import Case

CHILD = """
import json, sys
from convjit import machine
from convjit.emit.llvm import emit
from convjit.emit.ptx import ptx
from convjit.errors import InternalError
from convjit.kernel.parse import parse
from convjit.kernel.verify import verify
from convjit.runtime.ptxas import assemble_ptx
from lark.exceptions import UnexpectedInput
name, texts = json.load(sys.stdin)
on = machine.get(name)
for text in texts:
    try:
        kernel = parse(text)
        verify(kernel, on)
    except UnexpectedInput:
        print("no kernel", flush=True)
        continue
    except InternalError as error:
        print("refused:", " ".join(str(error).split()), flush=True)
        continue
    assemble_ptx(ptx(emit(kernel, on), on), on.llvm_cpu)
    print("compiled", flush=True)
"""
SMALL = Case(
    "small", "input x : f32[N=1, H=2, W=4, C=4]; weight w : f32[KH=1, KW=1, OC=8, IC]; then relu", """
    fuse p = n.oh.ow
    p/8:block [y] c/4 [x: shared ring 2 by cp.async] [w: shared ring 2 by cp.async] p/2:thread [x]
    p:unroll c:unroll [w] oc/4:thread oc:unroll
    pack w: c oc""",
)  # fmt: skip


def child(texts: list[str], machine: str = "cuda:sm_80") -> list[str]:
    """What became of each text; the process must live to the end."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD], input=json.dumps([machine, texts]), capture_output=True, text=True, check=False
    )
    outcomes = done.stdout.splitlines()
    assert done.returncode == 0, f"{done.stderr[-2000:]}\nended by:\n{texts[len(outcomes)]}"
    return outcomes


def good(case: Case = SMALL, machine: str = "cuda:sm_80") -> str:
    return str(case.on(machine).kernels[-1])


DAMAGE = (
    ("for cuda:sm_80", "for cuda:sm_75", "kernel: it is for cuda:sm_75, not for cuda:sm_80"),
    (r"threads \d+ shared", "threads 2048 shared", "launch: 2048 threads in a block, 1 to 1024 can be"),
    (r"shared \d+ min", "shared 999999 min", "launch: 999999 bytes of shared memory, cuda:sm_80 has 166912"),
    (r"shared \d+ min", "shared 16 min", "shared memory has 16 bytes"),
    ("cluster 1", "cluster 4", "launch: a cluster of 4 on cuda:sm_80"),
    (r"blocks \(.*?\)", "blocks (0)", "launch: blocks 0"),
    (r"blocks \(.*?\)", "blocks (n)", "launch: blocks n"),
    (r"\{bytes 16\}", "{bytes 12}", "12"),
    ("= fma f32 ", "= fma f16 ", "f16"),
    ("= fma f32 ", "= vpdpbusd f32 ", "vpdpbusd"),
    (r"\{align 16\}", "{align 3}", "3"),
    (r"\{register tid\}", "{register laneid}", "laneid"),
    (r"f32 in global written", "f32 in shared written", "in 'shared'"),
)


def test_damage_is_refused_with_its_reason() -> None:
    text = good()
    texts = [re.sub(pattern, other, text, count=1) for pattern, other, _ in DAMAGE]
    assert text not in texts
    for outcome, (_, _, reason) in zip(child(texts), DAMAGE, strict=True):
        assert outcome.startswith("refused: small: ") and reason in outcome


def test_a_kernel_for_a_newer_gpu_is_refused_on_an_older_one() -> None:
    (outcome,) = child([good().replace("cuda:sm_80", "cuda:sm_75")], "cuda:sm_75")
    assert "cp_async" in outcome and "it needs sm_80, the machine is cuda:sm_75" in outcome


def damaged(text: str, r: random.Random) -> str:
    """The kernel with one word of one op changed."""
    lines = text.splitlines()
    at = r.choice([i for i, line in enumerate(lines) if " = " in line and "carry" not in line])
    words = lines[at].split(" ")
    place = words.index("=") + 1
    change = r.choice(["op", "type", "number", "operand", "gone"])
    if change == "op":
        words[place] = r.choice(list(OPS))
    elif change == "type":
        words[place + 1] = r.choice(["f32", "f64", "i32", "i1", "f32x4", "f32x3", "i64", "ptr.shared", "f16", "i8x16"])
    elif change == "number":
        words = [str(r.choice([-1, 0, 1, 2, 3, 8, 16, 2**31])) if w.strip("},").isdecimal() else w for w in words]
    elif change == "operand":
        words[-1] = r.choice(["%x", "%y", "%1", "0", "1.5", "%nothing"])
    lines[at : at + 1] = [] if change == "gone" else [" ".join(words)]
    return "\n".join(lines)


@pytest.mark.parametrize("machine", ["cuda:sm_75", "cuda:sm_90a"])
def test_random_damage_never_ends_the_process(machine: str) -> None:
    r = random.Random(machine)
    plain = Case("plain", SMALL.clauses, SMALL.schedule.replace("cp.async", "loads"))
    text = good(SMALL if machine == "cuda:sm_90a" else plain, machine)
    outcomes = child([damaged(text, r) for _ in range(80)], machine)
    assert outcomes.count("compiled") >= 5
    assert sum(o.startswith("refused") for o in outcomes) >= 30
