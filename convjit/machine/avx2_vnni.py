"""AVX2 with AVX-VNNI: 8-bit dot products on 256-bit vectors (Alder Lake, Zen 5)."""

from dataclasses import replace

from convjit.machine import avx2
from convjit.machine.rows import vnni

MACHINE = replace(
    avx2.MACHINE,
    name="cpu:avx2_vnni",
    llvm_features=f"{avx2.FEATURES},+avxvnni",
    required=(*avx2.REQUIRED, "avx_vnni"),
    rows=(*avx2.ROWS, *vnni(8, "avxvnni")),
)
