"""Which of LLVM's IR passes run, by target, and why. Code generation itself is always at level 3."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Passes:
    """LLVM's standard pipeline of that level (0: none), with or without the passes that rewrite loops."""

    level: int
    unroll: bool
    vectorize: bool
    why: str


PASSES: dict[str, Passes] = {
    "cpu": Passes(
        0,
        False,
        False,
        "The kernel is written as it is to run; O1 to O3 gave the same speed for two to three times the compile time, "
        "and loop unrolling at O3 made some kernels half as fast.",
    ),
    "cuda": Passes(
        3,
        False,
        False,
        "Addresses are sums in the order in which their variables get values, and LICM, GVN and instcombine make the "
        "short forms of them. Unrolling and vectorising are decided in the schedule.",
    ),
}
