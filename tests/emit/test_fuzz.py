"""Random kernels: what the machine code does is what the interpreter says, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from convjit import machine
from convjit.kernel.interpret import interpret
from convjit.kernel.verify import verify
from tests.compiled import run
from tests.kernel.random_kernels import BYTES, random_kernel


def agree(name: str, seed: int) -> None:
    on = machine.get(name)
    kernel = random_kernel(seed, on)
    verify(kernel, on)
    random = np.random.default_rng(seed)
    halves = random.standard_normal(BYTES // 8).astype("f4"), random.integers(-5, 5, BYTES // 8).astype("i4")
    x = np.concatenate([half.view(np.uint8) for half in halves])
    expected, got = np.zeros(BYTES, np.uint8), np.zeros(BYTES, np.uint8)
    sizes, ranges = {"n": seed % 7}, {"oh": (seed % 3, 5)}
    interpret(kernel, on, {"x": x, "y": expected}, sizes, ranges)
    run(kernel, on, {"x": x, "y": got}, sizes, ranges)
    np.testing.assert_array_equal(got, expected, err_msg=str(kernel))


@pytest.mark.parametrize("seed", range(30))
def test_scalar(seed: int) -> None:
    agree("cpu:scalar", seed)


@pytest.mark.isa("avx2", "fma", "f16c")
@pytest.mark.parametrize("seed", range(40))
def test_avx2(seed: int) -> None:
    agree("cpu:avx2", seed)


@pytest.mark.isa("avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512cd")
@pytest.mark.parametrize("seed", range(40))
def test_avx512(seed: int) -> None:
    agree("cpu:avx512", seed)


@pytest.mark.sweep
@pytest.mark.isa("avx2", "fma", "f16c")
@pytest.mark.parametrize("name", ["cpu:scalar", "cpu:avx2"])
@pytest.mark.parametrize("block", range(20))
def test_many(name: str, block: int) -> None:
    for seed in range(1000 + 100 * block, 1100 + 100 * block):
        agree(name, seed)
