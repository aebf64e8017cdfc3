"""`Conv(...)` gives the spec of the same program, and the same errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from convjit.errors import ConvError
from convjit.spec.build import Conv
from convjit.spec.from_ast import from_text

X: Any = ("x", "f32", {"N": 1, "H": 8, "W": 8, "C": 4})
W: Any = ("w", "f32", {"OC": 8, "KH": 3, "KW": 3, "IC": 4})


def test_everything_at_once() -> None:
    spec = Conv(
        "res2a",
        input=("x", "u8", {"N": "?", "W": 28, "C": 128}, {"in_range": (0, 127), "scale": 0.02, "zero": 128}),
        weight=("w", "i8", {"OC": 64, "KW": 3, "IC": 64}, {"sparse": True, "scale": "ws", "zero": np.int64(-1)}),
        bias=("b", "i32", "OC"),
        residual=[("r", "i8", "N OW OC", {"scale": 0.5}), ("q", "f32", "N, OC, OW")],
        param=("ws", "f32", "OC"),
        output=("y", "u8", "N OC OW", {"scale": 0.1, "zero": 128}),
        stride=2, dilation=(2,), groups=2, pad=((1, 2),),
        then=["relu", ("clip", 0, 6.5), ("add", "r"), ("mul", "q")],
        dataflow="oc/32 ow [y] kw c", algorithm="direct", requantize="xnnpack", target="cpu:avx2", threads=2,
    )  # fmt: skip
    text = """conv res2a {
        input x : u8 in 0..127 [N=?, W=28, C=128] scale 0.02 zero 128
        weight w : i8[OC=64, KW=3, IC=64] sparse scale ws per OC zero -1
        bias b : i32[OC]
        residual r : i8[N, OW, OC] scale 0.5
        residual q : f32[N, OC, OW]
        param ws : f32[OC]
        output y : u8[N, OC, OW] scale 0.1 zero 128
        stride 2; dilation 2; groups 2; pad ((1, 2))
        then relu; then clip 0 6.5; then add r; then mul q
        dataflow { oc/32 ow [y] kw c }
        algorithm direct; requantize xnnpack; target cpu:avx2; threads 2
    }"""
    assert spec == from_text(text)["res2a"] == from_text(str(spec))["res2a"]


def test_small_ones() -> None:
    spec = Conv(input=X, weight=W, pad="same", then=[("scale", "s")], param=("s", "f32", "OC"), error=1e-5, compute="bf16")
    assert (spec.name, spec.out_size, spec.then[0].op, spec.error) == ("conv", (8, 8), "scale", 1e-5)
    assert Conv(input=X, weight=W, pad=(1, 2), stride=[1, 2]).pad == ((1, 1), (2, 2))
    assert Conv(input=X, weight=W, pad=[(0, 1), 2], transposed=True).transposed


def test_vectors_that_the_program_holds() -> None:
    numbers = np.linspace(0.5, 4, 8, dtype=np.float32)
    param = [("s", "f32", "OC", {"values": numbers}), ("ws", "f32", {"OC": 8}, {"values": 0.25})]
    spec = Conv(input=X, weight=W, param=param, then=[("scale", "s")], compute="i8 scale x 3, w ws per OC")
    assert spec.tensor("s").values == (0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4) and spec.tensor("ws").values == (0.25,) * 8
    assert spec.compute and spec.compute.scales == (3.0, "ws")
    text = str(spec)
    assert "param s : f32[OC=8] = (0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4)" in text and "param ws : f32[OC=8] = 0.25" in text
    assert "compute i8 scale x 3, w ws per OC round half_even" in text
    assert from_text(text)["conv"] == spec
    assert "The param has an unknown option 'scale'.\n  hint: There are values." in refused(param=("s", "f32", "OC", {"scale": 1}))


def refused(**given: Any) -> str:
    with pytest.raises(ConvError) as error:
        Conv(**{"input": X, "weight": W, **given})
    return str(error.value)


def test_mistakes_are_shown_in_the_program_that_was_built() -> None:
    assert refused(pad="sam") == (
        "<convjit.Conv>:7:5: error: Unknown padding 'sam'.\n"
        "    7 | pad sam\n"
        "      |     ^^^ neither a word nor a constant\n"
        "  hint: Did you mean 'same'?"
    )


def test_what_is_no_program() -> None:
    assert refused(name="a {") == "error: 'a {' is not a name.\n  hint: A name has letters, digits and '_', and no digit first."
    assert refused(input=("x", "f32")) == (
        "error: The input must be (name, type, axes), not ('x', 'f32').\n"
        "  hint: For example: ('x', 'f32', dict(N=1, H=56, W=56, C=64))"
    )
    assert refused(weight=(*W, {"zro": 1})) == (
        "error: The weight has an unknown option 'zro'.\n  hint: There are in_range, sparse, scale, zero."
    )
    assert refused(then=[("clip", 0, [])]) == "error: [] is not a number."
    assert refused(then=[("clip", 0, float("inf"))]) == "error: inf is not a number."
    assert refused(weight=(*W, {"scale": float("nan")})) == "error: nan is not a number."
