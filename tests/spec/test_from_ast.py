"""Programs become specs: defaults, sizes that follow, padding, and texts that come back."""

from __future__ import annotations

import pytest
from hypothesis import given

from convjit.dsl import ast
from convjit.dsl.parse import parse
from convjit.errors import ConvError
from convjit.spec.conv import ConvSpec
from convjit.spec.from_ast import from_text, lower
from convjit.spec.tensor import Compute, Then
from tests.specs import specs

X, W = "input x : f32[N=1, H=8, W=10, C=4]", "weight w : f32[OC=6, KH=3, KW=2, IC]"


def one(*lines: str, x: str = X, w: str = W, head: str = "conv a", before: str = "") -> ConvSpec:
    (spec,) = from_text("\n".join([before, head + " {", x, w, *lines, "}"])).values()
    return spec


@given(specs())
def test_the_text_of_a_spec_parses_back_to_it(spec: ConvSpec) -> None:
    again = from_text(str(spec))[spec.name]
    assert again == spec and hash(again) == hash(spec) and str(again) == str(spec)


def test_defaults() -> None:
    spec = one()
    assert (spec.stride, spec.dilation, spec.pad, spec.groups) == ((1, 1), (1, 1), ((0, 0), (0, 0)), 1)
    assert (spec.algorithm, spec.dataflow, spec.target, spec.threads) == ("auto", "auto", None, None)
    assert (spec.error, spec.compute, spec.requantize, spec.bias, spec.then) == (None, None, None, None, ())
    assert (spec.output.name, spec.output.dtype, spec.output.axes) == ("y", "f32", ("N", "OH", "OW", "OC"))
    assert spec.out_size == (6, 9)


def test_the_output_has_the_order_of_the_input_and_a_free_name() -> None:
    spec = one(x="input y : f32[C=4, N=1, W=10, H=8]")
    assert (spec.output.name, spec.output.axes) == ("y1", ("OC", "N", "OW", "OH"))


def test_default_types_of_integer_outputs() -> None:
    pairs = {("u8", "i8"): "i32", ("i16", "i16"): "i64", ("i16", "i8"): "i64", ("i32", "i32"): "i64"}
    for (x, w), y in pairs.items():
        spec = one(x=X.replace("f32", x), w=W.replace("f32", w))
        assert spec.output.dtype == spec.accumulator == y


def test_accumulators() -> None:
    for dtype, wide in {"f64": "f64", "f32": "f32", "f16": "f32", "bf16": "f32", "f8e5m2": "f32"}.items():
        assert one(x=X.replace("f32", dtype), w=W.replace("f32", dtype)).accumulator == wide
    assert one("compute i16 scale auto").accumulator == "i64"
    assert one("compute i8 scale auto").accumulator == "i32"
    assert one("compute i32 scale auto").accumulator == "i64"
    assert one("compute bf16").accumulator == "f32"
    quantised = ("output y : i8[N, OH, OW, OC] scale 1",)
    for dtype, wide in {"i8": "i32", "i16": "i64"}.items():
        spec = one(*quantised, x=X.replace("f32", dtype) + " scale 1", w=W.replace("f32", "i8") + " scale 1")
        assert spec.accumulator == wide


def test_sizes_follow_from_one_another() -> None:
    spec = one("groups 2", w="weight w : f32[OC=6, KH=3, KW=2, IC]")
    assert (spec.ic_per_group, spec.oc_per_group, spec.in_channels) == (2, 3, 4)
    spec = one(
        "groups 2", "output y : f32[N=3, OH, OW, OC=8]", x="input x : f32[N, H=8, W=10, C]",
        w="weight w : f32[OC, KH=3, KW=2, IC=5]",
    )  # fmt: skip
    assert (spec.batch, spec.in_channels, spec.out_channels) == (3, 10, 8)
    spec = one("bias b : f32[OC=12]", w="weight w : f32[OC, KH=3, KW=2, IC]")
    assert spec.out_channels == 12


def test_depthwise_with_a_multiplier() -> None:
    spec = one("groups 4", w="weight w : f32[OC=8, KH=3, KW=2, IC=1]")
    assert (spec.groups, spec.ic_per_group, spec.oc_per_group) == (4, 1, 2)


def test_sizes_are_expressions_of_constants() -> None:
    spec = one(before="let A = 2^3 ; let B = A*(A - 1)/7", w="weight w : f32[OC=-B + 2*A, KH=A/4 + 1, KW=2, IC]")
    assert (spec.out_channels, spec.kernel_size) == (8, (3, 2))


def test_padding() -> None:
    assert one("pad valid").pad == ((0, 0), (0, 0))
    assert one("pad 1").pad == ((1, 1), (1, 1))
    assert one("pad (1, 2)").pad == ((1, 1), (2, 2))
    assert one("pad ((1, 2), (0, 1))").pad == ((1, 2), (0, 1))
    assert one("pad (1, (0, 1))").pad == ((1, 1), (0, 1))
    line = one("pad ((1, 2))", x="input x : f32[N=1, W=10, C=4]", w="weight w : f32[OC=6, KW=2, IC]")
    assert line.pad == ((1, 2),)


def test_same_padding_is_that_of_tensorflow() -> None:
    assert one("pad same").pad == ((1, 1), (0, 1))
    assert one("pad same_lower").pad == ((1, 1), (1, 0))
    first = one("pad same", "stride 2", x="input x : f32[N=1, H=224, W=224, C=3]", w="weight w : f32[OC=64, KH=7, KW=7, IC]")
    assert (first.pad, first.out_size) == (((2, 3), (2, 3)), (112, 112))
    assert one("pad same", "stride 3", "dilation 2").out_size == (3, 4)
    assert one("pad same", x="input x : f32[N=1, H=?, W=?, C=4]").pad == ((1, 1), (0, 1))
    assert one("pad same", "stride (1, 2)", x="input x : f32[N=1, H=?, W=10, C=4]").out_size == (None, 5)
    assert one("pad same", "stride 4", w="weight w : f32[OC=6, KH=1, KW=1, IC]").pad == ((0, 0), (0, 0))


def test_open_sizes() -> None:
    spec = one(x="input x : f32[N=?, H=?, W=10, C=4]")
    assert (spec.open_sizes, spec.out_size, spec.batch, spec.operations) == (("N", "H"), (None, 9), None, None)
    assert spec.output.sizes == (None, None, 9, 6) and spec.output.elements is None and spec.output.bytes is None
    same = one("output y : f32[N=?, OH=?, OW=9, OC]", x="input x : f32[N=?, H=?, W=10, C=4]")
    assert same == spec


def test_operations_and_bytes() -> None:
    spec = one()
    assert spec.operations == 2 * (6 * 9 * 6) * 4 * 3 * 2
    assert (spec.input.elements, spec.input.bytes) == (320, 1280)
    assert one(head="conv a transposed").operations == 2 * 320 * 6 * 3 * 2


def test_transposed() -> None:
    spec = one("stride 2", "pad ((1, 0), (0, 1))", head="conv a transposed")
    assert spec.out_size == (2 * 7 + 3 - 1, 2 * 9 + 2 - 1)
    assert one("stride 2", "pad same", head="conv a transposed").out_size == (16, 20)
    larger = one("stride 2", "output y : f32[N, OH=18, OW=21, OC]", head="conv a transposed")
    assert (larger.out_size, larger.pad) == ((18, 21), ((0, 0), (0, 0)))
    assert from_text(str(larger))["a"] == larger


def test_steps_and_options() -> None:
    spec = one(
        "residual r : f32[N, OH, OW, OC]", "param s : f32[OC]", "then clip -1 TOP", "then scale s per OC", "then add r",
        "algorithm im2col", "error 1e-6", "compute i16 scale w 3, x 1/4", "target cuda:sm_80", "threads 3",
        before="let TOP = 6",
    )  # fmt: skip
    assert spec.then == (Then("clip", (-1.0, 6.0)), Then("scale", ("s",)), Then("add", ("r",)))
    assert (spec.algorithm, spec.error, spec.target, spec.threads) == ("im2col", 1e-6, "cuda:sm_80", 3)
    assert one("algorithm winograd 4").algorithm == one("algorithm winograd 4", "compute bf16").algorithm == "winograd 4"
    assert spec.compute == Compute("i16", (0.25, 3.0), "half_even")
    assert [t.name for t in spec.arguments] == ["x", "w", "r", "s"]
    assert (spec.residuals[0].name, spec.params[0].name, spec.tensor("s").role) == ("r", "s", "param")


def test_a_schedule_is_kept_as_it_is() -> None:
    spec = one("dataflow gemm { oc/4 oh }", "dataflow out { ow }")
    assert isinstance(spec.dataflow, tuple)
    assert [block.phase for block in spec.dataflow] == ["gemm", "out"]
    assert from_text(str(spec))["a"].dataflow == spec.dataflow


def test_quantised() -> None:
    spec = one(
        "output y : u8[N, OH, OW, OC] scale 2^-3 zero 128", "param ws : f32[OC]",
        x="input x : u8 in 0..127 [N=1, H=8, W=10, C=4] scale 0.02 zero 128",
        w="weight w : i8[OC=6, KH=3, KW=2, IC] sparse scale ws per OC",
    )  # fmt: skip
    assert (spec.input.in_range, spec.input.scale, spec.input.zero) == ((0, 127), 0.02, 128)
    assert (spec.weight.scale, spec.weight.zero, spec.weight.sparse) == ("ws", None, True)
    assert (spec.output.scale, spec.requantize, spec.output.quantised) == (0.125, "onnx", True)


def test_places() -> None:
    spec = one("stride 2", "then relu", "dataflow { oh }")
    found = {key: spec.place(key) for key in ("conv", "stride", "then 0", "dataflow", "tensor x", "type w", "scale x")}
    texts = {key: span.text if span else None for key, span in found.items()}
    assert texts == {
        "conv": "a", "stride": "stride 2", "then 0": "relu", "dataflow": "dataflow { oh }", "tensor x": "x",
        "type w": "f32", "scale x": None,
    }  # fmt: skip


def test_several_convolutions_keep_their_order() -> None:
    text = f"conv b {{ {X}; {W} }} conv a {{ {X}; {W} }}"
    assert list(from_text(text)) == list(lower(parse(text))) == ["b", "a"]


def test_a_tree_built_in_python_needs_no_places() -> None:
    word, number = ast.Word, ast.Number
    x = ast.Tensor("input", word("x"), word("f32"), tuple(ast.Axis(a, number(n)) for a, n in zip("NWC", "184", strict=True)))
    w = ast.Tensor("weight", word("w"), word("f32"), (ast.Axis("OC", number("6")), ast.Axis("KW", number("3")), ast.Axis("IC")))
    program = ast.Program((ast.Conv(word("a"), (x, w)),))
    assert lower(program) == from_text("conv a { input x : f32[N=1, W=8, C=4]; weight w : f32[OC=6, KW=3, IC=4] }")
    with pytest.raises(ConvError) as error:
        lower(ast.Program((ast.Conv(word("a"), (x,)),)))
    assert str(error.value).startswith("error: The convolution 'a' has no weight.")
