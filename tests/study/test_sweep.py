"""V-curves within a time, and numbers written short."""

from __future__ import annotations

import numpy as np
import pytest

from convjit import Conv
from convjit.study.clock import Clock
from convjit.study.layer import Layer, layer
from convjit.study.sweep import coarse_first, runs, sweep
from convjit.study.vcurve import curve_of


@pytest.fixture
def data() -> Layer:
    spec = Conv(input=("x", "f32", {"N": 1, "W": 9, "C": 2}), weight=("w", "f32", {"OC": 3, "KW": 2, "IC": 2}))
    stream = np.random.default_rng(0)
    return layer(spec, stream.standard_normal((1, 9, 2)), stream.standard_normal((3, 2, 2)))


def test_with_time_it_is_the_whole_curve(data: Layer) -> None:
    swept = sweep(data, "i8", 2.0, "toward_zero", Clock(60))
    assert swept.missing == () and swept.curve == curve_of(data, "i8", ratio=2.0, rounding="toward_zero")


def test_without_time_there_is_a_point_and_the_rest_is_named(data: Layer) -> None:
    whole = [p.exponent for p in curve_of(data, "i8", ratio=2.0).points]
    swept = sweep(data, "i8", 2.0, "half_even", Clock(0))
    assert len(swept.curve.points) == 1
    assert sorted([swept.curve.points[0].exponent, *swept.missing]) == whole


@pytest.mark.parametrize("count", range(12))
def test_coarse_first_takes_every_value_once(count: int) -> None:
    assert sorted(coarse_first(range(count))) == list(range(count))


def test_runs_of_numbers() -> None:
    assert runs([]) == ""
    assert runs([5, -1, 0, 1, 3]) == "-1..1, 3, 5"
