"""The texts of `explain` and of profiles."""

from __future__ import annotations

import re

import pytest

import convjit
from convjit import api
from convjit.cost.sizes import open_sizes
from convjit.explanation import explain
from convjit.report import profile

TEXT = """conv c {
    input x : f32[N=1, H=8, W=8, C=4]; weight w : f32[OC=8, KH=3, KW=3, IC=4]; output y : f32[N, OH, OW, OC]
    dataflow { n oh ow/4 [y] kh kw c ow:unroll oc:simd
               pack w: kh kw c oc }
}"""


def test_explain_says_what_was_taken() -> None:
    spec, syntax = api.read(TEXT)["c"]
    assert explain(api.compilation(spec, syntax, "cpu:avx2")) == (
        "c on cpu:avx2\n"
        "  dataflow  as written\n"
        "  schedule  n oh ow/4 [y] kh kw c ow:unroll oc:simd\n"
        "            pack w: kh kw c oc\n"
        "  kernels   c.pack: no multiplications; 2 registers of 16\n"
        "            c: fma f32x8; 6 registers of 16\n"
        "  traffic   in a call\n"
        "            buffer           level   loads  stores  bytes\n"
        "            c.pack w         memory     36       0   1152\n"
        "            c.pack w.packed  memory      0      36   1152\n"
        "            c x              memory   1296       0   5184\n"
        "            c w.packed       memory    432       0  13824\n"
        "            c y              memory      0      36   1152\n"
        "  cost      10368 multiply-adds of f32; 1.31 uJ by a model (45 nm, 0.9 V), constants bound:\n"
        "            arithmetic 4%, instructions 15%, L1 4%, registers 6%, L2 2%, L3 8%, DRAM 62%; 3328 bytes of DRAM\n"
    )


def test_explain_says_which_word_stood_for_the_dataflow() -> None:
    spec, syntax = api.read("conv c { input x : f32[N=?, W=9, C=4]; weight w : f32[KW=3, OC=8, IC=4] }")["c"]
    text = explain(api.compilation(spec, syntax, "cpu:scalar"))
    assert "dataflow  output_stationary (asked for: auto)" in text
    assert "traffic   in a call with N=1" in text


def test_open_sizes_are_at_least_what_the_kernel_spans() -> None:
    spec, _ = api.read("conv c { input x : f32[N=?, W=?, C=1]; weight w : f32[KW=50, OC=8, IC=1]; dilation 2 }")["c"]
    assert open_sizes(spec) == {"N": 1, "W": 99}


def test_profile_names_every_stage_with_its_share() -> None:
    spec, syntax = api.read(TEXT)["c"]
    c = api.compilation(spec, syntax, "cpu:avx2")
    assert c.llvm
    line = profile(c)
    assert line.startswith("convjit: c on cpu:avx2: ")
    assert re.findall(r"(\w+) \d+\.\d ms \(\d+%\)", line) == ["schedule", "nest", "kernel", "llvm"]


def test_profile_is_printed_where_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CONVJIT_VERBOSE", "profile")
    convjit.compile(TEXT, "cpu:avx512")
    assert capsys.readouterr().err.startswith("convjit: c on cpu:avx512: ")
