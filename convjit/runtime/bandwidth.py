"""How fast a machine reads memory that lies in one of its caches, or in none.

Every thread reads a block of its own again and again, with the widest vectors that the machine's code uses, in order.
"""

from __future__ import annotations

import ctypes
import time
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from convjit.machine.machine import Machine
from convjit.runtime.assemble import CodeTarget, Library, assemble, load
from convjit.runtime.detect import Host, host

Bytes = NDArray[np.uint8]

ROUNDS, SECONDS = 5, 1e-2
"""The best of so many rounds, each about that long."""

UNROLLED = 8
LEAST_MEMORY, MOST_MEMORY = 256 << 20, 1 << 30


def bandwidths(machine: Machine, threads: int) -> dict[str, float]:
    """Bytes per second that so many threads read together, by level: "L1", "L2", "L3", "memory"."""
    return {level: _measure(machine, size, threads) for level, size in blocks(host(), threads).items()}


def blocks(here: Host, threads: int) -> dict[str, int]:
    """Bytes that each thread reads: half of its L1 or L2; four times its L2, as long as all fit L3; far more than L3."""
    step = UNROLLED * 64
    sizes = {}
    if here.l1:
        sizes["L1"] = here.l1 // 2
    if here.l2:
        sizes["L2"] = here.l2 // 2
    if here.l3 > 8 * threads * max(here.l2, 1 << 18):
        sizes["L3"] = 4 * max(here.l2, 1 << 18)
    sizes["memory"] = min(max(8 * here.l3, LEAST_MEMORY), MOST_MEMORY) // threads
    return {level: max(step, size // step * step) for level, size in sizes.items()}


def _measure(machine: Machine, size: int, threads: int) -> float:
    library = _library(machine)
    read = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)(
        library.address("read")
    )
    blocks = [np.ones(size, np.uint8) for _ in range(threads)]
    sinks = [np.zeros(64, np.uint8) for _ in range(threads)]

    def run(times: int, block: Bytes, sink: Bytes) -> float:
        start = time.perf_counter()
        read(block.ctypes.data, size, times, sink.ctypes.data)
        return time.perf_counter() - start

    times = 1
    while run(times, blocks[0], sinks[0]) < SECONDS / 2 and times < 1 << 24:
        times *= 2
    with ThreadPoolExecutor(threads) as workers:
        best = min(max(workers.map(run, [times] * threads, blocks, sinks)) for _ in range(ROUNDS))
    return size * times * threads / best


@lru_cache(maxsize=4)
def _library(machine: Machine) -> Library:
    return load(assemble(_text(machine), CodeTarget(machine.llvm_cpu, machine.llvm_features)), ["read"])


def _text(machine: Machine) -> str:
    """LLVM IR of `read(block, bytes, times, sink)`; what is read is combined by exclusive or, into the sink."""
    lanes = max(machine.vector_bits, 128) // 32
    kind, step = f"<{lanes} x i32>", UNROLLED * lanes * 4
    names = range(UNROLLED)
    lines = [
        "define void @read(ptr %block, i64 %bytes, i64 %times, ptr %sink) {",
        "entry:",
        "  br label %pass",
        "pass:",
        "  %t = phi i64 [ 0, %entry ], [ %t1, %after ]",
        *(f"  %p{j} = phi {kind} [ zeroinitializer, %entry ], [ %r{j}, %after ]" for j in names),
        "  br label %loop",
        "loop:",
        "  %i = phi i64 [ 0, %pass ], [ %i1, %loop ]",
        *(f"  %a{j} = phi {kind} [ %p{j}, %pass ], [ %r{j}, %loop ]" for j in names),
        "  %at = getelementptr i8, ptr %block, i64 %i",
    ]
    for j in names:
        lines += [
            f"  %g{j} = getelementptr i8, ptr %at, i64 {j * lanes * 4}",
            f"  %v{j} = load {kind}, ptr %g{j}, align 4",
            f"  %r{j} = xor {kind} %a{j}, %v{j}",
        ]
    lines += [
        f"  %i1 = add i64 %i, {step}",
        "  %more = icmp ult i64 %i1, %bytes",
        "  br i1 %more, label %loop, label %after",
        "after:",
        "  %t1 = add i64 %t, 1",
        "  %again = icmp ult i64 %t1, %times",
        "  br i1 %again, label %pass, label %done",
        "done:",
        f"  %s0 = xor {kind} %r0, %r1",
        *(f"  %s{j - 1} = xor {kind} %s{j - 2}, %r{j}" for j in names[2:]),
        f"  store {kind} %s{UNROLLED - 2}, ptr %sink, align 1",
        "  ret void",
        "}",
    ]
    return "\n".join([*lines, ""])
