"""NVIDIA Ampere (A100 figures): asynchronous copies to shared memory. Limits: CUDA C++ programming guide."""

from convjit.machine import sm_75
from convjit.machine.machine import Cache, Machine

MACHINE = Machine(
    name="cuda:sm_80",
    kind="cuda",
    llvm_cpu="sm_80",
    llvm_features="",
    required=(),
    vector_bits=128,
    vector_registers=0,
    masks=True,
    caches=(
        Cache("shared", 163 << 10, 128, 128),
        Cache("L2", 40 << 20, 128, 48),
        Cache("memory", 40 << 30, 32, 10),
    ),
    rows=sm_75.ROWS,
    sm=80,
    ptx=70,
    shared_bytes=163 << 10,
    registers=64 << 10,
    thread_registers=255,
    multiprocessors=108,
    threads_per_multiprocessor=2048,
)
