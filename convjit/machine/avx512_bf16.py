"""AVX-512 with VNNI and BF16: bfloat16 dot products too (Cooper Lake, Zen 4)."""

from dataclasses import replace

from convjit.machine import avx512_vnni
from convjit.machine.rows_bf16 import native

OTHERS = tuple(row for row in avx512_vnni.ROWS if row.name != "dot_bf16")

MACHINE = replace(
    avx512_vnni.MACHINE,
    name="cpu:avx512_bf16",
    llvm_features=f"{avx512_vnni.FEATURES},+avx512bf16",
    required=(*avx512_vnni.REQUIRED, "avx512_bf16"),
    rows=(*OTHERS, *native(16, 8, 4, 1)),
)
