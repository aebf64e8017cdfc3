"""Random convolutions through the public API against the reference: any layout, window, open sizes, steps."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import convjit
from convjit import machine
from convjit.api import compilation, read
from convjit.runtime import detect
from convjit.spec.conv import ConvSpec
from convjit.targets import CALLABLES
from tests import random_specs, specs
from tests.random_specs import Array, random_arrays, random_sizes

EXAMPLES = 40
AVX512 = pytest.param("cpu:avx512", marks=pytest.mark.isa("avx512f", "avx512vl", "avx512bw", "avx512dq"))
SEEDS = st.integers(0, 2**32)
TOLERANCE = {"f32": 1e-6, "f64": 2e-15}
"""Of steps that round: whole numbers are exact."""


def drawn(r: random.Random) -> ConvSpec:
    """From one or the other generator, such that it compiles."""
    return specs.random_spec(r, plain=True) if r.random() < 0.5 else random_specs.random_spec(r)


def floats(r: random.Random) -> ConvSpec:
    """The same, of floats."""
    while True:
        spec = drawn(r)
        if spec.input.dtype in ("f32", "f64"):
            return spec


def arguments(seed: int, spec: ConvSpec, sizes: dict[str, int]) -> dict[str, Array]:
    """Whole numbers."""
    made = random_arrays(seed, spec, sizes)
    return {t.name: made[t.name] for t in spec.arguments}


def exact(spec: ConvSpec) -> bool:
    """Whether no step after the sum rounds."""
    return {t.op for t in spec.then} <= {"relu", "relu6", "add", "mul", "scale"}


def check(spec: ConvSpec, got: Array, want: Array) -> None:
    """Equal, but for steps that round."""
    assert got.shape == want.shape
    near = 0.0 if exact(spec) or got.dtype.kind == "i" else TOLERANCE[spec.output.dtype]
    np.testing.assert_allclose(got, want, rtol=near, atol=near)


def bound(kernel: Any, spec: ConvSpec, arrays: dict[str, Array]) -> Array:
    """The call with everything bound that may be."""
    constants = {t.name for t in spec.arguments if t.role not in ("input", "residual")}
    call = kernel.bind(**{name: arrays[name] for name in constants})
    result: Array = call(**{name: array for name, array in arrays.items() if name not in constants})
    return result


@pytest.mark.parametrize("target", ["cpu:avx2", "cpu:scalar", AVX512])
@settings(max_examples=EXAMPLES, deadline=None)
@given(seed=SEEDS)
def test_a_random_convolution(target: str, seed: int) -> None:
    """One kernel, called with several open sizes; bound or not, on any number of threads, bit for bit the same."""
    r = random.Random(seed)
    spec = drawn(r)
    kernel: Any = convjit.compile(spec, target=target, threads=1)
    for turn in range(3 if spec.open_sizes else 1):
        arrays = arguments(seed + turn, spec, random_sizes(r, spec))
        kernel.threads = 1
        got = kernel(**arrays)
        check(spec, got, convjit.reference(spec, **arrays))
        for threads in (2, 5):
            kernel.threads = threads
            np.testing.assert_array_equal(kernel(**arrays), got)
            np.testing.assert_array_equal(bound(kernel, spec, arrays), got)


PADDED = "conv a { input x : f32[N=1, C=2, W=13]; weight w : f32[OC=2, IC=2, KW=3]; pad ((1, 0)) }"


@pytest.mark.parametrize("target", ["cpu:scalar", "cpu:avx2", "cpu:avx512"])
@pytest.mark.parametrize("run", ["cpu", "interpret"])
def test_an_infinite_weight_in_the_padding(target: str, run: str) -> None:
    """Lanes along a row: some of a vector are outside, and are not multiplied."""
    ((spec, syntax),) = read(PADDED).values()
    if run == "cpu" and detect.missing(machine.get(target).required):
        pytest.skip("the processor does not run it")
    kernel = CALLABLES[run](compilation(spec, syntax, target), 1)
    x, w = np.ones((1, 2, 13), np.float32), np.ones((2, 2, 3), np.float32)
    w[1, 1, 0] = np.inf
    got = kernel(x, w)
    assert got[0, :, 0].tolist() == [4, 4]
    assert got[0, 1, 1:].tolist() == [np.inf] * 11


@pytest.mark.parametrize("target", ["cpu:avx2", AVX512])
@settings(max_examples=EXAMPLES, deadline=None)
@given(seed=SEEDS)
def test_no_number_and_infinity(target: str, seed: int) -> None:
    """They reach exactly the outputs whose taps meet them: padding is left out, not multiplied by.

    A scale is only infinite where no step before it rounds: gelu(-38) may be -0 or the least negative number there is,
    and infinity times either is not the same.
    """
    r = random.Random(seed)
    spec = floats(r)
    arrays = arguments(seed, spec, random_sizes(r, spec))
    for tensor in (t for t in spec.arguments if t.role != "param" or exact(spec)):
        array = arrays[tensor.name].reshape(-1)
        for value in (np.nan, np.inf, -np.inf):
            if r.random() < 0.3:
                array[r.randrange(array.size)] = value
    kernel: Any = convjit.compile(spec, target=target)
    with np.errstate(invalid="ignore"):
        check(spec, kernel(**arrays), convjit.reference(spec, **arrays))
