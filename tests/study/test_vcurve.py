"""V-curves: the report's figures, their shape, and that a point is what `compute` gives."""

from __future__ import annotations

import csv
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import convjit
from convjit import dtypes
from convjit.errors import ConvError
from convjit.spec.tensor import Compute
from convjit.study.layer import exact_sums, layer
from convjit.study.report_arithmetic import in_sequence
from convjit.study.vcurve import Curve, curve, curve_of, default_exponents, point, quantised, ratio_of, save_csv
from tests.random_specs import random_spec
from tests.study.samples import made, sample1

INT16 = (9.458e-03, 4.859e-03, 2.444e-03, 1.197e-03, 6.137e-04, 3.077e-04, 1.528e-04, 7.786e-05, 8.556e-04)
"""N = 0..8. The report prints 8.554e-04 for the last: its mean is summed in float32 (see test_findings)."""
INT8 = {-1: 1.821e-02, 0: 9.572e-03, 1: 8.593e-03, 2: 1.940e-02}


def report_curve(dtype: str) -> Curve:
    return curve_of(sample1(), dtype, default_exponents(dtype), 500, "toward_zero")


def test_the_reports_curve_of_int16() -> None:
    found = report_curve("i16")
    assert [f"{p.nrmse:.3e}" for p in found.points[:9]] == [f"{v:.3e}" for v in INT16]
    assert found.best.exponent == 7 and found.wall and found.wall.exponent == 8
    assert f"{found.at(9).nrmse:.2e}" == "7.08e-03"


def test_the_reports_curve_of_int8_has_its_minimum_at_one() -> None:
    found = report_curve("i8")
    assert {p.exponent: f"{p.nrmse:.3e}" for p in found.points} == {n: f"{v:.3e}" for n, v in INT8.items()}
    assert found.best.exponent == 1 and found.best.clamped_w > 0 and found.best.clamped_x == 0


def test_int32_falls_by_half_until_float32_is_the_floor_and_then_meets_a_wall() -> None:
    found = report_curve("i32")
    slope = [a.nrmse / b.nrmse for a, b in zip(found.points[:19], found.points[1:20], strict=True)]
    assert all(1.9 < s < 2.3 for s in slope)
    assert found.wall and found.wall.exponent == 24 and found.at(24).nrmse > 1e5 * found.at(23).nrmse
    assert f"{found.at(19).nrmse:.3e}" == "1.455e-08"
    own = replace(sample1(), other=in_sequence(sample1()).astype(np.float64))
    flat = curve_of(own, "i32", range(15, 26), 500, "toward_zero").plateau(1.1)
    assert [p.exponent for p in flat] == [19, 20, 21, 22, 23]
    assert f"{flat[0].nrmse:.2e}" == "4.08e-08"


@pytest.mark.parametrize("dtype", ["i32", "i16", "i8", "i4"])
def test_a_curve_of_any_data_has_two_sides(dtype: str) -> None:
    spec, x, w = made()
    found = curve(spec, x, w, dtype, rounding="toward_zero")
    first, last = found.points[0], found.points[-1]
    assert first.zeros_x > 0.5 and last.clamped_x > first.clamped_x == 0
    assert found.best not in (first, last)
    zeros = [p.zeros_x for p in found.points]
    assert zeros == sorted(zeros, reverse=True)
    clamped = [p.clamped_w for p in found.points]
    assert clamped == sorted(clamped)


def test_the_ratio_is_taken_from_the_data() -> None:
    spec, x, w = made()
    by_max = float(np.abs(x).max()) / float(np.abs(w).max())
    assert curve(spec, x, w, "i8").ratio == ratio_of(x, w) == by_max
    assert ratio_of(x, w, "std") == pytest.approx(float(x.std() / w.std()), rel=1e-5)


def small(seed: int) -> tuple[Any, Any, Any]:
    """A random f32 convolution and data; None where the draw is of other types."""
    r = random.Random(seed)
    spec = random_spec(r)
    rng = np.random.default_rng(seed)
    x, w = (rng.standard_normal([2 if s is None else s for s in t.sizes]).astype(np.float32) for t in (spec.input, spec.weight))
    return spec, x, w


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32), dtype=st.sampled_from(["i8", "i16", "i32"]), exponent=st.integers(-2, 20),
    rounding=st.sampled_from(["toward_zero", "half_even", "half_away", "floor"]),
)  # fmt: skip
def test_a_point_is_what_compute_gives(seed: int, dtype: str, exponent: int, rounding: str) -> None:
    spec, x, w = small(seed)
    if spec.input.dtype != "f32":
        return
    try:
        data = layer(spec, x * 3, w)
    except ConvError:  # an open size that leaves no output
        return
    scales = 2.0**exponent, 2.0**exponent * 12.5
    computed = replace(data.spec, compute=Compute(dtype, scales, rounding))
    want = convjit.compile(computed)(data.x, data.w)
    whole = [quantised(v, s, dtype, rounding)[0] for v, s in zip((data.x, data.w), scales, strict=True)]
    np.testing.assert_array_equal(data.restored(*whole, scales), want)
    found = point(data, dtype, exponent, 12.5, rounding)
    gap = np.asarray(want, np.float64) - data.wanted
    assert found.max_error == np.abs(gap).max()
    assert found.zeros_y == np.mean(np.asarray(want) == 0)


def test_i4_saturates_at_its_ends() -> None:
    values = np.array([-9, -8.4, -8, 6.6, 7, 7.2, 1e30, -np.inf], np.float32)
    whole, clamped = quantised(values, 1.0, "i4", "half_even")
    assert whole.tolist() == [-8, -8, -8, 7, 7, 7, 7, -8]
    assert clamped == 3 / 8


@pytest.mark.parametrize("dtype", ["i8", "i16", "i32"])
def test_sums_of_a_transposed_convolution_are_the_references(dtype: str) -> None:
    text = "conv t transposed { input x : f32[N=1, W=5, C=3]; weight w : f32[OC=4, KW=3, IC=3]; stride 2 }"
    ((spec, _),) = convjit.api.read(text).values()
    rng = np.random.default_rng(0)
    low, high = dtypes.limits(dtype)
    x, w = rng.integers(low, high, (1, 5, 3), endpoint=True), rng.integers(low, high, (4, 3, 3), endpoint=True)
    total = exact_sums(spec, dtype)(x.astype(dtypes.get(dtype).numpy), w.astype(dtypes.get(dtype).numpy))
    want = np.zeros((11, 4), object)
    for i in range(5):
        for k in range(3):
            want[i * 2 + k] += np.array([[int(v) for v in row] for row in w[:, k]], object) @ x[0, i].astype(object)
    assert [[int(v) for v in row] for row in np.asarray(total)[0]] == [[wrapped(v) for v in row] for row in want]


def wrapped(value: int) -> int:
    """Modulo 2^64, as a signed number."""
    return (value + 2**63) % 2**64 - 2**63


def test_curves_as_a_file(tmp_path: Path) -> None:
    spec, x, w = made()
    curves = [curve(spec, x, w, dtype, range(-1, 2)) for dtype in ("i8", "i4")]
    save_csv(tmp_path / "v.csv", curves)
    with open(tmp_path / "v.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["dtype"], int(r["exponent"])) for r in rows] == [(d, n) for d in ("i8", "i4") for n in (-1, 0, 1)]
    assert float(rows[4]["nrmse"]) == curves[1].points[1].nrmse
    assert [p.name for p in tmp_path.iterdir()] == ["v.csv"]
    with pytest.raises(ConvError, match=r"The table '.*none/v.csv' cannot be written: No such file or directory."):
        save_csv(tmp_path / "none" / "v.csv", curves)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"dtype": "i9"}, "error: Unknown type 'i9'.\n  note: There are i32, i16, i8, i4."),
        ({"rounding": "up"}, "error: Unknown rounding 'up'.\n  note: There are toward_zero, half_even, half_away, floor."),
        ({"ratio": "mean"}, "error: Unknown ratio 'mean'.\n  note: There are max, std."),
        ({"ratio": 0}, "error: The ratio of the scales is 0; it must be a number greater than 0 that f32 holds.\n"
                       "  hint: Give a number such as 500, 'max' or 'std'."),
        ({"exponents": [200, -10**6]}, "error: None of the scales 2^N can be used: they, and their product, are numbers of f32, from 2^-126 to 2^127.\n"
                               "  hint: Scale the data nearer to 1, or choose other exponents."),
    ],
)  # fmt: skip
def test_what_is_no_curve(given: dict[str, Any], message: str) -> None:
    spec, x, w = made()
    with pytest.raises(ConvError) as error:
        curve(spec, x, w, **{"dtype": "i8", **given})
    assert str(error.value) == message


def test_a_point_that_is_not_there() -> None:
    spec, x, w = made()
    with pytest.raises(ConvError) as error:
        curve(spec, x, w, "i8", range(3)).at(7)
    assert str(error.value) == "error: The curve of i8 has no point at 2^7.\n  note: It goes from 2^0 to 2^2."
