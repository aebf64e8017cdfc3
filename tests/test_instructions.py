"""A named target is a fixed set of features: the assembly of many kernels holds nothing beyond it."""

from __future__ import annotations

import re

import pytest

from convjit.api import compilation, read
from convjit.pipeline import stage_texts
from convjit.spec.conv import ConvSpec
from tests import shapes

PROGRAMS = """
conv res     { input x : f32[N=1, H=14, W=14, C=64]; weight w : f32[OC=64, KH=3, KW=3, IC=64]; pad same; then relu }
conv stem    { input x : f32[N=1, C=3, H=37, W=37]; weight w : f32[OC=24, IC=3, KH=7, KW=7]; stride 2; pad 3 }
conv depth   { input x : f32[N=1, H=15, W=15, C=20]; weight w : f32[KH=3, KW=3, OC=20, IC=1]; groups 20; pad same }
conv groups  { input x : f32[N=1, C=32, H=9, W=9]; weight w : f32[OC=32, IC=4, KH=3, KW=3]; groups 8; pad same }
conv point   { input x : f64[N=1, H=9, W=9, C=37]; weight w : f64[IC=37, OC=29, KH=1, KW=1]; then clip -1 1 }
conv odd     { input x : f64[W=23, N=2, C=3]; weight w : f64[KW=4, OC=5, IC=3]; dilation 3; pad ((2, 9)) }
conv open    { input x : f32[N=?, H=?, W=?, C=7]; weight w : f32[OC=21, KH=3, KW=3, IC=7]; pad 1; then leaky_relu 0.1 }
conv rows    { input x : f32[N=?, C=2, W=?]; weight w : f32[OC=3, IC=2, KW=5]; stride 3; pad ((2, 2)) }
conv curves  { input x : f32[N=1, W=40, C=8]; weight w : f32[KW=3, IC=8, OC=16]; bias b : f32[OC]; then silu; then gelu
               residual r : f32[N, OW, OC]; then add r; param s : f32[OC]; then scale s per OC; then tanh }
conv wide    { input x : f64[N=1, W=40, C=8]; weight w : f64[KW=3, IC=8, OC=16]; then sigmoid; then gelu }
conv bytes   { input x : u8[N=1, H=15, W=15, C=35]; weight w : i8[OC=24, KH=3, KW=3, IC=35]; pad 1; then relu }
conv first   { input x : i8[N=1, C=6, H=15, W=15]; weight w : i8[OC=24, KH=3, KW=3, IC=6]; pad 1 }
conv words   { input x : i16[N=1, H=9, W=9, C=16]; weight w : i16[KH=3, KW=3, OC=16, IC=16]; output y : i32[N, OH, OW, OC] }
conv longs   { input x : i16[N=1, H=9, W=9, C=16]; weight w : i16[KH=3, KW=3, OC=16, IC=16] }
conv whole   { input x : i32[N=1, H=9, W=9, C=16]; weight w : i32[KH=3, KW=3, OC=16, IC=16] }
conv quant   { input x : u8[N=1, H=15, W=15, C=35] scale 0.1 zero 3; weight w : i8[OC=24, KH=3, KW=3, IC=35] scale s per OC; pad 1
               param s : f32[OC]; output y : u8[N, OH, OW, OC] scale 2 zero 9; then relu }
conv lite    { input x : i8[N=1, W=40, C=16] scale 0.1 zero 3; weight w : i8[KW=3, IC=16, OC=16] scale s per OC zero z per OC
               param s : f32[OC]; param z : i8[OC]; output y : i8[N, OW, OC] scale 2 zero 9; requantize tflite_double }
conv seven   { input x : u8 in 0..127 [N=1, H=15, W=15, C=32]; weight w : i8[OC=24, KH=3, KW=3, IC=32]; pad 1 }
conv parts   { input x : i16 in -99..99 [N=1, W=40, C=32]; weight w : i16[KW=3, IC=32, OC=16] }
conv report  { input x : f32[N=1, W=40, C=16]; weight w : f32[KW=3, IC=16, OC=16]; compute i16 scale x 2^7, w 2^8 round half_away }
conv eight   { input x : f32[N=1, C=16, W=40]; weight w : f32[KW=3, IC=16, OC=16]; compute i8 scale x 2^7, w 2^8 round floor }
conv space   { input x : f32[N=1, C=5, D=6, H=7, W=8]; weight w : f32[OC=9, IC=5, KD=2, KH=3, KW=3]; pad same }
"""

SPECS = {name: spec for name, (spec, _) in read(PROGRAMS).items()}
SPECS |= {case.name: shapes.spec_of(case) for case in shapes.SAMPLE[::6]}

AVX512 = re.compile(
    r"%zmm|%[xy]mm(1[6-9]|2\d|3[01])\b|%k[0-7]\b|\{"  # its registers, masks, rounding and broadcasts
    r"|^v(pternlog|perm[it]2|permw|permb|align[dq]|rndscale|getexp|scalef|range[ps]|reduce|fixup|compress|expand"
    r"|pro[lr]v?[dq]|psravq|psraq|pmullq|pscatter|scatter|pdp|dpbf16|p?blendm|shuf[fi]\d|pmovm2|pmov\w*2m|ptestn?m"
    r"|p(and|andn|or|xor)[dq]\b|p(abs|max|min)[su]?q|pcmpu?[bwdq]\b|movdq[au]\d|cvt\w*(qq|udq)"
    r"|(extract|insert|broadcast)[fi](32|64)x)"
)
"""Registers and instructions of AVX-512 and of what came after it."""

PACKED = re.compile(
    r"%[yz]mm|^v|^(add|sub|mul|div|sqrt|max|min|hadd|dp|blend|round|shuf|unpckl|unpckh)p[sd]\b"
    r"|^p(add|sub|mul|madd|max|min|avg|sad|s[lr]l|sra|cmp|unpck|shuf|ack)\w*"
)
"""Vectors: AVX at all, and SSE's arithmetic on several numbers. Signs are cleared by `andps`, copies are `movaps`."""


def instructions(spec: ConvSpec, target: str) -> list[str]:
    """The instructions, without labels, data and directives."""
    lines = stage_texts(compilation(spec, target=target))["asm"]().splitlines()
    found = (line.split("#")[0].strip() for line in lines if line.startswith("\t"))
    return [line for line in found if line and not line.startswith(".")]


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize(("target", "beyond"), [("cpu:avx2", AVX512), ("cpu:scalar", PACKED)], ids=["avx2", "scalar"])
def test_nothing_beyond_the_target(target: str, beyond: re.Pattern[str], name: str) -> None:
    code = instructions(SPECS[name], target)
    assert [line for line in code if beyond.search(line)] == []
    multiplies = r"vfmadd|vmul|vpmadd|vpmul" if target == "cpu:avx2" else r"muls[sd]|imul"
    assert any(re.match(multiplies, line) for line in code)


@pytest.mark.parametrize(("target", "beyond"), [("cpu:avx512", AVX512), ("cpu:avx2", PACKED)], ids=["avx512", "avx2"])
def test_the_patterns_find_what_they_look_for(target: str, beyond: re.Pattern[str]) -> None:
    code = [line for spec in list(SPECS.values())[:4] for line in instructions(spec, target)]
    assert sum(bool(beyond.search(line)) for line in code) > len(code) / 4
