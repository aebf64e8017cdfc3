"""Cases that the fuzzer once found wrong, each with what was wrong."""

from __future__ import annotations

import pytest

from convjit.dsl.parse import parse
from convjit.machine.registry import get
from convjit.spec.from_ast import lower
from tests.fuzz import Case, check
from tests.random_specs import random_arrays

CPU = {
    "the loops that clear the output walked the axes of the sum too": (
        "input x : f32[N=1, W=6, C=5]; weight w : f32[KW=3, IC=5, OC=8]; pad 1",
        "c ow/2 [x] oc/8 [y] kw:unroll ow:unroll oc:simd",
    ),
    "a loop was clipped by digits that are bound inside it": (
        "input x : f64[N=1, H=11, W=1, C=3]; weight w : f64[KH=3, IC=3, KW=1, OC=16]; pad ((1, 1), (0, 0))",
        "fuse p = n.oh.ow\ng p/6 oc/2 [y] kw c:unroll kh p:unroll oc:unroll",
    ),
    "registers were left unfilled where the image ended, though a copy stood in its place": (
        "input x : f32[N=1, H=7, W=11, C=6]; weight w : f32[IC=6, OC=1, KW=3, KH=1]; stride (3, 1); pad ((1, 1), (1, 2))",
        "n g ow/2 c oh/3 [x] oc/8 [y] oh:unroll {ow+kw}:unroll kh:unroll kw:unroll oc:simd\npack w: g oc/8 c kh kw oc",
    ),
    "a copy by iterations ran past the channels of the last group": (
        "input x : f32[N=2, C=8, H=9, W=3]; weight w : f32[KW=1, IC=2, KH=5, OC=8]; pad ((1, 2), (0, 0)); groups 4",
        "fuse p = n.oh.ow\np/7 g/3 [x: scratch] [y] kw oc:unroll c:unroll kh p:unroll g:unroll",
    ),
    "a copy by iterations ran past the taps": (
        "input x : f32[N=1, H=2, W=7, C=3]; weight w : f32[KH=2, KW=5, IC=3, OC=5]; pad ((1, 1), (0, 0))",
        "fuse p = n.oh.ow\noc/5 p/2 [x: scratch] [y] kh oc:unroll c kw/2 p:unroll kw:unroll",
    ),
    "a copy of a single element had no loops": (
        "input x : f32[W=1, N=1, C=1]; weight w : f32[OC=3, KW=1, IC=1]",
        "oc/5 [x: scratch] [y] oc:unroll kw/2 c:unroll kw:unroll\npack w: oc kw c g",
    ),
    "tiles that do not divide each other ran past the axis": (
        "input x : f32[N=1, W=8, C=2]; weight w : f32[KW=3, IC=2, OC=16]; pad 1",
        "oc/9 ow oc/8 [y] kw c oc:simd",
    ),
    "pieces of a cut loop bound the same digits side by side": (
        "input x : f32[N=1, C=1, H=6, W=8]; weight w : f32[IC=1, KH=2, OC=33, KW=1]; dilation 2; pad ((0, 1), (1, 0))",
        "fuse p = n.oh.ow\np/4 oc/16:thread [x: scratch] [y] kh oc/8:unroll [x] p:unroll oc:simd",
    ),
}

OPEN = {
    "a tile with lanes inside was walked in single steps": (
        "input x : f32[N=?, C=2, W=?]; weight w : f32[KW=3, IC=2, OC=16]; output y : f32[N, OW, OC]; pad 1",
        "c ow/16 oc/9:thread oc/3 n/5:thread [y] kw [w] oc:unroll ow/8:unroll n:unroll ow:simd",
        {"N": 1, "W": 19},
    ),
    "lanes along a row were stored nowhere": (
        "input x : f32[W=?, C=2, H=3, N=1]; weight w : f32[OC=16, KW=1, IC=2, KH=3]; output y : f32[N, OH, OW, OC];"
        "stride 3; dilation 2; pad ((1, 1), (0, 0)); then relu",
        "n oc/3 ow/8 [y] oh:unroll kh c:unroll oc:unroll kw ow:simd",
        {"W": 5},
    ),
}

GPU = {
    "a copy of a single element had no loops": (
        "input x : f32[N=1, H=5, W=1, C=3]; weight w : f32[KH=3, KW=1, IC=3, OC=8]; pad ((1, 1), (0, 0))",
        "oh:block oc:thread [y] kh c [x: shared]",
    ),
    "every thread did the one access of a small copy": (
        "input x : f32[N=1, C=19, H=12, W=14]; weight w : f32[OC=38, IC=1, KH=1, KW=3]; dilation 2; groups 19",
        "n:block oh:block g:block ow/2:thread oc/4:thread [y] kw kh c/4 [x: shared pad 4] [w: shared] "
        "c:unroll ow:unroll oc:unroll\npack w: c oc g kw kh",
    ),
    "one wide access took pixels that are no neighbours": (
        "input x : f32[N=1, H=11, W=1, C=4]; weight w : f32[KH=5, OC=24, IC=4, KW=3]; stride (1, 3); dilation (2, 1);"
        "pad ((0, 0), (1, 1))",
        "fuse p = n.oh.ow\np/8:block oc/16:block [y] kw kh c [x: shared pad 1] p/8:warp oc/16:warp "
        "[x] p/2:unroll p:lane [w] oc:lane",
    ),
    "the only pixel had no loops in the output's tile": (
        "input x : f32[N=1, W=5, C=7]; weight w : f32[OC=8, KW=2, IC=7]; stride 3; dilation 2",
        "fuse p = n.ow\np/8:block oc/16:block [y] kw c/4 [x: shared by cp.async pad 1] p/8:warp oc/8:warp c:unroll "
        "p/8:unroll p:lane oc/8:unroll oc/2:lane oc:unroll",
    ),
    "a ring had a single step": (
        "input x : f32[N=1, H=6, W=14, C=8]; weight w : f32[OC=16, KH=1, KW=1, IC=1]; pad ((1, 0), (0, 0)); groups 8",
        "fuse p = n.oh.ow\ng:block p/8:block oc/16:block [y] kw kh c/8 [x: shared ring 3 by cp.async pad 1] "
        "[w: shared ring 3 by cp.async pad 1] p/8:warp oc/16:warp c:unroll p/2:unroll p:lane oc:lane",
    ),
}


def run(clauses: str, schedule: str, sizes: dict[str, int], target: str) -> None:
    """Every form is right."""
    (spec,) = lower(parse(f"conv found {{ {clauses} }}", "found")).values()
    check(Case(0, spec, schedule, sizes, random_arrays(0, spec, sizes)), get(target))


@pytest.mark.isa("avx2", "fma")
@pytest.mark.parametrize("what", CPU)
def test_cpu(what: str) -> None:
    run(*CPU[what], {}, "cpu:avx2")


@pytest.mark.isa("avx2", "fma")
@pytest.mark.parametrize("what", OPEN)
def test_open_sizes(what: str) -> None:
    run(*OPEN[what], "cpu:avx2")


@pytest.mark.parametrize("what", GPU)
def test_gpu(what: str) -> None:
    run(*GPU[what], {}, "cuda:sm_80")
