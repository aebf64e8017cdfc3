"""A batch of no images: an empty result, and nothing is read or written."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convjit

TEXT = """conv c {
    input x : f32[N=?, H=?, W=6, C=3]; weight w : f32[KH=3, KW=3, OC=4, IC=3]; residual r : f32[N, OH, OW, OC]
    pad 2
    then add r
}"""
W = np.ones((3, 3, 4, 3), np.float32)

Array = np.ndarray[Any, Any]


def nothing(*shape: int) -> tuple[Array, Array]:
    """An array without elements, and the memory that it lies in the midst of."""
    around = np.full(4096, 7.0, np.float32)
    return around[2048:2048].reshape(shape), around


@pytest.mark.parametrize("target", ["cpu:scalar", pytest.param("cpu:avx2", marks=pytest.mark.isa("avx2", "fma")), "interpret"])
@pytest.mark.parametrize("bound", [False, True])
def test_no_images_no_work(target: str, bound: bool) -> None:
    kernel = convjit.compile(TEXT, target, threads=2)
    x, r = np.ones((0, 7, 6, 3), np.float32), np.ones((0, 9, 8, 4), np.float32)
    out, around = nothing(0, 9, 8, 4)
    call: Any = kernel.bind(w=W) if bound else (lambda **named: kernel(w=W, **named))
    assert call(x=x, r=r, out=out) is out
    assert call(x=x, r=r).shape == (0, 9, 8, 4)
    assert (around == 7).all()


def test_what_is_bound_may_be_empty() -> None:
    kernel = convjit.compile(TEXT, "cpu:scalar")
    layer = kernel.bind(W, r=np.ones((0, 9, 8, 4), np.float32))
    assert layer(np.ones((0, 7, 6, 3), np.float32)).shape == (0, 9, 8, 4)


def test_an_image_without_rows_is_none() -> None:
    kernel = convjit.compile(TEXT, "cpu:scalar")
    with pytest.raises(ValueError, match="^H=0: an image has at least one position along H.$"):
        kernel(np.ones((1, 0, 6, 3), np.float32), W, np.ones((1, 2, 8, 4), np.float32))
