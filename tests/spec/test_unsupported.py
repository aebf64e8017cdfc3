"""What is accepted by `refuse`; what it refuses stands in tests/errors/unavailable_*."""

from __future__ import annotations

from dataclasses import replace

import pytest

from convjit.errors import Unavailable
from convjit.spec.from_ast import from_text
from convjit.spec.unsupported import refuse

ACCEPTED = """
conv a {
    input x : f32[W=?, N=?, C=4, H=8]
    weight w : f32[OC=8, KH=3, KW=3, IC=2]
    bias b : f32[OC]
    residual r : f32[N, OC, OH, OW]
    param s : f32[OC]
    stride 2; dilation 2; groups 2; pad 3
    then gelu; then add r; then scale s per OC
    algorithm direct; error 0; compute f32; dataflow row_stationary; target cpu:avx2; threads 2
}
conv c { input x : u8[N=1, W=8, C=4]; weight w : i8[OC=8, KW=3, IC=4]; bias b : i64[OC]; output y : i64[N, OW, OC] }
conv d {
    input x : bf16[N=1, W=8, C=4]; weight w : bf16[OC=8, KW=3, IC=4]; bias b : f32[OC]; residual r : bf16[N, OW, OC]
    output y : bf16[N, OW, OC]; then add r
}
conv e { input x : f32[N=1, W=8, C=4]; weight w : f32[OC=8, KW=3, IC=4]; output y : f16[N, OW, OC]; compute bf16 }
conv b { input x : f64[N=1, D=4, H=4, W=4, C=4]; weight w : f64[OC=8, KD=1, KH=3, KW=3, IC=4] }
"""


def test_what_is_accepted() -> None:
    for spec in from_text(ACCEPTED).values():
        refuse(spec)


def test_a_spec_without_places_is_refused_all_the_same() -> None:
    (spec,) = from_text("conv a { input x : f8e4m3[N=1, W=8, C=4]; weight w : f8e4m3[OC=8, KW=3, IC=4] }").values()
    with pytest.raises(Unavailable, match="The input 'x' of f8e4m3 is not implemented yet."):
        refuse(replace(spec, places=()))
