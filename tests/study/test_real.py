"""The real numbers that integers stand for, by the formulas of docs/quantisation.md."""

from __future__ import annotations

import numpy as np
import pytest

import convjit
from convjit.cli import data
from convjit.cli.stored import Array
from convjit.spec.conv import ConvSpec
from convjit.study.real import nearest, real_form, real_output, truth

QUANTISED = """conv q {
    input  x : u8[N=1, H=5, W=4, C=3] scale 0.5 zero 100
    weight w : i8[KH=3, KW=2, OC=4, IC=3] scale ws per OC
    param  ws : f32[OC]
    bias   b : i32[OC]
    residual r : u8[N, OH, OW, OC] scale 0.25 zero 3
    output y : u8[N, OH, OW, OC] scale 2.0 zero 7
    pad ((1, 0), (0, 1))
    then add r
    then relu
}"""


def made(text: str) -> tuple[ConvSpec, dict[str, Array]]:
    """A spec with data for it."""
    ((spec, _),) = __import__("convjit.api", fromlist=["read"]).read(text).values()
    return spec, {t.name: data.make(spec, t, 0) for t in spec.arguments}


def test_quantised_tensors_stand_for_real_numbers() -> None:
    spec, given = made(QUANTISED)
    form = real_form(spec, given, "f64")
    ws = given["ws"].astype(np.float64)
    assert [t.name for t in form.spec.tensors] == ["x", "w", "b", "r", "y"]  # nothing reads ws any more
    np.testing.assert_array_equal(form.given["x"], (given["x"].astype(float) - 100) * 0.5)
    np.testing.assert_array_equal(form.given["w"], given["w"] * ws[:, None])
    np.testing.assert_array_equal(form.given["b"], given["b"] * 0.5 * ws)
    np.testing.assert_array_equal(form.given["r"], (given["r"].astype(float) - 3) * 0.25)
    assert convjit.ConvSpec is type(form.spec) and str(form.spec).count("f64") == 5


def test_a_quantised_result_is_the_nearest_to_the_truth_but_for_its_rounding() -> None:
    """`onnx` rounds once more in f32: at most one step away, nearly always none."""
    spec, given = made(QUANTISED)
    true = truth(spec, given)
    result = convjit.reference(spec, **given)
    wanted = nearest(spec, given, true)
    assert np.abs(result.astype(float) - wanted).max() <= 1
    assert np.mean(result == wanted) > 0.9
    inside = (wanted > 0) & (wanted < 255)
    assert np.abs(real_output(spec, given, result) - true)[inside].max() <= 2.0


@pytest.mark.parametrize("dtype", ["f16", "bf16", "f32"])
def test_the_nearest_number_of_a_float_type(dtype: str) -> None:
    spec, given = made(f"conv c {{ input x : {dtype}[N=1, W=9, C=2]; weight w : {dtype}[KW=2, OC=3, IC=2] }}")
    true = truth(spec, given)
    kind = given["x"].dtype
    np.testing.assert_array_equal(nearest(spec, given, true), true.astype(kind).astype(float))


def test_clauses_about_types_are_gone_and_those_about_space_stay() -> None:
    spec, given = made("conv c { input x : f32[N=1, W=9, C=2]; weight w : f32[KW=2, OC=3, IC=2]; stride 2; compute bf16; then relu }")
    form = real_form(spec, given, "f32")
    assert form.spec.compute is None and form.spec.stride == (2,) and form.spec.then == spec.then
    np.testing.assert_array_equal(form.given["x"], given["x"])
