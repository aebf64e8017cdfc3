"""AVX2 with AVX-VNNI: 8-bit dot products on 256-bit vectors (Alder Lake, Zen 5)."""

from dataclasses import replace

from convjit.machine import avx2
from convjit.machine.rows import vnni

BASE = avx2.MACHINE.exact(pairs=False)  # what needs a proof is no faster than vpdpbusd

MACHINE = replace(
    BASE,
    name="cpu:avx2_vnni",
    llvm_features=f"{avx2.FEATURES},+avxvnni",
    required=(*avx2.REQUIRED, "avx_vnni"),
    rows=(*BASE.rows, *vnni(8, "avxvnni")),
)
