"""Shapes of oneDNN's tests in mixed layouts, compiled and called as a user does, are exactly the reference's.

Every run goes through a sample of 60; `pytest -m sweep` through all 505. No size is reduced.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pytest

import convjit
from convjit.api import compilation
from convjit.spec.conv import ConvSpec
from convjit.targets import CALLABLES
from tests import shapes
from tests.shapes import CASES, SAMPLE, Case

AVX512 = pytest.param("cpu:avx512", marks=pytest.mark.isa("avx512f", "avx512vl", "avx512bw", "avx512dq"))
TARGETS = ("cpu:scalar", "cpu:avx2", AVX512)
DATAFLOWS = ("weight_stationary", "input_stationary", "row_stationary")
TINY = [case for case in SAMPLE if case.products < 40_000]
"""Cases that the interpreter of kernels does in a fraction of a second."""


def ids(case: object) -> str | None:
    """What pytest calls a case."""
    return case.name if isinstance(case, Case) else None


@lru_cache(maxsize=4)
def example(spec: ConvSpec) -> tuple[tuple[shapes.Array, ...], shapes.Array]:
    """Arguments and the result that they must give."""
    given = shapes.arrays(spec)
    return given, convjit.reference(spec, *given)


def check(spec: ConvSpec, target: str) -> None:
    """A call gives the reference's result, element for element, whatever was in the output."""
    kernel: Any = convjit.compile(spec, target=target, threads=2)
    given, want = example(spec)
    out = np.full(want.shape, np.nan, given[0].dtype)
    assert kernel(*given, out=out) is out
    np.testing.assert_array_equal(out, want)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("case", SAMPLE, ids=ids)
def test_sample(case: Case, target: str) -> None:
    check(shapes.spec_of(case), target)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("case", SAMPLE[::3], ids=ids)
def test_double_precision(case: Case, target: str) -> None:
    check(shapes.spec_of(case, "f64"), target)


@pytest.mark.parametrize("dataflow", DATAFLOWS)
@pytest.mark.parametrize("target", ["cpu:avx2", AVX512])
@pytest.mark.parametrize("case", SAMPLE[3::4], ids=ids)
def test_dataflows(case: Case, target: str, dataflow: str) -> None:
    check(shapes.spec_of(case, dataflow=dataflow), target)


@pytest.mark.parametrize("case", TINY, ids=ids)
def test_the_avx512_kernel_interpreted(case: Case) -> None:
    spec = shapes.spec_of(case)
    kernel = CALLABLES["interpret"](compilation(spec, target="cpu:avx512"), None)
    given, want = example(spec)
    np.testing.assert_array_equal(kernel(*given), want)


@pytest.mark.sweep
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("case", CASES, ids=ids)
def test_all(case: Case, target: str) -> None:
    check(shapes.spec_of(case), target)


@pytest.mark.sweep
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("case", CASES, ids=ids)
def test_all_in_double_precision(case: Case, target: str) -> None:
    check(shapes.spec_of(case, "f64"), target)


@pytest.mark.sweep
@pytest.mark.parametrize("dataflow", DATAFLOWS)
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("case", CASES, ids=ids)
def test_dataflows_on_all(case: Case, target: str, dataflow: str) -> None:
    check(shapes.spec_of(case, dataflow=dataflow), target)


def test_the_sample_is_a_part_of_all() -> None:
    assert len(CASES) == 505 and len(SAMPLE) == 60
    assert {case.name for case in SAMPLE} <= {case.name for case in CASES}
    assert {len(case.size) for case in SAMPLE} == {1, 2, 3}
