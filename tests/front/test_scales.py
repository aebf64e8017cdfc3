"""Scales from data: what they cover, and that more care gives less error."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from convjit.front.arithmetic import PER_CHANNEL
from convjit.front.layer import ConvLayer, Window
from convjit.front.scales import METHODS, PERCENTILE, scales, spread
from convjit.spec.conv import ConvSpec

STREAM = np.random.default_rng(0)
X = STREAM.standard_normal((2, 6, 500)).astype(np.float32)
W = STREAM.standard_normal((4, 6, 3)).astype(np.float32)


def plain(w: Any, *shape: int) -> ConvSpec:
    return ConvLayer(w, None, Window((1,), (1,), ((0, 0),))).plain(shape)


def test_minmax_puts_the_largest_number_at_the_end_of_the_type() -> None:
    found = scales(plain(W, *X.shape), [X[:1], X[1:]], W, "i8", "minmax")
    assert found.x == pytest.approx(127 / np.abs(X).max()) and found.w[0] == pytest.approx(127 / np.abs(W).max())
    with_room = scales(plain(W, *X.shape), [X], W, "i16", "minmax")
    assert with_room.x == pytest.approx(32767 / 2 / np.abs(X).max()), "an input twice as large is not clamped"
    assert with_room.w[0] == pytest.approx(32767 / np.abs(W).max())


def test_percentile_leaves_out_the_largest_numbers() -> None:
    x = X.copy()
    x[0, 0, 0] = 1000
    found = scales(plain(W, *x.shape), [x, *[X] * 3], W, "i8", "percentile")
    assert 127 / found.x == pytest.approx(np.percentile(np.abs([x, X, X, X]), PERCENTILE), rel=0.1)


@pytest.mark.parametrize("arithmetic", ["i8", "i4", PER_CHANNEL])
def test_mse_has_the_least_error_of_the_tensor(arithmetic: str) -> None:
    errors = {}
    for method in METHODS:
        found = scales(plain(W, *X.shape), [X], W, arithmetic, method)
        ends = {"i8": (-128, 127), "i4": (-8, 7), PER_CHANNEL: (-found.zero, 255 - found.zero)}[arithmetic]
        errors[method] = np.mean((np.clip(np.rint(X * found.x), *ends) / found.x - X) ** 2)
    assert errors["mse"] <= 1.02 * min(errors.values())
    assert arithmetic != "i4" or errors["mse"] < 0.8 * errors["minmax"]


def test_sums_of_i32_fit_into_64_bits() -> None:
    w = np.ones((1, 3000, 9), np.float32)
    found = scales(plain(w, 1, 3000, 9), [np.ones((1, 3000, 9), np.float32)], w, "i32", "minmax")
    assert found.x * found.w[0] * 3000 * 9 < 2**63
    assert found.x > 2**19


def test_a_zero_point_is_where_zero_is() -> None:
    low, high = -1.0, 3.0
    x = np.linspace(low, high, 600, dtype=np.float32).reshape(1, 6, 100)
    found = scales(plain(W, *x.shape), [x], W, PER_CHANNEL, "minmax")
    assert found.x == pytest.approx(255 / 4) and found.zero == 64
    assert found.w == pytest.approx(127 / np.abs(W).max((1, 2)))
    assert scales(plain(W, *x.shape), [x + 5], W, PER_CHANNEL, "minmax").zero == 0


@pytest.mark.parametrize("method", METHODS)
def test_zeros_infinities_and_nan(method: str) -> None:
    x = np.zeros((1, 6, 9), np.float32)
    for arithmetic in ("i8", "i32", PER_CHANNEL):
        assert scales(plain(W, *x.shape), [x], W, arithmetic, method).x == 1.0
    x[0, 0, :4] = np.nan, np.inf, -np.inf, 2.0
    assert scales(plain(W, *x.shape), [x], W, "i8", method).x >= 127 / 2 * 0.99
    tiny = np.full_like(x, 1e-30)
    assert scales(plain(W, *x.shape), [tiny], W, "i8", method).x == 2.0**60


def test_a_spread_counts_every_finite_number() -> None:
    found = spread([np.array([1.0, -3.0, np.nan]), np.array([[np.inf, 2.0]])])
    assert (found.low, found.high, found.counts.sum()) == (-3.0, 2.0, 3)
    assert found.below(100) == pytest.approx(2.0, abs=0.01)
