"""What is computed: who is right, and the numbers of the 8-bit problem."""

from __future__ import annotations

import numpy as np
import pytest

from bench.layers import NCHW, NHWC, Layer
from bench.problem import F32, equal, near
from bench.quantised import INPUT_SPREADS, u8
from convjit import reference
from convjit.kernel.ir import Op, walk
from convjit.machine.registry import get
from convjit.pipeline import Compilation

LAYER = Layer("made_up", 2, 64, 32, (14, 14), (3, 3), 1, 1, (1, 1))
EXACT = np.arange(100, dtype=np.uint8).reshape(1, 4, 5, 5)


def moved(*steps: int) -> np.ndarray:
    """EXACT with its first elements off by so many units."""
    result = EXACT.copy()
    result.flat[: len(steps)] += np.array(steps, np.uint8)
    return result


def test_ours_must_be_equal() -> None:
    assert equal(EXACT, EXACT, True) == equal(EXACT, EXACT, False)
    assert equal(EXACT, EXACT, True).problem == ""
    assert equal(moved(1), EXACT, True).problem == "wrong: 1 of 100 differ, by up to 1"


def test_others_are_counted() -> None:
    found = equal(moved(1, 2, 0, 9), EXACT, False)
    assert (found.differ, found.beyond, found.most, found.problem) == (3, 2, 9, "")
    assert equal(EXACT, moved(1, 2, 0, 9), False) == found, "too low is as wrong as too high"
    assert equal(moved(*[2] * 20), EXACT, False).problem == ""
    assert equal(moved(*[2] * 21), EXACT, False).problem == "wrong: 21 of 100 differ, by up to 2"


def test_floats_are_near_for_everybody() -> None:
    wanted = EXACT.astype(np.float64)
    for ours in (True, False):
        found = near(wanted + 1e-4, wanted, ours)
        assert found.nrmse == pytest.approx(1e-4 / 99) and not found.problem
        assert near(wanted + 1e-2, wanted, ours).problem == "wrong: NRMSE 0.0001"


@pytest.mark.parametrize("judge", [near, equal])
def test_another_shape_is_wrong(judge: object) -> None:
    assert callable(judge)
    assert judge(EXACT.ravel(), EXACT, False).problem == "wrong: its shape is (100,)"


def test_floats_are_the_layers_own() -> None:
    assert F32.spec(LAYER, NCHW) == LAYER.spec(NCHW)
    assert LAYER.spec().input.dtype == "f32"


def test_the_clauses_of_the_8_bit_problem() -> None:
    spec = u8().spec(LAYER, NCHW)
    assert [(t.role, t.dtype) for t in spec.tensors] == [
        ("input", "u8"), ("weight", "i8"), ("bias", "i32"), ("param", "f32"), ("output", "u8"),
    ]  # fmt: skip
    assert (spec.input.axes, spec.input.zero, spec.weight.zero, spec.weight.scale) == (NCHW, 0, None, "ws")
    assert u8(128).spec(LAYER, NHWC).input.zero == 128
    assert (u8().name, u8(128).name) == ("u8", "u8-zero128")


def test_an_input_of_7_bits_is_proof_enough() -> None:
    """No pair of products leaves 16 bits, so AVX2 multiplies bytes; the numbers use the declared range."""
    problem = u8(narrow=True)
    spec = problem.spec(LAYER, NHWC)
    assert (problem.name, spec.input.in_range) == ("u8-7bit", (0, 127))
    given = problem.data(spec)
    assert given["x"].max() == 127 and given["x"].mean() == pytest.approx(34, abs=2)
    assert reference(spec, **given).mean() == pytest.approx(128, abs=8)
    kernel = Compilation(spec, get("cpu:avx2")).kernels[-1]
    assert any(isinstance(s, Op) and s.name == "quad_u8_i8" for s in walk(kernel.body))


@pytest.mark.parametrize("zero", INPUT_SPREADS)
def test_outputs_use_their_range_without_saturating_much(zero: int) -> None:
    problem = u8(zero)
    spec = problem.spec(LAYER, NHWC)
    given = problem.data(spec)
    assert [given[name].dtype for name in ("x", "w", "b", "ws")] == [np.uint8, np.int8, np.int32, np.float32]
    assert np.abs(given["w"].astype(int)).max() in range(110, 128)
    assert given["x"].max() == 255 and given["x"].mean() == pytest.approx(128 if zero else 68, abs=2)
    y = reference(spec, **given)
    assert y.mean() == pytest.approx(128, abs=8)
    assert 25 < y.std() < 45
    assert np.mean((y == 0) | (y == 255)) < 0.005
