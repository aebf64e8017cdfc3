"""Compiled kernels of quantised convolutions, of zero points, and of `compute` in integers: every bit is the reference's."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import convjit
from convjit.api import compilation, read
from convjit.errors import Unavailable
from convjit.spec import words
from convjit.spec.conv import ConvSpec
from convjit.targets import CALLABLES
from tests.quantised_programs import arrays, program
from tests.spec.quantised_specs import random_arrays, random_quantised

AVX512 = pytest.param("cpu:avx512", marks=pytest.mark.isa("avx512f", "avx512vl", "avx512bw", "avx512dq"))
VNNI = pytest.param("cpu:avx512_vnni", marks=pytest.mark.isa("avx512f", "avx512vl", "avx512bw", "avx512dq", "avx512_vnni"))
TARGETS = ("cpu:scalar", "cpu:avx2", AVX512, VNNI)
INTERPRETED = [(t, seed) for t in ("cpu:avx2_vnni", "cpu:avx512", "cpu:avx512_vnni") for seed in range(100, 104)]
INTERPRETED += [("cuda:sm_75", 101), ("cuda:sm_80", 103), ("cuda:sm_80", 200)]


def kernel_of(spec: ConvSpec, target: str, run: str = "") -> Any:
    """The kernel, or its interpreter."""
    return CALLABLES[run](compilation(spec, target=target), 1) if run else convjit.compile(spec, target=target)


def check(spec: ConvSpec, arrays_: dict[str, np.ndarray[Any, Any]], target: str, run: str = "") -> None:
    """A call, and a call with everything bound but the input and residuals."""
    kernel = kernel_of(spec, target, run)
    want = convjit.reference(spec, **arrays_)
    free = {t.name for t in spec.arguments if t.role in ("input", "residual")}
    bound = kernel.bind(**{name: array for name, array in arrays_.items() if name not in free})
    for got in (kernel(**arrays_), bound(**{name: arrays_[name] for name in free})):
        np.testing.assert_array_equal(got, want.astype(got.dtype))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("seed", range(40))
def test_programs(seed: int, target: str) -> None:
    ((spec, _),) = read(program(seed)).values()
    check(spec, arrays(spec, seed), target)


@pytest.mark.parametrize("target", TARGETS)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_any_program_on_any_number_of_threads(target: str, seed: int) -> None:
    ((spec, _),) = read(program(seed)).values()
    numbers, kernel = arrays(spec, seed), kernel_of(spec, target)
    want = convjit.reference(spec, **numbers)
    for threads in (1, 2, 5):
        kernel.threads = threads
        got = kernel(**numbers)
        np.testing.assert_array_equal(got, want.astype(got.dtype))


@pytest.mark.parametrize(("target", "seed"), INTERPRETED)
def test_interpreted(target: str, seed: int) -> None:
    ((spec, _),) = read(program(seed, gpu="cuda" in target)).values()
    check(spec, arrays(spec, seed), target, "interpret")


@pytest.mark.sweep
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("seed", range(1000, 2000))
def test_many_programs(seed: int, target: str) -> None:
    test_programs(seed, target)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("profile", [*words.PROFILES, "real"])
def test_small_ones_with_ties_and_odd_residuals(profile: str, target: str) -> None:
    done = 0
    for seed in range(12):
        r = random.Random(f"{profile}{seed}")
        spec = random_quantised(r, profile)
        try:
            check(spec, random_arrays(spec, r), target)
        except Unavailable:  # 4 bits
            continue
        done += 1
    assert done >= 5


# --- what is quantised


COMPUTE = """conv a {{
    input x : f32[N=1, W=16, C=8]
    weight w : f32[OC=16, KW=1, IC=8]
    compute {kind} scale x 2^{power}, w 1 round {rounding}
}}"""


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind", ["i8", "i16", "i32"])
@pytest.mark.parametrize("rounding", words.ROUNDINGS)
def test_odd_numbers_are_quantised_alike(rounding: str, kind: str, target: str) -> None:
    text = COMPUTE.format(kind=kind, power=1, rounding=rounding)
    odd = [np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-42, -0.0, 2.0**30, -(2.0**30), 2.0**30 - 32, 2.0**31]
    ties = [0.25, -0.25, 0.75, -0.75, 1.25, -1.25, 63.25, 63.75, -64.25, 16383.75, -16384.25, 0.24999999, 4194303.75]
    x = np.resize(np.array([*odd, *ties], np.float32), (1, 16, 8))
    w = np.ones((16, 1, 8), np.float32)
    w[:, :, 1:] = 0
    kernel: Any = convjit.compile(text, target=target)
    with np.errstate(over="ignore"):
        want = convjit.reference(text, x, w).astype(np.float32)
    np.testing.assert_array_equal(kernel(x, w), want)


def seed_like(rng: np.random.Generator) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """An image and a kernel with the spread of the report's first sample."""
    x = rng.normal(0, 6.1, (1, 12, 12, 64)).clip(-48, 48).astype(np.float32)
    return x, rng.normal(0, 0.032, (3, 3, 64, 64)).clip(-0.3, 0.3).astype(np.float32)


FLOWS = {"i32": ("2^19", 1e-7), "i16": ("2^7", 3e-4), "i8": ("1", 3e-2)}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind", FLOWS)
def test_the_reports_flow(kind: str, target: str) -> None:
    power, bound = FLOWS[kind]
    plain = "conv a {{ input x : f32[N=1, H=12, W=12, C=64]; weight w : f32[KH=3, KW=3, OC=64, IC=64]; pad same; {} }}"
    text = plain.format(f"compute {kind} scale x {power}, w {power}*500 round toward_zero")
    x, w = seed_like(np.random.default_rng(5))
    kernel: Any = convjit.compile(text, target=target)
    got, true = kernel.bind(w)(x), convjit.reference(plain.format(""), x, w)
    np.testing.assert_array_equal(got, convjit.reference(text, x, w).astype(np.float32))
    error = np.sqrt(np.mean((got - true) ** 2)) / (true.max() - true.min())
    assert error < bound
