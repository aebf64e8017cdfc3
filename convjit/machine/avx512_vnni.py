"""AVX-512 with VNNI: 8- and 16-bit dot products (Cascade Lake, Zen 4)."""

from dataclasses import replace

from convjit.machine import avx512
from convjit.machine.rows import vnni

FEATURES = f"{avx512.FEATURES},+avx512vnni"
REQUIRED = (*avx512.REQUIRED, "avx512_vnni")

BASE = avx512.MACHINE.exact(pairs=False)  # what needs a proof is no faster than vpdpbusd
ROWS = (*BASE.rows, *vnni(16, "avx512vnni"), *vnni(8, "avx512vnni"))

MACHINE = replace(BASE, name="cpu:avx512_vnni", llvm_features=FEATURES, required=REQUIRED, rows=ROWS)
