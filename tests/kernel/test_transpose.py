"""Stores with channels in lanes and channels first: neighbouring pixels are transposed and stored as runs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import convjit
from convjit import machine
from convjit.dsl.parse import parse_schedule
from convjit.kernel.ir import Op, lanes, walk
from convjit.kernel.transpose import unpacked
from convjit.pipeline import Compilation
from convjit.spec.conv import ConvSpec
from convjit.targets import CALLABLES
from tests import shapes
from tests.convs import conv


def scheduled(spec: ConvSpec, schedule: str) -> ConvSpec:
    """With a schedule of its own."""
    return replace(spec, dataflow=(parse_schedule(schedule),))


def stores(spec: ConvSpec) -> list[int]:
    """The lanes of every store to the output, as they stand in the kernel."""
    kernel = Compilation(spec, machine.get("cpu:avx2")).kernels[-1]
    return [lanes(s.type) for s in walk(kernel.body) if isinstance(s, Op) and s.name == "store"]


def check(spec: ConvSpec) -> None:
    """The machine code's result is exact."""
    given = shapes.arrays(spec)
    kernel: Any = convjit.compile(spec, target="cpu:avx2")
    assert np.array_equal(kernel(*given), convjit.reference(spec, *given))


def test_an_unpack_takes_pieces_of_both_in_turn_inside_each_part() -> None:
    assert unpacked(1, 0, 8, 4) == (0, 8, 1, 9, 4, 12, 5, 13)
    assert unpacked(1, 1, 8, 4) == (2, 10, 3, 11, 6, 14, 7, 15)
    assert unpacked(2, 0, 8, 4) == (0, 1, 8, 9, 4, 5, 12, 13)
    assert unpacked(1, 1, 4, 2) == (1, 5, 3, 7)


@pytest.mark.parametrize(("tile", "runs"), [(2, [2]), (3, [2, 1]), (4, [4]), (6, [4, 2]), (7, [4, 2, 1])])
def test_every_lane_is_stored_in_the_longest_runs(tile: int, runs: list[int]) -> None:
    spec = conv((1, 7 * tile), (2, 8), (1, 1), x="NCHW")
    spec = scheduled(spec, f"oc/8 ow/{tile} [y] c ow:unroll oc:simd")
    assert stores(spec) == [n for n in runs for _ in range(8)]
    check(spec)


@pytest.mark.parametrize(("tile", "whole", "parts"), [(2, 0, 1), (3, 0, 1), (6, 1, 1), (7, 1, 1), (5, 1, 0)])
def test_a_rest_is_a_masked_run_where_masks_cost_nothing(tile: int, whole: int, parts: int) -> None:
    """Not in pieces: LLVM takes them from a sum with instructions that reach the lower 16 of 32 registers only."""
    spec = scheduled(conv((1, 7 * tile), (2, 8), (1, 1), x="NCHW"), f"oc/8 ow/{tile} [y] c ow:unroll oc:simd")
    kernel = Compilation(spec, machine.get("cpu:avx512")).kernels[-1]
    found = [(s.name, lanes(s.type)) for s in walk(kernel.body) if isinstance(s, Op) and s.name.startswith("store")]
    assert found.count(("store", 4)) == 8 * whole
    assert found.count(("store_masked", 4)) == 8 * parts
    given = shapes.arrays(spec)
    run: Any = CALLABLES["interpret"](Compilation(spec, machine.get("cpu:avx512")), None)
    assert np.array_equal(run(*given), convjit.reference(spec, *given))


def test_doubles_go_in_pairs() -> None:
    spec = conv((3, 15), (2, 8), (1, 1), x="NCHW", dtype="f64")
    spec = scheduled(spec, "oc/4 oh ow/5 [y] c ow:unroll oc:simd")
    assert stores(spec) == [2] * 8 + [1] * 4
    check(spec)


def test_lanes_that_do_not_exist_are_not_stored() -> None:
    spec = conv((3, 8), (2, 11), (1, 1), x="NCHW")
    spec = scheduled(spec, "oc/8 oh ow/4 [y] c ow:unroll oc:simd")
    assert stores(spec) == [4] * 8 + [4] * 3
    check(spec)


def test_strides_known_only_at_the_call() -> None:
    spec = conv((5, 8), (2, 8), (3, 3), x="NCHW", batch="?")
    check_open = scheduled(spec, "n oc/8 oh ow/4 [y] kh kw c ow:unroll oc:simd")
    rng = np.random.default_rng(0)  # the batch is 3 at this call
    x = rng.integers(-4, 5, (3, 2, 5, 8)).astype("f4")
    w = rng.integers(-4, 5, (3, 3, 2, 8)).astype("f4")
    kernel: Any = convjit.compile(check_open, target="cpu:avx2")
    assert np.array_equal(kernel(x, w), convjit.reference(check_open, x, w))


@pytest.mark.parametrize("order", ["NCHW", "CHWN", "NHCW", "WCHN"])
def test_every_order_of_axes(order: str) -> None:
    spec = conv((5, 9), (3, 19), (3, 2), batch=2, x=order)
    check(scheduled(spec, "n oc/16 oh ow/5 [y] kh kw c ow:unroll oc/8:unroll oc:simd"))


def test_an_output_that_is_read_again_is_written_first() -> None:
    """Weight stationary: every visit reads what the visit before stored."""
    spec = conv((4, 8), (4, 8), (3, 3), x="NCHW")
    check(scheduled(spec, "kh kw c oh ow/4 [y] ow:unroll oc:simd"))


COPIED_BACK = "oh oc/8 [y: scratch | oc oh ow] oc [y] c:list oh:unroll ow/8:unroll ow:simd\npack w: list\npack x: n c h w"


def test_what_is_read_from_elsewhere_meanwhile_does_not_end_a_run() -> None:
    """Sums copied from scratch memory: the next vector is read while the last one waits to be stored."""
    spec = scheduled(conv((3, 8), (4, 16), (1, 1)), COPIED_BACK)
    assert stores(spec).count(4) == 2 * 8
    assert 1 not in stores(spec)
    check(spec)


def test_what_waits_is_there_before_its_buffer_is_read() -> None:
    """Sums that are kept in the output between two phases of the channels."""
    spec = scheduled(conv((1, 8), (6, 8), (1, 1), x="NCHW"), "c/3 ow/4 [y] c ow:unroll oc:simd")
    check(spec)
    kernel: Any = CALLABLES["interpret"](Compilation(spec, machine.get("cpu:avx2")), None)
    given = shapes.arrays(spec)
    assert np.array_equal(kernel(*given), convjit.reference(spec, *given))
