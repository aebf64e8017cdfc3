"""x86 with AVX-512 F, BW, DQ, VL and CD (Skylake-X and Zen 4 on). Cache figures: Intel's optimisation manual;
the third level's, `load_cost` and `stream_shown` as measured on Emerald Rapids."""

from convjit.machine import avx2
from convjit.machine.machine import Cache, Machine
from convjit.machine.rows import fma, halves, mad, pairs, quads
from convjit.machine.rows_bf16 import fused

FEATURES = f"{avx2.FEATURES},+avx512f,+avx512bw,+avx512dq,+avx512vl,+avx512cd"
REQUIRED = (*avx2.REQUIRED, "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512cd")
CACHES = (
    Cache("L1", 32 << 10, 64, 128),
    Cache("L2", 1 << 20, 64, 48),
    Cache("L3", 16 << 20, 64, 14),
    Cache("memory", 1 << 40, 64, 8),
)
ROWS = (
    *fma("f32", 16, feature="avx512f"),
    *fma("f64", 8, feature="avx512f"),
    *mad(512, "avx512f"),
    *halves(8, "avx512f"),
    *pairs(16, "llvm.x86.avx512.pmaddw.d.512", "avx512bw"),
    *quads(16, "llvm.x86.avx512.pmaddubs.w.512", "llvm.x86.avx512.pmaddw.d.512", "avx512bw"),
    *fused(16),
    *fused(16, alone=False),
    *avx2.ROWS,
)

MACHINE = Machine(
    name="cpu:avx512",
    kind="cpu",
    llvm_cpu="x86-64",
    llvm_features=FEATURES,
    required=REQUIRED,
    vector_bits=512,
    vector_registers=32,
    masks=True,
    shuffle_for_fma=True,
    load_cost=0.3,
    stream_shown=1.0,
    caches=CACHES,
    rows=ROWS,
)
