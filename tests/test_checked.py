"""`compile(…, check=True)`: promised ranges are verified, before anything is written."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convjit
from convjit.errors import ConvError

TEXT = """conv a {
    input x : u8 in 0..127 [N=1, W=9, C=4]
    weight w : i8 in -5..5 [OC=8, KW=3, IC=4]
}"""


def arrays() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 128, (1, 9, 4)).astype(np.uint8), rng.integers(-5, 6, (8, 3, 4)).astype(np.int8)


def test_what_is_promised_is_verified() -> None:
    kernel: Any = convjit.compile(TEXT, check=True)
    x, w = arrays()
    want = convjit.reference(TEXT, x, w)
    np.testing.assert_array_equal(kernel(x, w), want)
    np.testing.assert_array_equal(kernel.bind(w)(x), want)
    np.testing.assert_array_equal(kernel.bind(w=w)(x=x), want)
    x[0, 3, 1] = 128
    out = np.full((1, 7, 8), 77, np.int32)
    said = "The array 'x' holds 128, outside the range 0..127 that it promises."
    for call in (kernel.bind(w), lambda x, out: kernel(x, w, out=out), lambda x, out: kernel(w=w, x=x, out=out)):
        with pytest.raises(ConvError, match=said):
            call(x, out=out)
    assert (out == 77).all()
    w[1, 1, 1] = -6
    with pytest.raises(ConvError, match="The array 'w' holds -6, outside the range -5..5"):
        kernel.bind(w)


def test_it_is_the_kernel_in_everything_else() -> None:
    kernel: Any = convjit.compile(TEXT, check=True)
    assert kernel.stages == convjit.compile(TEXT).stages  # type: ignore[union-attr]
    assert "x : u8 in 0..127" in str(kernel.spec)
    with pytest.raises(TypeError, match="x: expected u8"):
        kernel(*(a.astype(np.float32) for a in arrays()))
    with pytest.raises(AttributeError):
        kernel.bind(arrays()[1]).bind(arrays()[0])


def test_nothing_is_promised() -> None:
    plain = TEXT.replace(" in 0..127 ", "").replace(" in -5..5 ", "")
    assert type(convjit.compile(plain, check=True)) is type(convjit.compile(plain))
