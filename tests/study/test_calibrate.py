"""Calibration: specs that compile, hold their scales as text, and are as exact as they can be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import convjit
from convjit.errors import ConvError
from convjit.spec.conv import ConvSpec
from convjit.study.difference import nrmse
from convjit.study.integers import integers
from convjit.study.methods import METHODS
from tests.study.samples import made, sample1

SPEC, X, W = made()
PLAIN = str(SPEC)
AUTO = PLAIN.replace("pad", "compute i8 scale auto\n    pad")
STORED = """conv q {
    input  x : {x}[N=1, H=9, W=9, C=16] scale 1
    weight w : i8[KH=3, KW=3, OC=16, IC=16] scale 1
    bias   b : {bias}[OC]
    output y : {y}
    pad same
    then relu
}"""
BIAS = np.linspace(-30, 30, 16).astype(np.float32)


def stored(x: str = "u8", y: str = "u8[N, OH, OW, OC] scale 1", bias: str = "f32") -> str:
    """A quantised program whose scales are still to be found."""
    return STORED.replace("{x}", x).replace("{y}", y).replace("{bias}", bias)


def error_of(spec: ConvSpec) -> float:
    """The NRMSE of the compiled convolution over the data that it was calibrated on."""
    kernel: Any = convjit.compile(spec)
    result = kernel(X, W)
    np.testing.assert_array_equal(result, convjit.reference(spec, X, W).astype(np.float32))
    return nrmse(result, convjit.reference(SPEC, X, W))


def integer_error(spec: ConvSpec) -> float:
    """The same for a quantised one, whose data become integers first."""
    kernel: Any = convjit.compile(spec)
    bias = BIAS if spec.bias and spec.bias.dtype == "f32" else np.rint(BIAS / unit(spec)).astype(np.int32)
    arrays = integers(spec, "x", X), integers(spec, "w", W), bias
    result = kernel(*arrays)
    np.testing.assert_array_equal(result, convjit.reference(spec, *arrays).astype(result.dtype))
    plain = PLAIN.replace("output", "bias b : f32[OC]\n    output").replace("pad", "then relu\n    pad")
    return nrmse(in_reals(spec, result), convjit.reference(plain, X, W, BIAS))


def unit(spec: ConvSpec) -> NDArray[Any]:
    """The unit of a bias of integers: scale_x * scale_w."""
    given = spec.weight.scale
    numbers: Any = spec.tensor(given).values if isinstance(given, str) else given
    return np.asarray(numbers) * float(spec.input.scale or 0)


def in_reals(spec: ConvSpec, result: NDArray[Any]) -> NDArray[Any]:
    """What the integers of an output stand for."""
    if spec.output.scale is None:
        return result
    return (result.astype(np.float64) - float(spec.output.zero or 0)) * float(spec.output.scale)


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_compute_gets_scales_that_compile(method: str, per_channel: bool) -> None:
    spec = convjit.calibrate(AUTO, X, W, method=method, per_channel=per_channel)
    assert convjit.api.read(str(spec))[spec.name][0] == spec
    assert spec.compute and spec.compute.dtype == "i8" and isinstance(spec.compute.scales, tuple)
    assert (spec.compute.scales[1] == "w_scale") == per_channel
    assert error_of(spec) < 0.02


@pytest.mark.parametrize("dtype", ["i8", "i16"])
def test_mse_is_at_least_as_good_as_every_other(dtype: str) -> None:
    for per_channel in (False, True):
        errors = {m: error_of(convjit.calibrate(PLAIN, X, W, dtype=dtype, method=m, per_channel=per_channel)) for m in METHODS}
        assert errors["mse"] == min(errors.values())


def test_a_scale_for_each_channel_is_better_where_channels_differ() -> None:
    errors = [error_of(convjit.calibrate(PLAIN, X, W, dtype="i8", per_channel=each)) for each in (False, True)]
    assert errors[1] < 0.9 * errors[0]


def test_power_of_two_is_the_best_point_of_the_curve() -> None:
    spec = convjit.calibrate(PLAIN, X, W, dtype="i8", method="power_of_two", ratio=200, rounding="toward_zero")
    found = convjit.study.vcurve.curve(SPEC, X, W, "i8", ratio=200, rounding="toward_zero")
    assert spec.compute and spec.compute.scales == (found.best.scale_x, found.best.scale_w)
    fixed = convjit.calibrate(PLAIN, X, W, dtype="i8", method="power_of_two", exponents=[3], ratio=2.0)
    assert "compute i8 scale x 8, w 16 round half_even" in str(fixed)


def test_the_reports_search() -> None:
    data = sample1()
    text = "conv s { input x : f32[N=1, H=56, W=56, C=64]; weight w : f32[KH=3, KW=3, OC=64, IC=64]; pad same\n compute i16 scale auto round toward_zero }"
    spec = convjit.calibrate(text, data.x, data.w, method="power_of_two", ratio=500)
    assert "compute i16 scale x 128, w 64000 round toward_zero" in str(spec)
    result = convjit.compile(spec)(data.x, data.w)  # type: ignore[operator]
    assert f"{nrmse(result, data.wanted):.3e}" == "7.786e-05"
    better = convjit.calibrate(text, data.x, data.w, method="minmax")
    assert nrmse(convjit.compile(better)(data.x, data.w), data.wanted) < 3e-5  # type: ignore[operator]


def test_minmax_clamps_nothing_and_percentile_a_few() -> None:
    spec = convjit.calibrate(PLAIN, X, W, dtype="i8", method="minmax")
    assert spec.compute and isinstance(spec.compute.scales, tuple)
    assert spec.compute.scales[0] == pytest.approx(127 / np.abs(X).max(), rel=1e-6)
    few = convjit.calibrate(PLAIN, X, W, dtype="i8", method="percentile", percentile=95)
    assert few.compute and isinstance(few.compute.scales, tuple)
    scaled = np.abs(X) * float(few.compute.scales[0])
    assert np.mean(scaled > 127) == pytest.approx(0.05, abs=0.01)


@pytest.mark.parametrize("symmetric", [True, False, "weight"])
@pytest.mark.parametrize("method", METHODS)
def test_quantised_tensors(method: str, symmetric: bool | str) -> None:
    for x, each in (("u8", True), ("i8", False)):
        spec = convjit.calibrate(stored(x), X, W, b=BIAS, method=method, symmetric=symmetric, per_channel=each)
        assert convjit.api.read(str(spec))["q"][0] == spec
        assert integer_error(spec) < 0.02
        assert bool(spec.weight.zero) == (symmetric is False)
        assert (spec.input.zero == 128) == (x == "u8" and symmetric is True)
        assert isinstance(spec.weight.scale, str) == each


def test_outputs_of_real_numbers_and_other_types() -> None:
    for program in (stored("i8", "f32[N, OH, OW, OC]"), stored("i8", "i16[N, OH, OW, OC] scale 1", "i32"), stored("u8", "i32[N, OH, OW, OC] scale 1")):
        spec = convjit.calibrate(program, X, W, b=BIAS)
        assert integer_error(spec) < 0.01


def test_a_promised_range_is_kept() -> None:
    spec = convjit.calibrate(stored("u8 in 0..127"), X, W, b=BIAS, symmetric=False)
    assert integers(spec, "x", X * 2).max() == 127
    assert integer_error(spec) < 0.03


def test_a_vector_keeps_its_name_and_goes_when_nothing_reads_it() -> None:
    program = stored().replace("i8[KH=3, KW=3, OC=16, IC=16] scale 1", "i8[KH=3, KW=3, OC=16, IC=16] scale ws per OC\n    param ws : f32[OC]")
    spec = convjit.calibrate(program, X, W, b=BIAS)
    assert spec.weight.scale == "ws" and len(spec.tensor("ws").values) == 16
    assert [t.name for t in spec.params] == ["ws"]
    one = convjit.calibrate(spec, X, W, b=BIAS, per_channel=False)
    assert not one.params and isinstance(one.weight.scale, float)
    again = convjit.calibrate(one, X, W, b=BIAS, per_channel=True, symmetric=False)
    assert [t.name for t in again.params] == ["w_scale", "w_zero"]


def test_residuals_bring_their_own_scale() -> None:
    program = stored().replace("then relu", "residual r : i8[N, OH, OW, OC] scale 1\n    then add r")
    rng = np.random.default_rng(0)
    r = rng.normal(0, 20, (1, 9, 9, 16)).astype(np.float32)
    spec = convjit.calibrate(program, X, W, b=BIAS, r=r, method="minmax")
    found = spec.tensor("r").scale
    assert isinstance(found, float) and found == pytest.approx(np.abs(r).max() / 127, rel=1e-6)
    whole = integers(spec, "x", X), integers(spec, "w", W), BIAS, integers(spec, "r", r)
    result = convjit.compile(spec)(*whole)  # type: ignore[operator]
    plain = PLAIN.replace("output", "bias b : f32[OC]\n    residual r : f32[N, OH, OW, OC]\n    output").replace("pad", "then add r\n    pad")
    assert nrmse(in_reals(spec, result), convjit.reference(plain, X, W, BIAS, r)) < 0.02


def test_open_sizes_are_those_of_the_data() -> None:
    spec = convjit.calibrate(PLAIN.replace("N=1", "N=?").replace("H=9", "H=?"), X, W, dtype="i8")
    assert spec.open_sizes == ("N", "H")
    assert error_of(spec) < 0.02


def test_pruned_channels_have_a_scale_all_the_same() -> None:
    w = W.copy()
    w[:, :, 3] = 0
    for method in METHODS:
        spec = convjit.calibrate(AUTO, X, w, method=method, per_channel=True)
        assert min(spec.tensor("w_scale").values) > 0
        result = convjit.compile(spec)(X, w)  # type: ignore[operator]
        assert not result[..., 3].any()


NO_TYPE = "'report' does not say in which integers it is computed.\n  hint: Give dtype='i8', 'i16' or 'i32', or write 'compute i8 scale auto'."
INTEGER = "conv n { input x : i8[N=1, W=5, C=3]; weight w : i8[OC=4, KW=3, IC=3] }"
HINT = "\n  hint: Declare tensors of f32 with 'compute i8 scale auto', or quantised ones: x : u8[…] scale 1 zero 128."
ZEROS = "\n  hint: Give data like those that the convolution will meet."


@pytest.mark.parametrize(
    ("spec", "more", "message"),
    [
        (PLAIN, {}, NO_TYPE),
        (PLAIN.replace("pad", "compute bf16\n pad"), {}, "<text>:5:5: error: " + NO_TYPE.replace("\n", "\n    5 |     compute bf16\n      |     ^^^^^^^^^^^^\n", 1)),
        (PLAIN, {"dtype": "i4"}, "Unknown integer type 'i4'.\n  note: There are i8, i16, i32."),
        (AUTO, {"method": "max"}, "Unknown method 'max'.\n  note: There are power_of_two, minmax, percentile, mse.\n  hint: Did you mean 'minmax'?"),
        (AUTO, {"rounding": "floo"}, "Unknown rounding 'floo'.\n  note: There are toward_zero, half_even, half_away, floor.\n  hint: Did you mean 'floor'?"),
        (AUTO, {"percentile": 20}, "The percentile is 20; it must be a number above 50, at most 100, such as 99.9."),
        (AUTO, {"symmetric": "x"}, "'symmetric' is 'x'; it can be True, False or 'weight'."),
        (AUTO, {"method": "power_of_two", "ratio": -1}, "The ratio of the scales is -1; it must be a number greater than 0 that f32 holds.\n  hint: Give a number such as 500, 'max' or 'std'."),
        (AUTO, {"method": "power_of_two", "exponents": [200, -10**6]}, "None of the scales 2^N can be used: they, and their product, are numbers of f32, from 2^-126 to 2^127.\n  hint: Scale the data nearer to 1, or choose other exponents."),
        (AUTO, {"x": X[:, :8]}, "The array 'x' has the shape (1, 8, 9, 16); wanted is (N=1, H=9, W=9, C=16)."),
        (AUTO, {"x": X * np.float32("nan")}, "The array 'x' holds NaN or infinity (or numbers beyond float32), the first at [0, 0, 0, 0].\n  hint: Give data whose numbers are finite."),
        (AUTO, {"w": W * 0}, "The array 'w' holds nothing but zeros." + ZEROS),
        (AUTO, {"x": X.astype(str)}, "The array 'x' holds <U32, which are no real numbers."),
        (stored(), {"dtype": "i8"}, "'dtype' is for tensors of f32; those of 'q' are quantised.\n  hint: Leave 'dtype' out: the spec's own clauses say it."),
        (stored(), {}, "The convolution 'q' takes x, w, b; given were 0 by position and w, x by name."),
        (stored(), {"b": BIAS * 0 - 1e6}, "The array 'y' holds nothing but zeros." + ZEROS),
        (AUTO + AUTO.replace("report", "other"), {}, "The program has 2 blocks; the calibration of one is wanted.\n  note: The blocks are report, other.\n  hint: Give the spec of one of them."),
    ],
)  # fmt: skip
def test_what_cannot_be_calibrated(spec: str, more: dict[str, Any], message: str) -> None:
    with pytest.raises(ConvError) as error:
        convjit.calibrate(spec, **{"x": X, "w": W, **more})
    assert str(error.value) == (message if message.startswith("<") else f"error: {message}")


def test_integers_without_a_scale_have_none_to_find() -> None:
    with pytest.raises(ConvError) as error:
        convjit.calibrate(INTEGER, X, W)
    text = "'n' has no scales to find: its input 'x' is i8, without a scale."
    assert str(error.value) == f"<text>:1:20: error: {text}\n    1 | {INTEGER}\n      |                    ^^{HINT}"


def test_compute_is_symmetric() -> None:
    with pytest.raises(ConvError) as error:
        convjit.calibrate(AUTO, X, W, symmetric=False)
    assert "'compute' has no zero points: its scales are symmetric." in str(error.value)


def test_numbers_too_small_for_a_scale_of_f32() -> None:
    with pytest.raises(ConvError, match="The scale is too large."):
        convjit.calibrate(AUTO, X * np.float32(1e-38), W, method="minmax")


def test_real_numbers_as_integers() -> None:
    spec = convjit.calibrate(stored(), X, W, b=BIAS, symmetric=False, per_channel=True)
    whole = integers(spec, "w", W)
    assert whole.dtype == np.int8 and whole.shape == W.shape
    with pytest.raises(ConvError, match="'q' has no quantised tensor 'b'"):
        integers(spec, "b", BIAS)
    program = "conv q { input x : u8[N=1, W=5, C=3] scale 1; weight w : i8[OC=4, KW=3, IC=3] scale ws per OC; param ws : f32[OC]; output y : f32[N, OW, OC] }"
    ((bare, _),) = convjit.api.read(program).values()
    with pytest.raises(ConvError, match="The program does not hold the numbers of 'ws'."):
        integers(bare, "w", np.ones((4, 3, 3)))


def test_ties_go_to_the_even_integer_and_ends_saturate() -> None:
    program = "conv q { input x : u8[N=1, W=5, C=1] scale 0.5 zero 3; weight w : i8[OC=1, KW=1, IC=1] scale 1; output y : f32[N, OW, OC] }"
    ((spec, _),) = convjit.api.read(program).values()
    values = np.array([0.25, 0.75, -0.25, -9, 1000], np.float32).reshape(1, 5, 1)
    assert integers(spec, "x", values).ravel().tolist() == [3, 5, 3, 0, 255]
