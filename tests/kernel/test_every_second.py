"""Columns in lanes at stride 2: two vectors and a shuffle instead of a load for every lane."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import convjit
from convjit import machine
from convjit.dsl.parse import parse_schedule
from convjit.kernel.ir import For, Op, walk
from convjit.kernel.late_order import order_of
from convjit.pipeline import Compilation
from convjit.spec.conv import ConvSpec
from tests import shapes
from tests.convs import conv

LINE = "g oh ow/8 [y] kh kw:unroll ow:simd"


def depthwise(width: int, pad: str = "valid", dtype: str = "f32") -> ConvSpec:
    """Columns in lanes, every second one read."""
    line = LINE if dtype == "f32" else LINE.replace("/8", "/4")
    spec = conv((5, width), (3, 3), (3, 3), stride=2, pad=pad, groups=3, x="NCHW", dtype=dtype)
    return replace(spec, dataflow=(parse_schedule(line),))


def ops(spec: ConvSpec, name: str) -> int:
    """How often an op stands in the kernel."""
    kernel = Compilation(spec, machine.get("cpu:avx2")).kernels[-1]
    return sum(isinstance(s, Op) and s.name == name and s.type == "f32x8" for s in walk(kernel.body))


def test_even_and_odd_taps_share_their_loads() -> None:
    """The third tap's second vector would end behind the array: it starts early."""
    spec = depthwise(17)
    assert (ops(spec, "load"), ops(spec, "shuffle"), ops(spec, "insert")) == (4, 4, 0)


def test_lanes_are_put_in_order_once() -> None:
    kernel = Compilation(depthwise(17), machine.get("cpu:avx2")).kernels[-1]
    orders = [s for s in walk(kernel.body) if isinstance(s, Op) and order_of(s)]
    assert [s.attribute("order") for s in orders] == [(0, 1, 4, 5, 2, 3, 6, 7)]
    (loop,) = [s for s in kernel.body[-1].body[-1].body if isinstance(s, For)]  # type: ignore[union-attr]
    assert not any(s in orders for s in walk(loop.body))


def test_the_last_row_of_a_loop_is_one_that_its_step_reaches() -> None:
    """Two rows at a time: the last but one is the last that a tile begins with, so no pair reads behind the array."""
    spec = conv((9, 17), (3, 3), (3, 3), stride=2, pad="valid", groups=3, x="NCHW")
    spec = replace(spec, dataflow=(parse_schedule("g oh/2 ow/8 [y] kh:unroll kw:unroll oh:unroll ow:simd"),))
    assert (ops(spec, "load"), ops(spec, "shuffle")) == (20, 17)
    given = shapes.arrays(spec)
    kernel: Any = convjit.compile(spec, target="cpu:avx2")
    assert np.array_equal(kernel(*given), convjit.reference(spec, *given))


def test_lanes_outside_the_image_are_not_read() -> None:
    spec = depthwise(15, "1")
    assert ops(spec, "load_masked") > 0
    assert ops(spec, "insert") == 0


@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("pad", ["valid", "1", "2"])
@pytest.mark.parametrize("width", [3, 8, 16, 17, 31, 34])
def test_exact_at_every_width(width: int, pad: str, dtype: str) -> None:
    spec = depthwise(width, pad, dtype)
    given = shapes.arrays(spec)
    kernel: Any = convjit.compile(spec, target="cpu:avx2")
    assert np.array_equal(kernel(*given), convjit.reference(spec, *given))


def test_an_open_batch() -> None:
    """How long the array is, is not known: nothing behind the last wanted element is read."""
    spec = conv((5, 17), (3, 3), (3, 3), stride=2, pad="valid", groups=3, x="NCHW", batch="?")
    spec = replace(spec, dataflow=(parse_schedule(f"n {LINE}"),))
    x, w = np.ones((2, 3, 5, 17), np.float32), np.ones((3, 3, 1, 3), np.float32)
    kernel: Any = convjit.compile(spec, target="cpu:avx2")
    assert np.array_equal(kernel(x, w), convjit.reference(spec, x, w))
    assert ops(spec, "load") == 6
