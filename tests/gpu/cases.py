"""Every kind of GPU kernel: a small odd convolution, the lines of its schedule, and what its kernel needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from convjit import api, dtypes
from convjit.pipeline import Compilation


@dataclass(frozen=True)
class Case:
    """A convolution as clauses, a schedule, the least machine; `registers` at most, and the block's `shared` bytes."""

    name: str
    clauses: str
    schedule: str
    least: int = 75
    registers: int = 255
    shared: int = 0

    @property
    def text(self) -> str:
        """The program."""
        return f"conv {self.name} {{\n{self.clauses}\ndataflow {{\n{self.schedule}\n}}\n}}"

    def on(self, machine: str) -> Compilation:
        """Its compilation for a machine."""
        ((spec, syntax),) = api.read(self.text).values()
        return api.compilation(spec, syntax, machine)


def arrays(case: Case, **sizes: int) -> dict[str, np.ndarray[Any, Any]]:
    """Small whole numbers for the inputs, of bytes all that there are; `sizes` are the open ones."""
    ((spec, _),) = api.read(case.text).values()
    rng = np.random.default_rng(2)
    found = {}
    for t in spec.arguments:
        low, high = (-4, 4) if t.dtype[0] == "f" else dtypes.limits(t.dtype)
        shape = [s or sizes[a] for a, s in zip(t.axes, t.sizes, strict=True)]
        found[t.name] = rng.integers(low, high + 1, shape).astype(dtypes.get(t.dtype).numpy)
    return found


def conv(n: int, h: int, w: int, c: int, oc: int, kernel: str = "KH=3, KW=3", rest: str = "pad 1") -> str:
    """The clauses of a convolution of an NHWC input."""
    return f"input x : f32[N={n}, H={h}, W={w}, C={c}]; weight w : f32[{kernel}, OC={oc}, IC]; {rest}"


def in_bytes(clauses: str, x: str = "u8", w: str = "i8") -> str:
    """The same convolution of bytes."""
    return clauses.replace("x : f32", f"x : {x}").replace("w : f32", f"w : {w}")


def matrix(ring: int, by: str) -> str:
    """Implicit GEMM: 64 pixels by 64 channels for a block of four warps, both operands staged in a ring."""
    return f"""
        fuse p = n.oh.ow
        p/64:block oc/64:block [y] kh kw c/16 [x: shared ring {ring} pad 4 by {by}] [w: shared ring {ring} by {by}]
        p/32:warp oc/32:warp c/4:unroll [x] p/8:unroll p:lane c:unroll [w] oc/16:unroll oc/4:lane oc:unroll
        pack w: oc/64 kh kw c/16 c oc"""


def dot_matrix(ring: int, by: str) -> str:
    """The same of bytes: dot products of four channels, 16 channels read at a time."""
    return f"""
        fuse p = n.oh.ow
        p/64:block oc/64:block [y] kh kw c/64 [x: shared ring {ring} pad 16 by {by}] [w: shared ring {ring} by {by}]
        p/32:warp oc/32:warp c/16:unroll [x] p/8:unroll p:lane c/4:unroll [w] oc/16:unroll oc/4:lane oc:unroll c:dot
        pack w: oc/64 kh kw c/64 c/4 oc c"""


RING = 3 * (64 * 20 * 4 + 16 * 64 * 4)  # slots of 64 pixels of 16 channels and 4 spare, 16 channels by 64

CASES = (
    Case("matrix_async", conv(2, 6, 9, 16, 64), matrix(3, "cp.async"), 80, 104, RING),
    Case("matrix_loads", conv(2, 6, 9, 16, 64), matrix(2, "loads"), 75, 104, RING // 3 * 2),
    Case("matrix_ragged", conv(1, 7, 5, 19, 70, rest="pad 1; stride 2"), matrix(3, "cp.async"), 80, 88, RING),
    Case(
        "depthwise", conv(2, 9, 9, 20, 20, rest="pad 1; groups 20"), """
        n:global oh/2:global ow/4:global g/4:global [y] kh:unroll kw:unroll [x] [w] oh:unroll ow:unroll g:unroll
        pack w: kh kw g""", registers=160,
    ),
    Case(
        "first_layer", conv(2, 9, 11, 3, 32, "KH=7, KW=7", "pad 3; stride 2"), """
        n:global oh:global ow/4:global [w: shared | kh:unroll kw:unroll c:thread oc/4:thread oc:vec] [y]
        kh kw:unroll c:unroll [x] [w] ow:unroll oc/8:unroll oc/4:global oc:unroll
        pack w: kh kw c oc
        launch threads 128""", registers=224, shared=7 * 7 * 3 * 32 * 4,
    ),
    Case(
        "small_groups", conv(2, 9, 11, 32, 32, rest="pad 1; groups 8"), """
        n:global oh/2:global ow/2:global g:global [y] kh:unroll kw:unroll c:unroll [x] [w] oh:unroll ow:unroll oc:unroll
        pack w: kh kw c g oc""",
    ),
    Case(
        "weight_stationary", conv(1, 5, 7, 8, 32), """
        oc/4:global kh kw c/4 [w] oh ow/2 [y] ow:unroll oc:unroll c:unroll
        pack w: oc/4 kh kw c oc
        launch threads 32""", registers=96,
    ),
    Case(
        "input_stationary", conv(1, 6, 9, 16, 64), """
        n:block oh/2:block ow/3:block [x: shared | h:unroll w:unroll c/4:thread c:vec] oc/4:thread [y]
        kh kw c/4:unroll [x] [w] oh:unroll ow:unroll c:unroll oc:unroll
        pack w: kh kw c oc""", registers=128, shared=1280,
    ),
    Case(
        "open_batch", conv(2, 9, 9, 20, 20, rest="pad 1; groups 20").replace("N=2", "N=?"), """
        n:block oh/2:block ow:block [y] kh:unroll kw:unroll [x] [w] oh:unroll ow:unroll g:thread
        pack w: kh kw g""", registers=40,
    ),
    Case("dot_matrix_async", in_bytes(conv(2, 6, 9, 64, 64)), dot_matrix(3, "cp.async"), 80, 104, RING),
    Case("dot_matrix_loads", in_bytes(conv(2, 6, 9, 64, 64), "i8"), dot_matrix(2, "loads"), 75, 104, RING // 3 * 2),
    Case(
        "dot_matrix_fours", in_bytes(conv(1, 7, 5, 20, 70, rest="pad 1; stride 2")), dot_matrix(3, "cp.async"), 80, 112,
        RING,
    ),
    Case("dot_matrix_ragged", in_bytes(conv(2, 6, 9, 13, 70)), dot_matrix(2, "loads"), 75, 160, RING // 3 * 2),
    Case(
        "dot_first_layer", in_bytes(conv(2, 9, 11, 3, 32, "KH=7, KW=7", "pad 3; stride 2"), "i8", "u8"), """
        n:global oh:global ow/4:global [w: shared | kh:unroll kw:unroll c/4:unroll oc/4:thread oc:vec c:dot] [y]
        kh kw:unroll c/4:unroll [x] [w] ow:unroll oc/8:unroll oc/4:global oc:unroll c:dot
        pack w: kh kw c/4 oc c
        launch threads 128""", registers=224, shared=7 * 7 * 4 * 32,
    ),
    Case(
        "dot_groups", in_bytes(conv(2, 9, 11, 32, 32, rest="pad 1; groups 4"), "u8", "u8"), """
        n:global oh/2:global ow/2:global g:global [y] kh kw:unroll [x] [w] c/4:unroll oh:unroll ow:unroll oc:unroll c:dot
        pack w: kh kw g c/4 oc c""", registers=160,
    ),
    Case(
        "dot_box", in_bytes(conv(1, 6, 9, 16, 64)), """
        n:block oh/2:block ow/3:block [x: shared | h:unroll w:unroll c/16:thread c/4:vec c:dot] oc/4:thread [y]
        kh kw c/16:unroll [x] [w] c/4:unroll oh:unroll ow:unroll oc:unroll c:dot
        pack w: kh kw c/4 oc c""", registers=128, shared=384,
    ),
)  # fmt: skip
