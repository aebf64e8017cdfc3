"""Lanes of a tile that are never stored may be computed from anything that exists."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import convjit
from convjit import machine
from convjit.dsl.parse import parse_schedule
from convjit.kernel.ir import Op, walk
from convjit.pipeline import Compilation
from convjit.spec.conv import ConvSpec
from tests import shapes
from tests.convs import conv

LINE = "g oh ow/8 [y] kh:unroll kw:unroll ow:simd"


def depthwise(width: int, pad: str, batch: int | str = 1) -> ConvSpec:
    """Columns in lanes."""
    spec = conv((6, width), (3, 3), (3, 3), pad=pad, groups=3, x="NCHW", batch=batch)
    return replace(spec, dataflow=(parse_schedule(f"n {LINE}" if batch == "?" else LINE),))


def ops(spec: ConvSpec, target: str = "cpu:avx2") -> dict[str, int]:
    """How often each op with vectors stands in the kernel."""
    kernel = Compilation(spec, machine.get(target)).kernels[-1]
    found: dict[str, int] = {}
    for s in walk(kernel.body):
        if isinstance(s, Op) and s.type == "f32x8":
            found[s.name] = found.get(s.name, 0) + 1
    return found


@pytest.mark.parametrize("target", ["cpu:avx2", "cpu:avx512"])
def test_rows_before_the_last_are_read_without_a_mask(target: str) -> None:
    """6 columns in 8 lanes: the last two read the row below, which the last row has not."""
    found = ops(depthwise(8, "((0, 0), (0, 0))"), target)
    assert found["load"] > 0
    assert found["load_masked"] == 2  # the last row's second and third tap, in a body of its own or of all
    assert "select" not in found


def test_padding_is_zero_still() -> None:
    found = ops(depthwise(6, "1"))
    assert found["load_masked"] > 0
    assert found["select"] > 0


@pytest.mark.parametrize("pad", ["1", "((0, 0), (0, 0))", "((0, 1), (2, 0))", "((1, 1), (0, 3))"])
@pytest.mark.parametrize("width", [3, 6, 8, 9, 14, 17])
def test_exact_with_no_numbers_beside(width: int, pad: str) -> None:
    """What dead lanes read is NaN here: it must not reach a lane that is stored."""
    spec = depthwise(width, pad)
    x, w = shapes.arrays(spec)
    x[..., -1, :] = np.nan
    x[..., ::2, 0] = np.inf
    kernel: Any = convjit.compile(spec, target="cpu:avx2")
    with np.errstate(invalid="ignore"):
        assert np.array_equal(kernel(x, w), convjit.reference(spec, x, w), equal_nan=True)


def test_an_array_of_open_length_is_masked() -> None:
    assert ops(depthwise(8, "((0, 0), (0, 0))", batch="?"))["load_masked"] > 2
