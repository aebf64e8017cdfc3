"""Compiling and calling from many threads at once; arrays that a call must refuse before it writes anything."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import convjit
from tests import shapes
from tests.shapes import SAMPLE

MANY = 8
CASES = [case for case in SAMPLE if case.products < 500_000][::7]

SMALL = """
conv small {
    input  x : f32[N=1, H=8, W=9, C=8]
    weight w : f32[KH=3, KW=3, IC=8, OC=8]
    pad same
}
"""


def small() -> tuple[Any, list[shapes.Array]]:
    """A kernel whose output has the size of its input, and arguments."""
    kernel: Any = convjit.compile(SMALL, target="cpu:scalar", threads=2)
    return kernel, list(shapes.arrays(kernel.spec))


def test_compiling_and_calling_from_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVJIT_CACHE", "0")
    start = threading.Barrier(MANY)

    def work(number: int) -> list[str]:
        start.wait()
        wrong = []
        for case in CASES[number % 2 :] + CASES[: number % 2]:
            spec = shapes.spec_of(case)
            kernel: Any = convjit.compile(spec, target=("cpu:avx2", "cpu:scalar")[number // 2 % 2], threads=2)
            given = shapes.arrays(spec)
            if not np.array_equal(kernel(*given), convjit.reference(spec, *given)):
                wrong.append(case.name)
        return wrong

    with ThreadPoolExecutor(MANY) as pool:
        assert list(pool.map(work, range(MANY))) == [[]] * MANY


def test_one_kernel_called_from_many_threads() -> None:
    kernel, (x, w) = small()
    bound = kernel.bind(w)
    start = threading.Barrier(MANY)

    def work(number: int) -> bool:
        own, out = x + number, np.empty_like(x)
        want = convjit.reference(kernel.spec, own, w)
        start.wait()
        return all(np.array_equal(bound(own, out=out), want) for _ in range(200))

    with ThreadPoolExecutor(MANY) as pool:
        assert all(pool.map(work, range(MANY)))


def shifted(x: shapes.Array) -> shapes.Array:
    """An array of the same shape that begins four bytes later in the same memory."""
    memory = np.zeros(x.size + 1, x.dtype)
    memory[: x.size] = x.ravel()
    return memory


ALIASES: dict[str, Callable[[shapes.Array], tuple[shapes.Array, shapes.Array]]] = {
    "itself": lambda m: (m[:-1], m[:-1]),
    "one element later": lambda m: (m[:-1], m[1:]),
    "one element earlier": lambda m: (m[1:], m[:-1]),
}


@pytest.mark.parametrize("how", ALIASES)
def test_an_output_over_an_input(how: str) -> None:
    kernel, (x, w) = small()
    memory = shifted(x)
    before = memory.copy()
    source, target = (array.reshape(x.shape) for array in ALIASES[how](memory))
    for call in (lambda: kernel(source, w, out=target), lambda: kernel.bind(w)(source, out=target)):
        with pytest.raises(ValueError, match="overlap"):
            call()
    with pytest.raises(ValueError, match="overlap"):
        kernel.bind(x=source)(w, out=target)
    np.testing.assert_array_equal(memory, before)


WRONG: dict[str, Callable[[shapes.Array], object]] = {
    "read-only": lambda y: np.broadcast_to(np.float32(0), y.shape),
    "too small": lambda y: y[:, :-1].copy(),
    "of another type": lambda y: y.astype(np.float64),
    "with gaps": lambda y: np.concatenate([y, y], -1)[..., : y.shape[-1]],
    "transposed": lambda y: np.ascontiguousarray(y.transpose(3, 0, 1, 2)).transpose(1, 2, 3, 0),
    "in other byte order": lambda y: y.astype(">f4"),
    "a list": lambda y: y.tolist(),
}


@pytest.mark.parametrize("how", WRONG)
def test_an_output_that_does_not_fit(how: str) -> None:
    kernel, (x, w) = small()
    y = np.full(x.shape, 7, np.float32)
    out = WRONG[how](y)
    for call in (lambda: kernel(x, w, out=out), lambda: kernel.bind(w)(x, out=out)):
        with pytest.raises((TypeError, ValueError), match="^out"):
            call()
    assert set(np.unique(np.asarray(out))) <= {0, 7}
