"""NVIDIA Turing (T4 figures): no asynchronous copies. Limits: CUDA C++ programming guide, compute capabilities."""

from convjit.machine.machine import Cache, Machine
from convjit.machine.rows import dp4a, fma, mad

ROWS = (*fma("f32", 1), *fma("f64", 1), *mad(), *dp4a())

MACHINE = Machine(
    name="cuda:sm_75",
    kind="cuda",
    llvm_cpu="sm_75",
    llvm_features="",
    required=(),
    vector_bits=128,
    vector_registers=0,
    masks=True,
    caches=(
        Cache("shared", 64 << 10, 128, 64),
        Cache("L2", 4 << 20, 128, 32),
        Cache("memory", 16 << 30, 32, 5),
    ),
    rows=ROWS,
    sm=75,
    ptx=63,
    shared_bytes=64 << 10,
    registers=64 << 10,
    thread_registers=255,
    multiprocessors=40,
    threads_per_multiprocessor=1024,
)
