"""The peak of this machine. Of a processor it is measured: one multiply-add instruction after the other on registers, nothing else.

Every accumulator has a chain of its own, more of them than an instruction's latency times the number of units, so that
the units never wait. Operations are counted as for a convolution: 2 for each multiplication and addition.
"""

from __future__ import annotations

import ctypes
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

from convjit.emit.words import llvm_type
from convjit.kernel.types import FLOATS
from convjit.machine.machine import Machine, Row
from convjit.runtime.assemble import CodeTarget, Library, assemble, load
from convjit.runtime.cuda import Gpu

ROUNDS, SECONDS = 7, 4e-3
"""The best of so many rounds, each about that long."""

RESERVED = 4  # vector registers that are no accumulators: the operands, and room for what an instruction needs besides


@dataclass(frozen=True)
class Peak:
    """Operations per second, and how they are known."""

    operations: float
    origin: str

    def __str__(self) -> str:
        return f"{self.operations / 1e9:.1f} GFLOP/s, {self.origin}"


def measure(machine: Machine, types: tuple[str, str, str], threads: int = 1) -> Peak | None:
    """The peak for products of (a, b) added to an accumulator; None where the machine has no instruction for them.

    The machine must be this one, or an older one of its family. It is measured once in a process.
    """
    row = _widest(machine, types)
    return _measured_once(machine.name, row, _text(row, machine), _target(machine), threads) if row else None


def measure_now(machine: Machine, types: tuple[str, str, str], threads: int = 1) -> Peak | None:
    """The same, measured anew: the clock changes, and so do the neighbours."""
    row = _widest(machine, types)
    return _measure(machine.name, row, _text(row, machine), _target(machine), threads) if row else None


def _widest(machine: Machine, types: tuple[str, str, str]) -> Row | None:
    return max(machine.rows_for(types), key=_width, default=None)


CUDA_CORES = {(7, 5): 64, (8, 0): 64, (8, 6): 128, (8, 7): 128, (8, 9): 128, (9, 0): 128, (10, 0): 128, (12, 0): 128}
"""f32 multiply-adds that a multiprocessor starts in a cycle, by compute capability: CUDA C++ programming guide,
"Arithmetic Instructions"."""


def of_gpu(gpu: Gpu, types: tuple[str, str, str]) -> Peak | None:
    """The peak of a GPU's ordinary f32 units at its highest clock; None for other types and unknown GPUs."""
    cores = CUDA_CORES.get(divmod(gpu.sm, 10))
    if cores is None or types != ("f32", "f32", "f32"):
        return None
    operations = 2e6 * gpu.megahertz * gpu.multiprocessors * cores
    return Peak(operations, f"computed from {gpu.multiprocessors} x {cores} units at {gpu.megahertz:.0f} MHz")


def _width(row: Row) -> int:
    return row.role("n") * row.role("k") * row.role("m")


def _target(machine: Machine) -> CodeTarget:
    return CodeTarget(machine.llvm_cpu, machine.llvm_features)


def _chains(machine: Machine) -> int:
    return machine.vector_registers - RESERVED


def _text(row: Row, machine: Machine) -> str:
    """LLVM IR of `peak(n, memory)`: n rounds of one instruction for each chain.

    Where products are instructions of their own they would be computed once if their factors stayed the same, so one changes
    from turn to turn and the other from chain to chain. One instruction that multiplies and adds is never left out.
    """
    a, b, acc = map(llvm_type, row.operands)
    chains = range(_chains(machine))
    fused = row.types[2] in FLOATS or row.code[-1].startswith("{out} = call")
    lines = [*row.declare, "define void @peak(i64 %n, ptr %memory) {", "entry:"]
    lines += [f"  %a0 = load {a}, ptr %memory, align 1"]
    for j in chains:
        lines += [f"  %at{j} = getelementptr i8, ptr %memory, i64 {0 if fused else 64 * j}"]
        lines += [f"  %b{j} = load {b}, ptr %at{j}, align 1"]
    lines += [f"  %c{j} = load {acc}, ptr %memory, align 1" for j in chains]
    lines += ["  br label %loop", "loop:", "  %i = phi i64 [ 0, %entry ], [ %next, %loop ]"]
    lines += [f"  %s{j} = phi {acc} [ %c{j}, %entry ], [ %r{j}, %loop ]" for j in chains]
    if not fused:
        lines += [f"  %a = phi {a} [ %a0, %entry ], [ %a1, %loop ]", f"  %a1 = xor {a} %a, %a0"]
    for j in chains:
        names = {"out": f"%r{j}", "a": "%a0" if fused else "%a", "b": f"%b{j}", "acc": f"%s{j}", "t": f"%t{j}"}
        lines += [f"  {line.format(**names)}" for line in row.code]
    lines += ["  %next = add i64 %i, 1", "  %more = icmp ult i64 %next, %n"]
    lines += ["  br i1 %more, label %loop, label %done", "done:"]
    for j in chains:
        lines += [f"  %p{j} = getelementptr i8, ptr %memory, i64 {64 * j}"]
        lines += [f"  store {acc} %r{j}, ptr %p{j}, align 1"]
    return "\n".join([*lines, "  ret void", "}", ""])


@lru_cache(maxsize=16)
def _library(text: str, target: CodeTarget) -> Library:
    return load(assemble(text, target), ["peak"])


def _measure(name: str, row: Row, text: str, target: CodeTarget, threads: int) -> Peak:
    library = _library(text, target)
    function = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_void_p)(library.address("peak"))
    memories = [ctypes.create_string_buffer(65 * 64) for _ in range(threads)]

    def run(rounds: int, memory: ctypes.Array[ctypes.c_char]) -> float:
        start = time.perf_counter()
        function(rounds, -(-ctypes.addressof(memory) // 64) * 64)  # no vector crosses a line
        return time.perf_counter() - start

    rounds = 1000
    while run(rounds, memories[0]) < SECONDS / 2:
        rounds *= 2
    with ThreadPoolExecutor(threads) as workers:
        best = min(max(workers.map(run, [rounds] * threads, memories)) for _ in range(ROUNDS))
    chains = text.count("  store ")
    operations = 2.0 * _width(row) * chains * rounds * threads / best
    return Peak(operations, f"measured with {name.split(':')[1]} {row.name}")


_measured_once = lru_cache(maxsize=16)(_measure)
