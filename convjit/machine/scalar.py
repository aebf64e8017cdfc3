"""Any 64-bit x86 processor, one number at a time.

The baseline has SSE2 but no fused multiply-add, so `fma` is a multiplication and an addition, each rounded.
SSE2's scalar instructions (mulss, addsd) are used, its vector arithmetic is not.
"""

from convjit.machine.machine import Cache, Machine
from convjit.machine.rows import mad, unfused
from convjit.machine.rows_bf16 import in_double

MACHINE = Machine(
    name="cpu:scalar",
    kind="cpu",
    llvm_cpu="x86-64",
    llvm_features="",
    required=("sse2",),
    vector_bits=0,
    vector_registers=16,
    masks=False,
    rounding=False,
    fma_per_cycle=1,
    caches=(
        Cache("L1", 32 << 10, 64, 16),
        Cache("L2", 256 << 10, 64, 16),
        Cache("L3", 8 << 20, 64, 10),
        Cache("memory", 1 << 40, 64, 4),
    ),
    rows=(unfused("f32"), unfused("f64"), *mad(), in_double(), in_double(alone=False)),
)
