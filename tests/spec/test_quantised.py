"""Quantised convolution against docs/quantisation.md, which `tests.scalar_quantised` is in integers and fractions."""

from __future__ import annotations

import random
import re
import struct
from dataclasses import replace
from fractions import Fraction
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from convjit import dtypes
from convjit.spec import requantize, words
from convjit.spec.conv import ConvSpec
from convjit.spec.from_ast import from_text
from convjit.spec.reference import reference
from tests import scalar_quantised
from tests.scalar_floats import f32, narrow
from tests.spec.quantised_specs import random_arrays, random_quantised

Array = NDArray[Any]

PAGE = (Path(__file__).parents[2] / "docs" / "quantisation.md").read_text(encoding="utf-8")


def one(text: str) -> ConvSpec:
    return next(iter(from_text(text).values()))


def same(result: Array, wanted: dict[tuple[int, ...], float]) -> bool:
    """Whether an array has the wanted elements; a NaN is one wherever a NaN is wanted."""
    pairs = [(float(result[index]), float(number)) for index, number in wanted.items()]
    return len(pairs) == result.size and all(a == b or isnan(a) and isnan(b) for a, b in pairs)


@pytest.mark.parametrize("profile", [*words.PROFILES, "real"])
def test_the_reference_is_the_page(profile: str) -> None:
    r = random.Random(profile)
    for _ in range(60):
        spec = random_quantised(r, profile)
        arrays = random_arrays(spec, r)
        result = reference(spec, **arrays)
        assert result.dtype == (np.float64 if profile == "real" else dtypes.get(spec.output.dtype).numpy)
        assert same(result, scalar_quantised.convolve(spec, arrays)), f"{spec}\n{arrays}"


def test_the_random_specs_tell_the_profiles_apart() -> None:
    apart = set()
    r = random.Random(1)
    for _ in range(40):
        spec = replace(random_quantised(r, "tflite_single"), places=())
        arrays = random_arrays(spec, r)
        results = {p: reference(replace(spec, requantize=p), **arrays) for p in words.PROFILES}
        apart |= {(a, b) for a in results for b in results if not np.array_equal(results[a], results[b])}
        assert np.array_equal(results["xnnpack"], results["onnx"])
    assert {frozenset(pair) for pair in apart} >= {
        frozenset(pair) for pair in
        [("onnx", "stablehlo"), ("onnx", "onednn"), ("onnx", "tflite_single"), ("tflite_single", "tflite_double")]
    }  # fmt: skip


SCALES = (
    (0.07, 0.3, 0.1), (0.1, 0.3, 0.7), (1 / 3, 1 / 7, 0.3), (0.5, 0.25, 4.0), (2.0**-10, 2.0**-9, 0.5), (3.0, 5.0, 0.7),
    (2.0**-20, 1 / 3, 2.0**10), (8.0, 4.0, 0.25),
)  # fmt: skip
"""Of input, weight and output: such that factors lie on both sides of 1, and that quotients round."""


@pytest.mark.parametrize("profile", words.PROFILES)
def test_any_sum(profile: str) -> None:
    """Sums that are all bias: small ones, where ties are, and large ones, which show the last bits of a factor."""
    stream = np.random.default_rng(4)
    small, large = stream.integers(-999, 999, 80), stream.integers(-(2**31), 2**31 - 1, 60)
    sums = np.concatenate([small, large, stream.integers(-(2**17), 2**17, 60)]).astype(np.int32)
    for at, (sx, sw, sy) in enumerate(SCALES):
        spec = one(f"""conv a {{
            input x : i8[N=1, W=1, C=1] scale {sx!r}; weight w : i8[OC=200, KW=1, IC=1] scale {sw!r}; bias b : i32[OC]
            output y : {("i8", "i32", "i16", "u8")[at % 4]}[N, OW, OC] scale {sy!r} zero 7; requantize {profile}
            then clip ({-5.5 * sy!r}) 1e9; then clip -1e9 ({15.5 * sy!r})
        }}""")
        for chosen in (spec, replace(spec, then=())):
            zeros = np.zeros((200, 1, 1), np.int8)
            arrays: dict[str, Array] = {"x": zeros[:1], "w": zeros, "b": sums}
            assert same(reference(chosen, **arrays), scalar_quantised.convolve(chosen, arrays)), chosen


# --- one sum at a time


def through(
    profile: str, sum_: int, zero: int = 0, scales: tuple[float, ...] = (0.25, 1.0), y: str = "i8", more: str = ""
) -> Any:
    """What is stored of one sum, with scales of input and output; the weight's is 1."""
    spec = one(f"""conv a {{
        input x : i8[N=1, W=1, C=1] scale {scales[0]!r}; weight w : i8[OC=1, KW=1, IC=1] scale 1
        output y : {y}[N, OW, OC] scale {scales[1]!r} zero ({zero}); requantize {profile}; {more}
    }}""")
    return reference(spec, np.full((1, 1, 1), sum_, np.int8), np.ones((1, 1, 1), np.int8)).item()


TIES = {
    (2.5, 1): {"onnx": 3, "xnnpack": 3, "stablehlo": 4, "onednn": 4, "tflite_single": 4, "tflite_double": 4},
    (-1.5, 0): {"onnx": -2, "xnnpack": -2, "stablehlo": -2, "onednn": -2, "tflite_single": -1, "tflite_double": -2},
    (-2.5, 0): {"onnx": -2, "xnnpack": -2, "stablehlo": -2, "onednn": -2, "tflite_single": -2, "tflite_double": -3},
    (0.5, 0): {"onnx": 0, "xnnpack": 0, "stablehlo": 0, "onednn": 0, "tflite_single": 1, "tflite_double": 1},
}
"""What (sum / 4, zero point) becomes. The first three rows are the vectors that tell the published rules apart."""


@pytest.mark.parametrize("profile", words.PROFILES)
def test_ties(profile: str) -> None:
    for (t, zero), wanted in TIES.items():
        assert through(profile, int(4 * t), zero) == wanted[profile]


def test_the_page_has_these_ties() -> None:
    rows = re.findall(r"^\| (-?\d\.5) \| (\d) \| (-?\d) \| (-?\d) \| (-?\d) \| (-?\d) \|$", PAGE, re.MULTILINE)
    columns = ("onnx", "stablehlo", "tflite_single", "tflite_double")
    found = {(float(t), int(zero)): dict(zip(columns, map(int, row), strict=True)) for t, zero, *row in rows}
    assert found == {key: {p: wanted[p] for p in columns} for key, wanted in TIES.items()}


def test_a_tie_in_the_first_of_two_roundings() -> None:
    assert [through("tflite_double", s, scales=(0.5, 1.0)) for s in (-3, -1, 1, 3)] == [-1, 0, 1, 2]


def test_one_multiplication_and_two_operations_differ() -> None:
    assert [through(p, 85, scales=(0.07, 0.1)) for p in ("onnx", "xnnpack", "stablehlo")] == [60, 60, 59]
    assert through("onnx", 85, scales=(0.07, 0.1), more="then clip -9 9; then relu; then relu6") == 60
    assert through("onnx", 85, scales=(0.07, 0.1), more="then leaky_relu 0.5") == 59


def test_onednn_multiplies_by_the_inverse() -> None:
    assert [through(p, 9, scales=(0.25, 0.3)) for p in ("stablehlo", "onednn")] == [7, 8]


@pytest.mark.parametrize("profile", words.PROFILES)
def test_ends_of_types_and_steps(profile: str) -> None:
    for y in ("u4", "i4", "u8", "i8", "i16", "i32"):
        low, high = dtypes.limits(y)
        assert through(profile, 127, high, y=y) == high and through(profile, -128, low, y=y) == low
    for zero in (-128, 0, 100):
        clipped = [through(profile, s, zero, more="then clip -5 7.5") - zero for s in (-128, -24, 24, 127)]
        low, high = max(-5, -128 - zero), min(8, 127 - zero)
        assert clipped == [low, low, 6, high]
    below = "then relu; then clip -3 -1"  # no stored number is below the zero point
    assert through(profile, 127, -128, more=below) == -128
    assert [through(profile, s, 5, more="then relu6") for s in (-90, -2, 20, 90)] == [5, 5, 10, 11]


@pytest.mark.parametrize("profile", ["onnx", "xnnpack", "stablehlo", "onednn"])
def test_what_is_no_number_gives_the_least(profile: str) -> None:
    spec = one(f"""conv a {{
        input x : i8[N=1, W=4, C=1] scale 1; weight w : i8[OC=1, KW=1, IC=1] scale 1; residual r : f32[N, OW, OC]
        output y : i8[N, OW, OC] scale 1 zero 3; requantize {profile}; then add r; then relu
    }}""")
    r = np.array([np.nan, np.inf, -np.inf, 3e38], np.float32).reshape(1, 4, 1)
    zeros, ones = np.zeros((1, 4, 1), np.int8), np.ones((1, 1, 1), np.int8)
    assert reference(spec, zeros, ones, r).ravel().tolist() == [-128, 127, 3, 127]


def test_a_scale_that_is_no_number_stays_within_the_type() -> None:
    for profile, least in {"onnx": -128, "stablehlo": -128, "tflite_single": None, "tflite_double": None}.items():
        spec = one(f"""conv a {{
            input x : i8[N=1, W=1, C=1] scale 1; weight w : i8[OC=3, KW=1, IC=1] scale s per OC; param s : f32[OC]
            output y : i8[N, OW, OC] scale 1 zero 3; requantize {profile}
        }}""")
        s = np.array([np.inf, np.nan, 0], np.float32)
        result = reference(spec, np.zeros((1, 1, 1), np.int8), np.ones((3, 1, 1), np.int8), s).ravel().tolist()
        assert result[2] == 3 and (least is None or result[:2] == [least, least])


def test_sums_wrap_before_they_are_scaled() -> None:
    spec = one("""conv a {
        input x : i8[N=1, W=1, C=1] scale 1; weight w : i8[OC=1, KW=1, IC=1] scale 1; bias b : i32[OC]
        output y : f32[N, OW, OC]
    }""")
    x, w = np.full((1, 1, 1), 2, np.int8), np.full((1, 1, 1), 1, np.int8)
    assert reference(spec, x, w, np.array([2**31 - 1], np.int32)).item() == -(2.0**31)
    wide = one(str(spec).replace("i8", "i16").replace("b : i32", "b : i64"))
    assert reference(wide, x.astype(np.int16), w.astype(np.int16), np.array([2**62 - 1])).item() == 2.0**62


# --- multipliers


def test_multipliers_and_shifts() -> None:
    cases = {
        1.0: (2**30, 1), 0.5: (2**30, 0), 0.25: (2**30, -1), 0.75: (3 * 2**29, 0), 1 - 2.0**-40: (2**30, 1),
        2.0**-32: (2**30, -31), 2.0**-33: (0, 0), 2.0**30 * 1.5: (2**31 - 1, 30), 2.0**29 * 1.5: (3 * 2**29, 30),
        0.0: (0, 0),
    }  # fmt: skip
    m, e = requantize.fixed_point(np.array(list(cases)))
    assert list(zip(m.tolist(), e.tolist(), strict=True)) == list(cases.values())
    factors = np.exp(np.random.default_rng(0).uniform(-20, 20, 200))
    m, e = requantize.fixed_point(factors)
    assert ((m >= 2**30) & (m < 2**31)).all() and np.allclose(m * 2.0 ** (e - 31.0), factors, rtol=2.0**-31, atol=0)


# --- `compute`


COMPUTE = """conv a {{
    input x : f32[N=1, W=20, C=2]; weight w : f32[OC=2, KW=2, IC=2]; bias b : f32[OC]
    residual r : f32[N, OW, OC]; {}
    then leaky_relu 0.3; then add r; pad 1
}}"""


@pytest.mark.parametrize("rounding", words.ROUNDINGS)
@pytest.mark.parametrize("dtype", ["i8", "i16", "i32"])
def test_compute_in_integers(dtype: str, rounding: str) -> None:
    stream = np.random.default_rng(5)
    high = 2.0 ** (dtypes.bits(dtype) - 1)
    for sx, sw in ((1.0, 2.0), (0.3, 500.0), (2.0**19, 2.0**19 * 500)):
        spec = one(COMPUTE.format(f"compute {dtype} scale x {sx!r}, w {sw!r} round {rounding}"))
        edges = [high, high - 1, high - 0.5, high / 2, -high, -high - 1, 2.5, -2.5, 0.5, -0.5, np.nan, np.inf, -np.inf]
        x = np.concatenate([np.array(edges) / sx, stream.normal(0, high / 4, 27) / sx]).reshape(1, 20, 2)
        arrays = {
            "x": x.astype(np.float32), "w": (stream.integers(-9, 9, (2, 2, 2)) / 2 / sw).astype(np.float32),
            "b": stream.normal(0, 1, 2).astype(np.float32), "r": stream.normal(0, 1, (1, 21, 2)).astype(np.float32),
        }  # fmt: skip
        assert same(reference(spec, **arrays), scalar_quantised.convolve(spec, arrays))


@pytest.mark.parametrize("dtype", ["i8", "i16", "i32"])
def test_compute_with_a_scale_for_each_channel(dtype: str) -> None:
    stream = np.random.default_rng(6)
    spec = one(COMPUTE.format(f"param ws : f32[OC]; compute {dtype} scale x 30, w ws per OC round half_away"))
    arrays = {
        "x": stream.normal(0, 3, (1, 20, 2)).astype(np.float32), "w": stream.normal(0, 1, (2, 2, 2)).astype(np.float32),
        "b": stream.normal(0, 1, 2).astype(np.float32), "r": stream.normal(0, 1, (1, 21, 2)).astype(np.float32),
        "ws": np.array([70.3, 0.21], np.float32),
    }  # fmt: skip
    assert same(reference(spec, **arrays), scalar_quantised.convolve(spec, arrays))


def test_i32_saturates_at_its_own_end() -> None:
    spec = one("""conv a {
        input x : f32[N=1, W=4, C=2]; weight w : f32[OC=1, KW=1, IC=2]; compute i32 scale x 1, w 1
    }""")
    x = np.array([[2**31, 2**31 - 2**24], [1e20, 0], [-(2**31), 0], [-1e20, 0]], np.float32).reshape(1, 4, 2)
    w = np.array([1, -1], np.float32).reshape(1, 1, 2)
    low, high = -(2**31), 2**31 - 1  # a sum of 2^24 - 1 is told from one of 2^24
    assert reference(spec, x, w).ravel().tolist() == [2**24 - 1, float(np.float32(high)), low, low]


@pytest.mark.parametrize(("dtype", "step"), [("i8", 3.0), ("i16", 800.0), ("i32", 1e6)])
def test_a_finer_scale_has_a_smaller_error(dtype: str, step: float) -> None:
    """The figure of the error that a report on a convolution would give: RMSE by the range of the exact result."""
    stream = np.random.default_rng(2)
    x, w = stream.normal(0, 1, (1, 16, 8)).astype(np.float32), stream.normal(0, 0.1, (4, 3, 8)).astype(np.float32)
    text = "conv a {{ input x : f32[N=1, W=16, C=8]; weight w : f32[OC=4, KW=3, IC=8]; {} }}"
    exact = reference(one(text.format("")), x, w)
    error = []
    for factor in (step, 8 * step):
        spec = one(text.format(f"compute {dtype} scale x {factor!r}, w {10 * factor!r} round toward_zero"))
        error.append(np.sqrt(np.mean((reference(spec, x, w) - exact) ** 2)) / (exact.max() - exact.min()))
    assert error[0] < 1 / step and 4 < error[0] / error[1] < 16


@pytest.mark.parametrize("dtype", ["bf16", "f16"])
def test_compute_in_narrow_floats(dtype: str) -> None:
    stream = np.random.default_rng(3)
    edges = [0.0, -0.0, 1.00390625, 1.01171875, 65504, 65519, 65520, 3.4e38, 1e-40, -1e-40, 2.0**-126, 1.1754942e-38,
             2.0**-24, 2.0**-25, 3 * 2.0**-26, 1 + 2.0**-11, 1 + 3 * 2.0**-11, np.inf, -np.inf, np.nan]  # fmt: skip
    x = np.concatenate([edges, stream.normal(0, 1, 80)]).astype(np.float32).reshape(1, 100, 1)
    spec = one(f"conv a {{ input x : f32[N=1, W=100, C=1]; weight w : f32[OC=1, KW=1, IC=1]; compute {dtype} }}")
    for factor in (1.0, 1 / 3, 1e-41):
        w = np.full((1, 1, 1), factor, np.float32)
        other = narrow(float(w.item()), dtype)
        assert same(reference(spec, x, w), {index: narrow(float(v), dtype) * other for index, v in np.ndenumerate(x)})


def test_bf16_flushes_before_it_rounds() -> None:
    spec = one("conv a { input x : f32[N=1, W=3, C=1]; weight w : f32[OC=1, KW=1, IC=1]; compute bf16 }")
    x = np.array([np.float32(2.0**-126) - np.float32(2.0**-149), 2.0**-126, 2.0**-133], np.float32).reshape(1, 3, 1)
    w = np.ones((1, 1, 1), np.float32)
    assert reference(spec, x, w).ravel().tolist() == [0, 2.0**-126, 0]
    stored = one(str(spec).replace("f32", "bf16").replace("compute bf16", ""))
    assert reference(stored, x, w).ravel().tolist() != [0, 2.0**-126, 0]  # tensors of bf16 are taken as they are


# --- what the tests themselves rest on


def test_rounding_by_fractions_is_that_of_the_struct_module() -> None:
    r = random.Random(0)
    for _ in range(500):
        any_size, tie = r.uniform(-1, 1) * 2.0 ** r.randint(-150, 100), r.randint(-9, 9) / 2 + 2.0**24
        value = r.choice([r.uniform(-4, 4), any_size, tie])
        assert f32(value) == struct.unpack("<f", struct.pack("<f", value))[0]
    for _ in range(200):
        value = r.choice([r.uniform(-4, 4), r.uniform(-1, 1) * 2.0 ** r.randint(-26, 14)])
        assert narrow(f32(value), "f16") == struct.unpack("<e", struct.pack("<e", f32(value)))[0]
    assert f32(2**24 + 1) == 2.0**24 and f32(2**24 + 3) == 2.0**24 + 4 and f32(2**54 + 2**30 + 1) == 2.0**54 + 2.0**31
    assert f32(3.5e38) == np.inf and f32(Fraction(1, 2**150)) == 0.0 and f32(Fraction(3, 2**150)) == 2.0**-148


def test_the_program_of_the_page_is_one() -> None:
    (text,) = re.findall(r"```conv\n(.*?)```", PAGE, re.DOTALL)
    assert one(text).requantize == "onnx"
    assert set(words.PROFILES) <= set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
