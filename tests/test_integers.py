"""Convolutions of integers: the same exact sums on every target, full-range values, modulo 2^32 or 2^64.

Every run goes through the sample, each case with two of the type pairs; `pytest -m sweep` through all cases with all.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import convjit
from convjit import dtypes
from convjit.api import compilation
from convjit.machine.rows import EXACT
from convjit.spec.conv import ConvSpec
from convjit.spec.tensor import Then
from convjit.targets import CALLABLES
from tests.shapes import CASES, SAMPLE, Case, Types, full_range, typed

AVX512 = pytest.param("cpu:avx512", marks=pytest.mark.isa("avx512f", "avx512vl", "avx512bw", "avx512dq"))
TARGETS = ("cpu:scalar", "cpu:avx2", AVX512)
EVERY = (
    *TARGETS,
    pytest.param("cpu:avx2_vnni", marks=pytest.mark.isa("avx2", "fma", "avx_vnni")),
    pytest.param("cpu:avx512_vnni", marks=pytest.mark.isa("avx512f", "avx512vl", "avx512bw", "avx512dq", "avx512_vnni")),
)
INTERPRETED = ("cpu:avx2_vnni", "cpu:avx512", "cpu:avx512_vnni", "cuda:sm_75", "cuda:sm_80", "cuda:sm_90a")
TINY = [case for case in SAMPLE if case.products < 15_000]


def check(spec: ConvSpec, target: str, run: str = "") -> None:
    """Every bit is the reference's."""
    given = full_range(spec)
    kernel: Any = CALLABLES[run](compilation(spec, target=target), 1) if run else convjit.compile(spec, target=target)
    got, want = kernel(*given), convjit.reference(spec, *given)
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)


def some(number: int) -> list[tuple[Case, Types]]:
    """Every case of the sample with so many of the pairs, each pair often."""
    return [(case, EXACT[(i * number + k) % len(EXACT)]) for i, case in enumerate(SAMPLE) for k in range(number)]


def name(value: object) -> str:
    """What pytest calls a case, or types."""
    return value.name if isinstance(value, Case) else "_".join(value) if isinstance(value, tuple) else str(value)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("case", "types"), some(2), ids=name)
def test_sample(case: Case, types: Types, target: str) -> None:
    check(typed(case, types), target)


@pytest.mark.parametrize("target", INTERPRETED)
@pytest.mark.parametrize("types", EXACT, ids=name)
def test_interpreted(types: Types, target: str) -> None:
    check(typed(TINY[EXACT.index(types) % len(TINY)], types), target, "interpret")


@pytest.mark.parametrize("dataflow", ["weight_stationary", "input_stationary", "row_stationary"])
@pytest.mark.parametrize("target", ["cpu:avx2", AVX512])
@pytest.mark.parametrize("types", EXACT[::2], ids=name)
def test_dataflows(types: Types, target: str, dataflow: str) -> None:
    for case in SAMPLE[2::12]:
        check(typed(case, types, dataflow), target)


@pytest.mark.sweep
@pytest.mark.parametrize("target", EVERY)
@pytest.mark.parametrize("types", EXACT, ids=name)
@pytest.mark.parametrize("case", CASES, ids=name)
def test_all(case: Case, types: Types, target: str) -> None:
    check(typed(case, types), target)


@pytest.mark.parametrize("target", TARGETS)
def test_pairs_that_saturate_elsewhere(target: str) -> None:
    """onnxruntime issue 16105: 210 (-81) + 198 (-80) is below -2^15, and vpmaddubsw stops there."""
    spec = "conv a { input x : u8[N=1, W=1, C=3]; weight w : i8[OC=1, KW=1, IC=3] }"
    x, w = np.array([[[210, 198, 234]]], np.uint8), np.array([[[-81, -80, 127]]], np.int8)
    kernel: Any = convjit.compile(spec, target=target)
    assert kernel(x, w).tolist() == [[[210 * -81 + 198 * -80 + 234 * 127]]]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("types", "bits"), [(("i16", "i16", "i32"), 32), (("i32", "i32", "i64"), 64)], ids=str)
def test_sums_wrap_around(types: Types, bits: int, target: str) -> None:
    x_type, w_type, y_type = types
    spec = (
        f"conv a {{ input x : {x_type}[N=1, W=1, C=8]; weight w : {w_type}[OC=9, KW=1, IC=8]; "
        f"output y : {y_type}[N, OW, OC] }}"
    )
    least = dtypes.limits(x_type)[0]
    x = np.full((1, 1, 8), least, dtypes.get(x_type).numpy)
    w = np.full((9, 1, 8), least, dtypes.get(w_type).numpy)
    kernel: Any = convjit.compile(spec, target=target)
    wrapped = (8 * least * least + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)
    assert set(kernel(x, w).ravel().tolist()) == {wrapped}


@pytest.mark.parametrize("target", TARGETS)
def test_bias_and_steps(target: str) -> None:
    case = SAMPLE[0]
    spec = typed(case, ("u8", "i8", "i32"))
    tensors = list(spec.tensors)
    out = spec.output
    tensors[2:2] = [
        replace(out, name="b", role="bias", axes=("OC",), sizes=(case.out_channels,)),
        replace(out, name="r", role="residual"),
    ]
    steps = (Then("add", ("r",)), Then("relu", ()), Then("clip", (3.0, 50000.0)), Then("mul", ("r",)))
    check(replace(spec, tensors=tuple(tensors), then=steps), target)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("ends", ["0 5000000000", "3000000000 4000000000", "-9000000000 -5", "-5 7"])
@pytest.mark.parametrize("dtype", ["i32", "i64"])
def test_ends_of_clip_beyond_the_type(dtype: str, ends: str, target: str) -> None:
    spec = (
        "conv a { input x : u8[N=1, W=9, C=8]; weight w : i8[OC=16, KW=3, IC=8]; pad 1; "
        f"output y : {dtype}[N, OW, OC]; then clip {ends} }}"
    )
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (1, 9, 8)).astype(np.uint8)
    w = rng.integers(-128, 128, (16, 3, 8)).astype(np.int8)
    plain: Any = convjit.compile(spec.split("; then")[0] + " }", target=target)
    limits = np.iinfo(dtype.replace("i", "int"))
    low, high = (min(max(int(end), limits.min), limits.max) for end in ends.split())
    kernel: Any = convjit.compile(spec, target=target)
    np.testing.assert_array_equal(kernel(x, w), np.clip(plain(x, w), low, high))
    np.testing.assert_array_equal(kernel(x, w), convjit.reference(spec, x, w))
