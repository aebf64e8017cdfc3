"""x86 with AVX2, FMA, F16C and BMI2 and nothing beyond (Haswell and Zen on). Cache figures: Intel's optimisation manual."""

from convjit.machine.machine import Cache, Machine
from convjit.machine.rows import fma, halves, mad, pairs, quads
from convjit.machine.rows_bf16 import fused

FEATURES = "+avx2,+fma,+f16c,+bmi2"
REQUIRED = ("avx2", "fma", "f16c", "bmi2")
CACHES = (
    Cache("L1", 32 << 10, 64, 64),
    Cache("L2", 256 << 10, 64, 32),
    Cache("L3", 8 << 20, 64, 16),
    Cache("memory", 1 << 40, 64, 6),
)
ROWS = (
    *fma("f32", 8, 4, 1, feature="fma"),
    *fma("f64", 4, 2, 1, feature="fma"),
    *mad(256, "avx2"),
    *mad(128, "avx2"),
    *mad(),
    *halves(4, "avx2"),
    *pairs(8, "llvm.x86.avx2.pmadd.wd", "avx2"),
    *quads(8, "llvm.x86.avx2.pmadd.ub.sw", "llvm.x86.avx2.pmadd.wd", "avx2"),
    *fused(8, 4, 1),
    *fused(8, 4, 1, alone=False),
)

MACHINE = Machine(
    name="cpu:avx2",
    kind="cpu",
    llvm_cpu="x86-64",
    llvm_features=FEATURES,
    required=REQUIRED,
    vector_bits=256,
    vector_registers=16,
    masks=False,
    caches=CACHES,
    rows=ROWS,
)
