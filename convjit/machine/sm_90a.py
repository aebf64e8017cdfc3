"""NVIDIA Hopper with its own features (H100 SXM figures). Limits: CUDA C++ programming guide."""

from convjit.machine import sm_75
from convjit.machine.machine import Cache, Machine

MACHINE = Machine(
    name="cuda:sm_90a",
    kind="cuda",
    llvm_cpu="sm_90a",
    llvm_features="",
    required=(),
    vector_bits=128,
    vector_registers=0,
    masks=True,
    caches=(
        Cache("shared", 227 << 10, 128, 128),
        Cache("L2", 50 << 20, 128, 32),
        Cache("memory", 80 << 30, 32, 14),
    ),
    rows=sm_75.ROWS,
    sm=90,
    ptx=80,
    shared_bytes=227 << 10,
    registers=64 << 10,
    thread_registers=255,
    multiprocessors=132,
    threads_per_multiprocessor=2048,
)
