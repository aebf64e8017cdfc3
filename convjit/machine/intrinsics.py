"""The LLVM functions that an instruction row may call, and what the machine must have for each.

A call that the back end cannot select ends the process, and an unknown `llvm.nvvm` name silently becomes a call of a
function that nobody has; so what isn't listed here is refused.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Need:
    """An LLVM feature (CPU), one of several where they stand with `or` between, or the least sm and PTX version (GPU, `sm`
    above 0)."""

    feature: str = ""
    sm: int = 0
    ptx: int = 0

    def met(self, features: frozenset[str]) -> bool:
        """Whether a CPU with these features has it."""
        return not self.feature or bool(features.intersection(self.feature.split(" or ")))


ANYWHERE = Need()

INTRINSICS: dict[str, Need] = {
    "llvm.fma.f32": ANYWHERE,
    "llvm.fma.f64": ANYWHERE,
    "llvm.fma.v2f64": Need("fma"),
    "llvm.fma.v4f32": Need("fma"),
    "llvm.fma.v4f64": Need("fma"),
    "llvm.fma.v8f32": Need("fma"),
    "llvm.fma.v8f64": Need("avx512f"),
    "llvm.fma.v16f32": Need("avx512f"),
    "llvm.x86.avx512bf16.dpbf16ps.128": Need("avx512bf16"),
    "llvm.x86.avx512bf16.dpbf16ps.256": Need("avx512bf16"),
    "llvm.x86.avx512bf16.dpbf16ps.512": Need("avx512bf16"),
    "llvm.x86.avx512.vpdpbusd.256": Need("avxvnni or avx512vnni"),
    "llvm.x86.avx512.vpdpbusd.512": Need("avx512vnni"),
    "llvm.x86.avx512.vpdpwssd.256": Need("avxvnni or avx512vnni"),
    "llvm.x86.avx512.vpdpwssd.512": Need("avx512vnni"),
    "llvm.x86.avx2.pmadd.wd": Need("avx2"),
    "llvm.x86.avx2.pmadd.ub.sw": Need("avx2"),
    "llvm.x86.avx512.pmaddubs.w.512": Need("avx512bw"),
    "llvm.x86.avx512.pmaddw.d.512": Need("avx512bw"),
    "llvm.nvvm.idp4a.s.s": Need(sm=61, ptx=50),
    "llvm.nvvm.idp4a.s.u": Need(sm=61, ptx=50),
    "llvm.nvvm.idp4a.u.s": Need(sm=61, ptx=50),
    "llvm.nvvm.idp4a.u.u": Need(sm=61, ptx=50),
}
